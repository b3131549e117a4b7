"""Inputs: names found in files stay in their folder, names of files are no addresses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import SourceError, UsageError
from runtime.inputs import check_file, inside
from runtime.sources import open_source
from runtime.sources.file import FileSource
from runtime.sources.images import ImagesSource
from runtime.sources.pipe import PipeSource

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["a.onnx", "below/a.onnx", "..a.onnx", "a..onnx"])
def test_names_beside_a_file_are_read(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    ["", "../a", "b/../../a", "/etc/passwd", "\\a", "..\\a", "C:\\a", "//host/share", "a\0b"],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="not in its own folder"):
        inside(tmp_path, name)


def test_links_that_lead_out_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in" / "loop")
    for name in ("link", "link/x", "loop"):
        with pytest.raises(UsageError):
            inside(tmp_path / "in", name)


def test_only_ordinary_files_with_something_in_them_are_opened(tmp_path):
    with pytest.raises(SourceError, match="no input"):
        check_file(tmp_path / "none")
    with pytest.raises(SourceError, match="folder"):
        check_file(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(SourceError, match="0 bytes"):
        check_file(tmp_path / "empty")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceError, match="no ordinary file"):
        check_file(tmp_path / "fifo")
    assert check_file(tmp_path / "fifo", pipes=True)
    with pytest.raises(SourceError, match="cannot be read"):
        check_file(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("image", ["photo.png", "out.png", "--model", "mine"]),
        ("models", []),
        ("webcam", ["--style-list", "--model", "mine"]),
    ],
)
def test_pipes_beside_a_model_are_passed_over(tmp_path, module, words):
    """Looking for relatives of a model, or its card, would wait for ever for a writer."""
    shutil.copy(ROOT / "models" / "monet.onnx", tmp_path / "mine.onnx")
    shutil.copy(ROOT / "runtime" / "photographs" / "coffee.jpg", tmp_path / "photo.png")
    for name in (
        "a.onnx",
        "mine-fast.onnx",
        "mine.xml",
        "mine.onnx.card.json",
        "z.engine",
        "y.ort",
    ):
        os.mkfifo(tmp_path / name)
    run = subprocess.run(
        [sys.executable, "-m", f"runtime.{module}", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "name",
    ["camera:0.mp4", "pipe:0.mp4", "tcp:127.0.0.1:9.mp4", "http:127.0.0.1:9?.mp4", "a: b.mp4"],
)
def test_names_with_colons_are_files(make_clip, tmp_path, monkeypatch, name):
    shutil.copy(make_clip("in.mp4", frames=3), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_source(name) as source:
        assert isinstance(source, FileSource)
        assert sum(1 for _ in source) == 3


def test_a_pipe_named_by_the_user_is_read(make_clip, tmp_path):
    import threading

    data = make_clip("in.mkv", frames=3).read_bytes()
    fifo = tmp_path / "fifo.mkv"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    with open_source(fifo) as source:
        assert isinstance(source, PipeSource)
        assert sum(1 for _ in source) == 3
    writer.join()


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
    "b.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n",
    "c.mp4": "ffconcat version 1.0\nfile '{clip}'\n",
    "d.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 9 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_open_nothing(make_clip, tmp_path, name):
    clip = make_clip("clip.mp4", frames=2)
    (tmp_path / name).write_text(PLAYLISTS[name].format(clip=clip.name))
    with pytest.raises(SourceError, match=r"playlist|cannot be read"):
        open_source(tmp_path / name)


def test_addresses_need_to_be_allowed():
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:9/x.* --allow-network"):
        open_source("http://me:secret@127.0.0.1:9/x")


def test_no_hostile_name_makes_a_connection(tmp_path, monkeypatch):
    """With the sockets of this process watched by the system: FFmpeg's are not Python's."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        names = [f"http:127.0.0.1:{port}?.mp4", f"tcp:127.0.0.1:{port}.mp4"]
        monkeypatch.chdir(tmp_path)
        for name in names:
            (tmp_path / name).write_bytes(b"no clip")
        (tmp_path / "list.m3u8").write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/x.ts\n"
        )
        for name in [*names, "list.m3u8"]:
            with pytest.raises(SourceError):
                open_source(name)
        with pytest.raises(TimeoutError):
            server.accept()


def test_folders_that_cannot_be_read_are_one_line(tmp_path, monkeypatch):
    from pathlib import Path

    def barred(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", barred)
    with pytest.raises(SourceError, match="Permission denied"):
        ImagesSource(str(tmp_path))


@pytest.mark.parametrize("name", ["/etc/passwd", "../style.onnx"])
def test_a_card_cannot_name_a_companion_elsewhere(build_model, tmp_path, name):
    import numpy as np
    from onnx import TensorProto, helper

    from runtime.card import ModelCard, Port
    from runtime.model.session import open_session

    code = Port("code", "code", (4,), low=-1.0, high=1.0, companion=name)
    card = ModelCard("x", "perceptual", (Port("image"), code), (Port("styled"),))
    model = build_model(
        tmp_path / "x.onnx",
        [helper.make_node("Identity", ["image"], ["styled"])],
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"]),
            helper.make_tensor_value_info("code", TensorProto.FLOAT, ["N", 4]),
        ],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        card=card,
    )
    picture = np.zeros((16, 16, 3), np.uint8)
    with (
        open_session(model, device="cpu") as session,
        pytest.raises(UsageError, match="the card names"),
    ):
        session.stylize(picture, style=picture)


def test_a_report_cannot_bring_other_files_into_a_bundle(tmp_path):
    from export.targets.bundle import Part

    report = {"files": [{"file": "../secret"}]}
    part = Part(tmp_path / "x.onnx", report, None, {})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the report of"):
        _ = part.files
