"""Picture, pipe and null sinks, and the contract all path sinks keep."""

import errno
import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from runtime import plugins, sinks, sources
from runtime.errors import EngineUnavailable, OutputExists, SinkError, SourceError, UsageError
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


def write_pictures(spec, count, **options):
    sink = open_sink(spec, INFO, **options)
    for frame in frames(count)[sink.frames :]:
        sink.write(frame)
    return sink


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_pictures_resume_behind_the_last_whole_one(tmp_path):
    spec = tmp_path / "p" / "%04d.png"
    write_pictures(spec, 5).abort()
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
    write_pictures(tmp_path / "whole" / "%04d.png", 6).close()
    assert pictures(tmp_path / "p") == pictures(tmp_path / "whole")


def test_a_changed_picture_ends_what_is_whole(tmp_path):
    spec = tmp_path / "p" / "%04d.png"
    write_pictures(spec, 5).abort()
    data = bytearray((tmp_path / "p" / "0002.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "p" / "0002.png").write_bytes(data)
    assert open_sink(spec, INFO, resume=True).frames == 2


@pytest.mark.parametrize("wish", ["none", "resume", "overwrite"])
def test_other_pictures_in_the_folder_are_never_touched(tmp_path, wish):
    folder = tmp_path / "holiday"
    folder.mkdir()
    names = ["cat.png", "00001.png", "0000010.png", "000007.png", "000001.jpg", ".parts"]
    mine = {name: f"mine {name}".encode() for name in names}
    for name, data in mine.items():
        (folder / name).write_bytes(data)
    options = {wish: True} if wish != "none" else {}
    if wish != "overwrite":
        with pytest.raises(OutputExists, match="1 pictures of such names"):
            open_sink(folder / "%06d.png", INFO, **options)
        (folder / "000007.png").unlink()
        del mine["000007.png"]
    sink = write_pictures(folder / "%06d.png", 3, **options)
    sink.close()
    there = pictures(folder)
    assert {name: there[name] for name in mine} == mine
    assert len(there) == len(mine) + 3 + 1
    assert any("000007.png" in note for note in sink.notes) == (wish == "overwrite")


def test_a_picture_that_appears_meanwhile_is_left_alone(tmp_path):
    spec = tmp_path / "p" / "%04d.png"
    sink = write_pictures(spec, 3)
    (tmp_path / "p" / "0003.png").write_bytes(b"mine")
    with pytest.raises(OutputExists, match=r"3 pictures before it.*--resume"):
        sink.write(frames(4)[3])
    sink.abort()
    sink = open_sink(spec, INFO, resume=True)
    assert sink.frames == 3
    with pytest.raises(OutputExists):
        sink.write(frames(4)[3])
    assert (tmp_path / "p" / "0003.png").read_bytes() == b"mine"


def test_pictures_of_another_model_are_not_continued(tmp_path):
    spec = tmp_path / "p" / "%04d.png"
    write_pictures(spec, 2, settings={"model": "a"}).abort()
    with pytest.raises(UsageError, match="model was a, is b"):
        open_sink(spec, INFO, resume=True, settings={"model": "b"})
    write_pictures(spec, 2, overwrite=True, settings={"model": "b"}).close()


def test_the_times_of_other_pictures_are_not_replaced(tmp_path):
    (tmp_path / "timestamps.txt").write_text("mine")
    with pytest.raises(OutputExists, match=r"timestamps\.txt"):
        open_sink(tmp_path / "%04d.png", INFO)
    assert (tmp_path / "timestamps.txt").read_text() == "mine"


def test_pictures_on_a_full_disk(tmp_path, monkeypatch):
    sink = open_sink(tmp_path / "p" / "%04d.png", INFO)
    sink.write(frames(1)[0])

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(SinkError, match=r"No space.*the 1 pictures before it are whole"):
            sink.write(frames(2)[1])
    sink.abort()
    assert sorted(pictures(tmp_path / "p")) == ["0000.png", "timestamps.txt"]
    assert open_sink(tmp_path / "p" / "%04d.png", INFO, resume=True).frames == 1


@pytest.mark.parametrize("spec", ["a/%d_%d.png", "b/%d.jpg", "c/50%_%d.png"])
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


@pytest.mark.parametrize(("times", "told"), [((0, 1, 2, 3), 0), ((0, 1, 2, 8), 1)])
def test_bare_frames_cannot_hold_variable_rates(times, told):
    info = SourceInfo("x", 32, 24, Fraction(25))
    sink = PipeSink("-", info, pipe_format="y4m", file=io.BytesIO())
    for frame, time in zip(frames(4), times, strict=True):
        sink.write(Frame(frame.image, Fraction(time, 25), frame.index))
    sink.close()
    sink.close()
    assert len(sink.notes) == told
    assert all("at 25 frames per second pictures are up to 0.20 s" in note for note in sink.notes)


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


def test_numbered_pictures_are_a_clip_and_gaps_are_refused(tmp_path):
    write_pictures(tmp_path / "f_%04d.png", 5).close()
    (tmp_path / "f_0005x.png").write_bytes(b"another")
    assert len(list(open_source(tmp_path / "f_%04d.png", rate=Fraction(10)))) == 5
    (tmp_path / "f_0002.png").unlink()
    with pytest.raises(SourceError, match=r"1 pictures .* are missing, the first is f_0002\.png"):
        open_source(tmp_path / "f_%04d.png")


@pytest.mark.parametrize("spec", ["spout", "syphon:Stage"])
def test_shared_textures_are_refused_with_what_reaches_the_same_programs(spec):
    with pytest.raises(EngineUnavailable, match=r"--output ndi"):
        open_sink(spec, INFO)
