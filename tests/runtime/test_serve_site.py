"""The page's server: headers, types of files, one folder and nothing else, errors in one line."""

import gzip
import http.client
import json
import os
import subprocess
import sys
import threading

import pytest

from runtime import serve_site
from runtime.errors import UsageError
from runtime.serve_site import main, open_server


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "site"
    (site / "ort").mkdir(parents=True)
    files = {
        "index.html": "<p>page",
        "style.css": "p {}",
        "ort/a.mjs": "export {}",
        "ort/b.wasm": "wasm",
        "a b.onnx": "model",
        "manifest.webmanifest": "{}",
    }
    for name, text in files.items():
        (site / name).write_text(text)
    listing = {
        "page": ["./", "style.css"],
        "engines": [{"files": [{"url": "ort/a.mjs?v=1"}, {"url": "ort/b.wasm?v=2"}]}],
        "styles": [{"file": "a%20b.onnx?v=3"}],
    }
    (site / "site.json").write_text(json.dumps(listing))
    (tmp_path / "secret.txt").write_text("secret")
    return site


@pytest.fixture
def server(folder):
    running = open_server(folder, "127.0.0.1:0")
    url = running.url
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    assert url == f"http://127.0.0.1:{running.server_address[1]}/"
    yield running
    running.shutdown()
    running.server_close()


def ask(server, path, method="GET", headers=None):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_every_answer_isolates_the_page(server):
    for path in ("/", "/style.css", "/absent"):
        headers = ask(server, path)[1]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/ort/a.mjs?v=1", "text/javascript; charset=utf-8"),
        ("/ort/b.wasm?v=2", "application/wasm"),
        ("/a%20b.onnx?v=3", "application/octet-stream"),
        ("/manifest.webmanifest", "application/manifest+json"),
    ],
)
def test_types_of_files(server, path, kind):
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert int(headers["Content-Length"]) == len(body)
    assert ask(server, path, "HEAD")[::2] == (200, b"")


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/ort/"])
def test_nothing_but_the_folder(server, path):
    status, _, body = ask(server, path)
    assert status == 404
    assert b"secret" not in body and b"b.wasm" not in body


def test_links_and_hidden_files_stay_inside(server, folder):
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / ".env").write_text("secret")
    for path in ("/link.txt", "/.env", "/ort/../.env"):
        status, _, body = ask(server, path)
        assert status == 404 and b"secret" not in body


def test_a_foreign_name_for_this_machine_is_refused(server):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    connection.request("GET", "/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403


def test_nobody_can_write(server):
    assert ask(server, "/style.css", "POST")[0] == 501


def test_what_is_no_page_is_said_in_one_line(folder, capsys):
    (folder / "ort" / "b.wasm").unlink()
    assert main([str(folder), "--serve", "0"]) == 2
    assert "lacks ort/b.wasm" in capsys.readouterr().err
    for text in ("{}", "no json"):
        (folder / "site.json").write_text(text)
        assert main([str(folder)]) == 2
        assert "--target web" in capsys.readouterr().err
    assert main([str(folder / "absent")]) == 2


def test_addresses_and_certificates(server, folder, tmp_path):
    port = server.server_address[1]
    with pytest.raises(UsageError, match="another port"):
        open_server(folder, f"127.0.0.1:{port}")
    with pytest.raises(UsageError, match="HOST:PORT"):
        open_server(folder, "here")
    with pytest.raises(UsageError, match="is not a certificate"):
        open_server(folder, "127.0.0.1:0", tls=(tmp_path / "secret.txt", None))
    assert serve_site.DEFAULT.startswith("127.0.0.1:")


def test_the_command_says_where_and_ends_with_the_interrupt(folder):
    command = [sys.executable, "-m", "runtime.serve_site", str(folder), "--serve", "0", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(2)
        assert process.wait(20) == 130


def test_compressed_copies_are_sent_to_who_takes_them(server, folder):
    (folder / "ort" / "b.wasm.gz").write_bytes(gzip.compress(b"wasm"))
    status, headers, body = ask(server, "/ort/b.wasm?v=2", headers={"Accept-Encoding": "br, gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers["Content-Type"] == "application/wasm"
    assert headers["Vary"] == "Accept-Encoding"
    assert int(headers["Content-Length"]) == len(body)
    assert gzip.decompress(body) == b"wasm"
    for refusing in ("", "identity", "gzip;q=0", "gzip; q=0.0"):
        _, headers, body = ask(server, "/ort/b.wasm", headers={"Accept-Encoding": refusing})
        assert headers["Content-Encoding"] is None
        assert (body, headers["Vary"]) == (b"wasm", "Accept-Encoding")
    # A file that was changed since.
    later = (folder / "ort" / "b.wasm.gz").stat().st_mtime_ns + 10**9
    os.utime(folder / "ort" / "b.wasm", ns=(later, later))
    assert ask(server, "/ort/b.wasm", headers={"Accept-Encoding": "gzip"})[2] == b"wasm"
    # A file without a copy, a copy by its own name, and one that leads out of the folder.
    _, headers, body = ask(server, "/style.css", headers={"Accept-Encoding": "gzip"})
    assert (headers["Content-Encoding"], headers["Vary"], body) == (None, None, b"p {}")
    _, headers, _ = ask(server, "/ort/b.wasm.gz", headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] is None
    assert headers["Content-Type"] == "application/octet-stream"
    (folder / "style.css.gz").symlink_to(folder.parent / "secret.txt")
    assert ask(server, "/style.css", headers={"Accept-Encoding": "gzip"})[2] == b"p {}"


def test_two_requests_over_one_connection_do_not_share_a_coding(server, folder):
    (folder / "ort" / "b.wasm.gz").write_bytes(gzip.compress(b"wasm"))
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    connection.request("GET", "/ort/b.wasm", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(connection.getresponse().read()) == b"wasm"
    connection.request("GET", "/absent", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Encoding"]) == (404, None)
