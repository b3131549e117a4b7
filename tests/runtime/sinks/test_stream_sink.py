"""Streams to servers: RTMP over the loopback, servers that are not there or do not answer; NDI."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from waiting import wait_for

from runtime.errors import SinkError, UsageError
from runtime.frame import Frame
from runtime.sinks import open_sink, stream
from runtime.sinks.ndi import NdiSink
from runtime.sinks.stream import StreamSink
from runtime.sources import SourceInfo

INFO = SourceInfo("test", 65, 48, Fraction(30))
COLOR = (200, 100, 50)
# Takes one stream, as a server does; the connection's end is an error to FFmpeg.
SERVER = """
import av, json, sys
found = []
try:
    with av.open(sys.argv[1], options={"listen": "1"}, timeout=30) as container:
        for frame in container.decode(video=0):
            tags = int(frame.colorspace), int(frame.color_range)
            picture = frame.reformat(format="rgb24", src_colorspace="ITU709")
            color = picture.to_ndarray().mean((0, 1))
            found.append((float(frame.time), *map(float, color), frame.width, frame.height, *tags))
except OSError:
    pass
print(json.dumps(found))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def frame(index):
    return Frame(np.full((48, 65, 3), COLOR, np.uint8), Fraction(index, 30), index)


def opened(url):
    """A sink, once the server listens."""
    try:
        return open_sink(url, INFO, allow_network=True)
    except SinkError:
        return None


def test_a_server_gets_every_picture_at_its_time():
    url = f"rtmp://127.0.0.1:{free_port()}/live/key.mp4"
    server = subprocess.Popen([sys.executable, "-c", SERVER, url], stdout=subprocess.PIPE)
    sink = wait_for(lambda: opened(url), 30)
    for index in range(20):
        sink.write(frame(index))
    sink.close()
    sink.close()
    found = np.array(json.loads(server.communicate(timeout=60)[0]))
    assert sink.frames == len(found) == 20
    assert np.allclose(np.diff(found[:, 0]), 1 / 30, atol=0.002)
    assert np.abs(found[:, 1:4] - COLOR).max() < 4
    assert found[0, 4:].tolist() == [64, 48, 1, 1]


def test_the_network_must_be_asked_for():
    for spec in ("rtmp://127.0.0.1:1/live/key", "srt://127.0.0.1:1", "ndi", "ndi:Stage"):
        with pytest.raises(UsageError, match="--allow-network"):
            open_sink(spec, INFO)


def test_no_server_and_one_that_does_not_answer(monkeypatch):
    with pytest.raises(SinkError, match="cannot be opened"):
        open_sink(f"rtmp://127.0.0.1:{free_port()}/live/key", INFO, allow_network=True)
    monkeypatch.setattr(stream, "TIMEOUT_S", 1.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        url = f"rtmp://user:secret@127.0.0.1:{silent.getsockname()[1]}/live/key"
        with pytest.raises(SinkError, match="no answer in time") as raised:
            open_sink(url, INFO, allow_network=True)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "accepted"),
    [("rtmp://a/b", True), ("RTMPS://a/b", True), ("srt://a:1", True), ("rtmp.mp4", False)],
)
def test_addresses(spec, accepted):
    assert StreamSink.accepts(spec) == accepted
    assert not NdiSink.accepts(spec)


def test_ndi_is_found_and_received_on_this_machine(tmp_path, monkeypatch):
    pytest.importorskip("cyndilib", reason="needs cyndilib (pip install cyndilib)")
    # Without multicast, addresses to ask are written down (NDI's documentation, "Configuration").
    config = {"ndi": {"networks": {"ips": "127.0.0.1"}}}
    (tmp_path / "ndi-config.v1.json").write_text(json.dumps(config), encoding="utf-8")
    code = """
import sys, time
from fractions import Fraction
import numpy as np
from cyndilib.finder import Finder
from runtime.frame import Frame
from runtime.sinks.ndi import NdiSink
from runtime.sources import SourceInfo
sink = NdiSink("ndi:Stage", SourceInfo("test", 64, 48, Fraction(30)), allow_network=True)
finder = Finder()
finder.open()
found = []
for index in range(100):
    sink.write(Frame(np.zeros((48, 64, 3), np.uint8), Fraction(index, 30), index))
    finder.wait_for_sources(timeout=0.1)
    finder.update_sources()
    found = finder.get_source_names()
    if any("Stage" in name for name in found):
        break
finder.close()
sink.close()
print(found, sink.frames)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NDI_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Stage" in run.stdout


# Nothing but an ffmpeg program knows SRT here: it is server and carrier.
def ffmpeg_with_srt():
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg program here (Debian: apt-get install ffmpeg)")
    known = subprocess.run([program, "-protocols"], capture_output=True, text=True, check=True)
    if "srt" not in known.stdout.split():
        pytest.skip("this ffmpeg program knows no SRT")
    return program


def test_an_ffmpeg_program_carries_srt_where_pyav_does_not(tmp_path):
    program = ffmpeg_with_srt()
    address, seen = f"srt://127.0.0.1:{free_port()}", tmp_path / "seen.rgb"
    listen = [program, "-v", "error", "-y", "-i", f"{address}?mode=listener"]
    server = subprocess.Popen(
        [*listen, "-f", "rawvideo", "-pix_fmt", "rgb24", str(seen)], stdin=subprocess.DEVNULL
    )
    try:
        sink = open_sink(address, replace(INFO, width=320, height=240), allow_network=True)
        for index in range(150):
            picture = np.full((240, 320, 3), COLOR, np.uint8)
            picture[:, 2 * index : 2 * index + 9] = 0
            sink.write(Frame(picture, Fraction(index, 30), index))
            time.sleep(0.02)
        sink.close()
        server.wait(30)
    finally:
        server.kill()
    pictures = np.fromfile(seen, np.uint8).reshape(-1, 240, 320, 3)
    assert sink.frames == 150 and len(pictures) > 20  # a viewer joins at a key frame
    assert np.abs(np.median(pictures[-1], (0, 1)) - COLOR).max() < 12


def test_without_a_program_that_knows_srt_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SinkError, match="install an ffmpeg program"):
        open_sink("srt://127.0.0.1:9", INFO, allow_network=True)


def test_an_srt_server_that_is_not_there_is_noticed():
    ffmpeg_with_srt()
    sink = open_sink(f"srt://127.0.0.1:{free_port()}", INFO, allow_network=True)
    deadline = time.monotonic() + 30
    with pytest.raises(SinkError, match="check the address"):
        for index in itertools.count():
            sink.write(frame(index))
            time.sleep(0.02)
            assert time.monotonic() < deadline
    sink.close()
