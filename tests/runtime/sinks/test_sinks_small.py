"""Picture, pipe and null sinks, and the contract all path sinks keep."""

import errno
import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from runtime import plugins, sinks, sources
from runtime.errors import OutputExists, SinkError, UsageError
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sinks.images import split_pattern
from runtime.sinks.pipe import PipeSink
from runtime.sources import SourceInfo, open_source
from runtime.sources.pipe import PipeSource
from runtime.sources.synthetic import SyntheticSource

SPECS = {"file": "out.mp4", "images": "p/%04d.png", "null": "null", "pipe": "-"}
INFO = SourceInfo("test", 32, 24, Fraction(25))


def frames(count, size="32x24"):
    return list(SyntheticSource(f"synthetic:{size}", rate=25, num_frames=count))


def with_path_sinks():
    return [name for name in plugins.names(sinks) if name in SPECS]


def test_every_sink_with_a_spec_is_found():
    for name in with_path_sinks():
        assert plugins.load(sinks, name).accepts(SPECS[name])
        others = [n for n in with_path_sinks() if n != name]
        assert not any(plugins.load(sinks, n).accepts(SPECS[name]) for n in others)


@pytest.mark.parametrize("name", ["file", "images", "null"])
def test_contract(tmp_path, name):
    spec = SPECS[name] if name == "null" else str(tmp_path / SPECS[name])
    sink = open_sink(spec, INFO)
    for frame in frames(3):
        sink.write(frame)
    with pytest.raises(ValueError):
        sink.write(Frame(np.zeros((5, 5, 3), np.uint8), Fraction(9), 3))
    sink.close()
    sink.close()
    sink.abort()
    assert sink.frames == 3


@pytest.mark.parametrize("name", plugins.names(sources))
def test_sources_say_what_they_accept(name):
    plugin = plugins.load(sources, name)
    assert plugin.accepts("no such thing at all") is False


def test_unknown_output():
    with pytest.raises(UsageError, match="no sink writes"):
        open_sink("out.xyz", INFO)


def test_pictures_come_back_with_their_times(tmp_path):
    times = [Fraction(0), Fraction(1001, 30000), Fraction(1, 2)]
    written = [Frame(f.image, t, f.index) for f, t in zip(frames(3), times, strict=True)]
    sink = open_sink(tmp_path / "p" / "*.png", INFO)
    for frame in written:
        sink.write(frame)
    sink.close()
    for a, b in zip(written, open_source(tmp_path / "p"), strict=True):
        assert np.array_equal(a.image, b.image)
        assert abs(a.time - b.time) < Fraction(1, 10**9)
    assert not list((tmp_path / "p").glob("*.part"))


def test_pictures_resume_behind_the_last_whole_one(tmp_path):
    spec = tmp_path / "p" / "%04d.png"
    sink = open_sink(spec, INFO)
    for frame in frames(5):
        sink.write(frame)
    sink.abort()
    (tmp_path / "p" / "0003.png").unlink()
    with pytest.raises(OutputExists, match="--resume"):
        open_sink(spec, INFO)
    sink = open_sink(spec, INFO, resume=True)
    assert sink.frames == 3
    assert sink.resumed == (2, Fraction(2, 25))
    for frame in frames(6)[3:]:
        sink.write(frame)
    sink.close()
    assert len(list(open_source(tmp_path / "p"))) == 6


def test_pictures_on_a_full_disk(tmp_path, monkeypatch):
    sink = open_sink(tmp_path / "p" / "%04d.png", INFO)
    sink.write(frames(1)[0])

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SinkError, match=r"No space.*the 1 pictures before it are whole"):
        sink.write(frames(2)[1])
    sink.abort()


@pytest.mark.parametrize("spec", ["a/%d_%d.png", "b/%d.jpg"])
def test_bad_patterns(spec):
    with pytest.raises(UsageError):
        split_pattern(spec)


@pytest.mark.parametrize("pipe_format", ["rgb24", "bgr24"])
def test_bare_frames_loop_back(pipe_format):
    pipe = io.BytesIO()
    sink = PipeSink("-", INFO, pipe_format=pipe_format, file=pipe)
    for frame in frames(4):
        sink.write(frame)
    sink.close()
    pipe.seek(0)
    got = list(PipeSource("-", raw=f"32x24@25:{pipe_format}", file=pipe))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames(4), got, strict=True))


def test_y4m_says_what_it_is():
    pipe = io.BytesIO()
    info = SourceInfo("x", 32, 24, Fraction(30000, 1001))
    sink = PipeSink("-", info, pipe_format="y4m", file=pipe)
    for frame in frames(4):
        sink.write(frame)
    sink.close()
    pipe.seek(0)
    source = PipeSource("-", file=pipe)
    assert source.info.rate == Fraction(30000, 1001)
    got = list(source)
    assert len(got) == 4
    assert np.abs(got[2].image.astype(int) - frames(4)[2].image).mean() < 6


class Gone(io.BytesIO):
    def write(self, data):
        raise BrokenPipeError


def test_a_reader_that_went_away():
    sink = PipeSink("-", INFO, file=Gone())
    with pytest.raises(SinkError, match="went away"):
        sink.write(frames(1)[0])


def test_unknown_pipe_format():
    with pytest.raises(UsageError, match="rgb24"):
        PipeSink("-", INFO, pipe_format="png", file=io.BytesIO())
