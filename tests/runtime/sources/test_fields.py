"""Interlaced clips: whole pictures of what moves, the same times, nothing else touched."""

import shutil
import subprocess

import numpy as np
import pytest

from runtime.clips.excerpt import Span, open_excerpt
from runtime.sources import open_source


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """`clip("mp4")`: half a second that is progressive, then one second that is interlaced."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")
    folder = tmp_path_factory.mktemp("fields")
    graph = (
        "testsrc2=s=96x64:r=25:d=0.4,setfield=prog[a];"
        "testsrc2=s=96x64:r=50:d=1,tinterlace=interleave_top,setfield=tff[b];"
        "[a][b]concat=n=2"
    )
    codecs = {
        "mp4": ["-c:v", "libx264", "-g", "5", "-bf", "2", "-x264-params", "tff=1"],
        "mpg": ["-c:v", "mpeg2video", "-g", "5", "-bf", "2"],
    }

    def make(kind):
        path = folder / f"in.{kind}"
        if not path.exists():
            flags = ["-flags", "+ilme+ildct", "-q:v", "2", str(path)]
            command = ["ffmpeg", "-v", "error", "-y", "-filter_complex", graph, *codecs[kind]]
            subprocess.run([*command, *flags], check=True, timeout=60)
        return path

    return make


def combs(image):
    """How much the lines of a picture differ from the mean of the lines around them."""
    lines = image.astype(int)
    return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())


def read(path, **options):
    with open_source(path, **options) as source:
        return list(source), list(source.remarks)


@pytest.mark.parametrize("kind", ["mp4", "mpg"])
def test_pictures_become_whole_and_keep_their_times(clip, kind):
    woven, left = read(clip(kind), deinterlace="off")
    whole, said = read(clip(kind))
    assert any("whole pictures were made" in text for text in said)
    assert any("painted as one" in text for text in left)
    facts = [[(f.index, f.time, f.duration) for f in frames] for frames in (woven, whole)]
    assert facts[0] == facts[1]
    before, after = [np.mean([combs(f.image) for f in fs[12:]]) for fs in (woven, whole)]
    assert after < 0.85 * before


def test_progressive_pictures_are_left_alone(make_clip):
    path = make_clip("in.mp4", frames=12)
    (one, _), (two, said) = read(path, deinterlace="off"), read(path)
    assert not said
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


@pytest.mark.parametrize("kind", ["mp4", "mpg"])
def test_where_decoding_begins_changes_nothing(clip, kind):
    whole, _ = read(clip(kind))
    for number in (5, 11, 12, 20):
        rest, _ = read(clip(kind), after=(number, whole[number].time))
        for a, b in zip(rest, whole[number + 1 :], strict=True):
            np.testing.assert_array_equal(a.image, b.image, f"{number}: {b.index}")
        with open_excerpt(str(clip(kind)), Span(whole[number].time)) as source:
            np.testing.assert_array_equal(next(iter(source)).image, whole[number].image)
