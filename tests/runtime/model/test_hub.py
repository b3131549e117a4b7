"""Fetching models, from a server on this machine that answers as the Hub does."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="pip install huggingface_hub")
ROOT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """One repository: somebody/paints."""

    files: dict[str, bytes]

    def do_GET(self):
        if self.path.split("?")[0] == "/api/models/somebody/paints":
            listed = [{"rfilename": name} for name in self.files]
            facts = {"id": "somebody/paints", "sha": COMMIT, "siblings": listed}
            self.answer(json.dumps({**facts, "cardData": {"license": "cc-by-4.0"}}).encode())
        elif self.path.startswith(f"/somebody/paints/resolve/{COMMIT}/"):
            self.answer(self.files[self.path.rsplit("/", 1)[1]])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pull(tmp_path):
    """Runs `models --pull` against the server, which holds `files`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def go(files, *words):
        Hub.files = files
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
            "HF_HOME": str(tmp_path / "hub"),
            "IMPASTO_MODELS": str(tmp_path / "mine"),
        }
        return subprocess.run(
            [sys.executable, "-m", "runtime.models", "--pull", *words],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    yield go
    server.shutdown()
    server.server_close()


def test_models_come_after_the_license_and_only_models(pull, tmp_path, identity_model):
    model = identity_model.read_bytes()
    files = {"ink.onnx": model, "run.py": b"print()", "weights.pth": b"pickle", "README.md": b""}
    asked = pull(files, "somebody/paints")
    assert asked.returncode == 2 and "license: cc-by-4.0" in asked.stderr
    assert "--yes" in asked.stderr and not (tmp_path / "mine").exists()
    done = pull(files, "somebody/paints", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "mine" / "ink.onnx")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"ink.onnx"}
    assert (tmp_path / "mine" / "ink.onnx").read_bytes() == model
    again = pull(files, "somebody/paints", "--yes")
    assert again.returncode == 2 and "ink.onnx" in again.stderr


def test_what_is_no_model_is_refused_and_leaves_nothing(pull, tmp_path):
    done = pull({"ink.onnx": b"\xff" * 64}, "somebody/paints", "--yes")
    assert done.returncode == 2 and "no ONNX file" in done.stderr
    assert not list((tmp_path / "mine").iterdir())
    done = pull({"README.md": b""}, "somebody/paints", "--yes")
    assert done.returncode == 2 and "holds no .onnx file" in done.stderr
    done = pull({}, "nobody/nothing", "--yes")
    assert done.returncode == 2 and 'no repository "nobody/nothing"' in done.stderr
