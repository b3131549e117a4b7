"""Network sources against a small server in the test."""

import functools
import http.server
import queue
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from waiting import wait_for

from runtime.errors import SourceError
from runtime.live.capture import Capture
from runtime.live.web.preview import Preview
from runtime.meter import Meter
from runtime.sources import open_source
from runtime.sources.stream import StreamSource, shown

PATIENCE_S = 60.0


@pytest.fixture
def server(tmp_path):
    """The address of a server of `tmp_path`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def write_clip(path, count=6):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(count):
            picture = np.full((48, 64, 3), 40 * index, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def test_a_recording_behind_an_address(server, tmp_path):
    write_clip(tmp_path / "clip.mkv")
    with open_source(f"{server}/clip.mkv", allow_network=True) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert not source.info.live
        frames = list(source)
    assert [f.time for f in frames] == [Fraction(n, 10) for n in range(6)]
    assert [f.index for f in frames] == list(range(6))
    gray = [int(f.image.mean()) for f in frames]
    assert all(abs(level - 40 * n) < 4 for n, level in enumerate(gray))


def test_a_playlist_behind_an_address_becomes_a_clip(server, tmp_path, identity_model, capsys):
    """HLS: only by its address, only if asked for; a broadcast ends when enough frames came."""
    from runtime import video

    with av.open(str(tmp_path / "list.m3u8"), "w", format="hls") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            picture = np.full((48, 64, 3), 20 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    text = (tmp_path / "list.m3u8").read_text()
    (tmp_path / "live.m3u8").write_text(text.replace("#EXT-X-ENDLIST\n", ""))
    output = tmp_path / "out.mp4"
    common = ["--model", str(identity_model), "--device", "cpu", "--stabilizer", "off", "-q"]
    common += ["--output", str(output), "--overwrite"]
    assert video.main([*common, f"{server}/list.m3u8"]) == 2
    assert "--allow-network" in capsys.readouterr().err
    for name, frames in (("list", 12), ("live", 5)):
        limit = ["--frames", "5"] if name == "live" else []
        assert video.main([*common, "--allow-network", *limit, f"{server}/{name}.m3u8"]) == 0
        with open_source(output) as source:
            times = [f.time for f in source]
        assert times == [Fraction(n, 10) for n in range(frames)]


def test_missing_text_and_dead_servers_are_one_line(server, tmp_path):
    (tmp_path / "page.html").write_text("<p>no video</p>")
    for path in ("missing.mkv", "page.html"):
        with pytest.raises(SourceError, match="cannot be opened"):
            open_source(f"{server}/{path}", allow_network=True)
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source("http://127.0.0.1:9/x", allow_network=True)  # port 9 (discard) is not served


def test_only_what_is_written_as_an_address():
    assert StreamSource.accepts("rtsp://10.0.0.5/live")
    assert StreamSource.accepts("HTTPS://host/a.mp4")
    for text in ("10.0.0.5", "file:///etc/passwd", "host.mp4", "tcp://x", "concat:a|b"):
        assert not StreamSource.accepts(text)


def test_passwords_are_not_shown():
    assert shown("rtsp://me:secret@cam/live@2") == "rtsp://cam/live@2"
    assert shown("http://host") == "http://host"


class Broadcast:
    """Our own page's stream as a network camera, fed until told to stop."""

    def __init__(self, port):
        self.preview = Preview(f"127.0.0.1:{port}", queue.SimpleQueue())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self):
        level = 0
        while not self._stop.wait(0.01):
            level = (level + 10) % 250
            self.preview.offer(np.full((48, 64, 3), level, np.uint8))

    def close(self):
        self._stop.set()
        self._thread.join()
        self.preview.close()


def test_a_network_camera_that_restarts_is_found_again():
    first = Broadcast(0)
    port = first.preview._server.server_address[1]
    url = f"http://127.0.0.1:{port}/stream"
    capture = Capture(lambda: open_source(url, allow_network=True), Meter(), back_off_s=(0.05,))
    capture.start()
    assert capture.wait_info().live
    before = capture.slot.get(PATIENCE_S).frame
    first.close()
    wait_for(lambda: capture.status, PATIENCE_S)
    assert "no picture" in capture.status
    assert "127.0.0.1" in capture.status
    again = Broadcast(port)
    wait_for(lambda: capture.reconnects, PATIENCE_S)
    while (after := capture.slot.get(PATIENCE_S).frame).time <= before.time:
        pass
    assert after.image.shape == (48, 64, 3)
    capture.close()
    again.close()


def write_broadcast(path):
    """Two seconds of H.264 with two key frames, each frame of another shade."""
    with av.open(str(path), "w", format="mpegts") as container:
        how = {"preset": "ultrafast", "bf": "0", "qp": "4", "g": "10"}
        stream = container.add_stream("libx264", rate=10, options=how)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        noise = np.random.default_rng(0).integers(0, 40, (64, 96, 3), np.uint8)
        for index in range(20):
            picture = noise + np.uint8(10 * index)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("frames", [None, 12])
def test_a_camera_that_speaks_rtsp(tmp_path, identity_model, frames):
    """Until the sender hangs up, and until enough came."""
    from rtsp_server import serving

    from runtime import video

    clip, output = write_broadcast(tmp_path / "clip.ts"), tmp_path / "out.mp4"
    words = ["--model", str(identity_model), "--device", "cpu", "--stabilizer", "off", "-q"]
    words += ["--output", str(output), "--allow-network"]
    words += [] if frames is None else ["--frames", str(frames)]
    with serving(clip) as address:
        assert video.main([*words, address]) == 0
    with open_source(clip) as before, open_source(output) as after:
        wanted, found = list(before)[: frames or 20], list(after)
    assert [f.time for f in found] == [Fraction(n, 10) for n in range(len(wanted))]
    for a, b in zip(wanted, found, strict=True):
        assert np.abs(a.image.astype(int) - b.image).mean() < 3


def test_what_this_ffmpeg_cannot_speak_is_said(identity_model, capsys):
    from runtime import video

    if _speaks("srt"):
        pytest.skip("this build of FFmpeg knows srt://")
    words = ["--model", str(identity_model), "--allow-network", "srt://127.0.0.1:9", "-o", "x.mp4"]
    assert video.main(words) == 3
    error = capsys.readouterr().err
    assert "knows no srt://" in error
    assert "ffmpeg -i" in error


def _speaks(scheme):
    try:
        av.open(f"{scheme}://127.0.0.1:9", timeout=1)
    except av.error.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


def _free_port():
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.slow
def test_srt_through_a_pipe(tmp_path, identity_model):
    """What the refusal advises: another ffmpeg receives, and we read its output."""
    import shutil
    import subprocess
    import sys

    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")
    spoken = subprocess.run(["ffmpeg", "-v", "quiet", "-protocols"], capture_output=True, text=True)
    if "srt" not in spoken.stdout.split():
        pytest.skip("needs an ffmpeg command with srt")
    clip, output = write_broadcast(tmp_path / "clip.ts"), tmp_path / "out.mp4"
    address = f"srt://127.0.0.1:{_free_port()}"
    send = ["ffmpeg", "-v", "error", "-re", "-i", str(clip), "-c", "copy", "-f", "mpegts"]
    sender = subprocess.Popen([*send, f"{address}?mode=listener"])
    time.sleep(1)
    receive = ["ffmpeg", "-v", "error", "-i", address, "-c", "copy", "-f", "nut", "-"]
    receiver = subprocess.Popen(receive, stdout=subprocess.PIPE)
    words = ["--model", str(identity_model), "--device", "cpu", "--stabilizer", "off", "-q"]
    command = [sys.executable, "-m", "runtime.video", *words, "-", str(output)]
    done = subprocess.run(command, stdin=receiver.stdout, timeout=PATIENCE_S)
    for process in (receiver, sender):
        process.wait(PATIENCE_S)
    assert done.returncode == 0
    with open_source(output) as source:
        times = [frame.time for frame in source]
    # A sender that hangs up in live mode may take the last packets with it.
    assert 15 <= len(times) <= 20
    assert times == [Fraction(n, 10) for n in range(len(times))]
