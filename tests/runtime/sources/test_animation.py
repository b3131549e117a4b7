"""Animated pictures as clips: every frame, its delay, its alpha."""

from fractions import Fraction
from itertools import accumulate

import av
import numpy as np
import pytest
from PIL import Image

from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import UsageError
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.sources import open_source
from runtime.sources.animation import AnimationSource

DELAYS = [40, 80, 120, 40]  # ms
TIMES = [Fraction(end - delay, 1000) for end, delay in zip(accumulate(DELAYS), DELAYS, strict=True)]


def pictures(see_through):
    found = []
    for number in range(len(DELAYS)):
        rgba = np.full((32, 48, 4), 255, np.uint8)
        rgba[..., number % 3] = 40 * number
        rgba[:16, :, 3] = 0 if see_through else 255
        rgba[:8, 8 * number : 8 * number + 8] = 255
        found.append(rgba)
    return found


@pytest.fixture
def animation(tmp_path):
    """`animation("webp")`: four frames, whose upper half is transparent but for a square."""

    def make(ending, see_through=True):
        first, *rest = map(Image.fromarray, pictures(see_through))
        path = tmp_path / f"in.{ending}"
        how = (
            {"lossless": True} if ending == "webp" else {"quality": 100} if ending == "avif" else {}
        )
        first.save(path, save_all=True, append_images=rest, duration=DELAYS, loop=0, **how)
        return path

    return make


@pytest.mark.parametrize("ending", ["webp", "png", "avif"])
@pytest.mark.parametrize("see_through", [True, False])
def test_frames_times_and_alpha(animation, ending, see_through):
    with open_source(animation(ending, see_through)) as source:
        assert isinstance(source, AnimationSource)
        assert source.info.num_frames == 4
        assert source.info.rate == 4 / Fraction(280, 1000)
        assert source.clip is not None
        assert source.clip.alpha == see_through
        frames = list(source)
    assert [f.time for f in frames] == TIMES
    assert [f.duration for f in frames] == [Fraction(ms, 1000) for ms in DELAYS]
    for frame, rgba in zip(frames, pictures(see_through), strict=True):
        opaque = rgba[..., 3] > 0
        far = np.abs(frame.image.astype(int) - rgba[..., :3])[opaque].mean()
        assert far < (5 if ending == "avif" else 1e-9)
        if see_through:
            assert frame.alpha is not None
            np.testing.assert_array_equal(frame.alpha > 127, opaque)
        else:
            assert frame.alpha is None


def test_a_part_and_what_follows(animation):
    path = animation("webp")
    with open_source(path, start=Fraction(1, 10)) as source:
        assert [(f.index, f.time) for f in source] == [(0, TIMES[2]), (1, TIMES[3])]
    with open_source(path, after=(1, TIMES[1])) as source:
        assert [(f.index, f.time) for f in source] == [(2, TIMES[2]), (3, TIMES[3])]


def test_thirds_of_a_millisecond_are_exact(tmp_path):
    first, *rest = map(Image.fromarray, pictures(False))
    first.save(tmp_path / "in.png", save_all=True, append_images=rest, duration=1000 / 30)
    with open_source(tmp_path / "in.png") as source:
        assert source.info.rate == 30
        assert [f.time for f in source] == [Fraction(n, 30) for n in range(4)]


def test_pictures_that_stand_still_are_no_animations(tmp_path):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.webp")
    (tmp_path / "b.png").write_bytes(b"\x89PNG and then nothing")
    assert not AnimationSource.accepts(str(tmp_path / "a.webp"))
    assert not AnimationSource.accepts(str(tmp_path / "b.png"))
    assert len(list(open_source(tmp_path / "a.webp"))) == 1


@pytest.fixture
def stylizer(invert_model):
    with open_stylizer(StylizeOptions([(str(invert_model), 1.0)], device="cpu")) as opened:
        yield opened


def paint(stylizer, source, output, *, segment=120, resume=False):
    options = ClipOptions(sink={"verify": True, "segment": segment}, resume=resume)
    return paint_clip(Job(str(source), str(output)), stylizer, options, Meter())


@pytest.mark.parametrize("ending", ["webp", "png", "avif"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".apng", ".gif"])
def test_painted(animation, stylizer, tmp_path, ending, suffix):
    output = tmp_path / f"out{suffix}"
    facts = paint(stylizer, animation(ending), output).facts
    assert facts["frames_out"] == 4
    with av.open(str(output)) as container:
        base = container.streams.video[0].time_base
        times = [Fraction(f.pts * base) for f in container.decode(video=0)]
    assert [round(1000 * time) for time in times] == [round(1000 * time) for time in TIMES]


def test_another_animation_is_not_resumed(animation, stylizer, tmp_path, monkeypatch):
    from runtime.sinks.file import FileSink

    path, output = animation("webp"), tmp_path / "out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "_join", lambda self, whole: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            paint(stylizer, path, output, segment=2)
    other = path.with_name("other.webp")
    other.write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="input was"):
        paint(stylizer, other, output, segment=2, resume=True)
    assert paint(stylizer, path, output, segment=2, resume=True).facts["frames_out"] == 4
