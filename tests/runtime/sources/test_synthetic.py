"""Synthetic source: deterministic, sized and timed as asked, moving."""

from fractions import Fraction

import numpy as np
import pytest

from runtime.errors import SourceError
from runtime.frame import check_image
from runtime.sources import open_source
from runtime.sources.synthetic import SyntheticSource


def test_same_pixels_every_time():
    first = [f.image for f in open_source("synthetic:97x55@25x4")]
    again = [f.image for f in open_source("synthetic:97x55@25x4")]
    assert len(first) == 4
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[3])


def test_times_are_exact():
    source = open_source("synthetic:64x48@30000/1001x3")
    assert source.info.rate == Fraction(30000, 1001)
    assert [f.time for f in source] == [0, Fraction(1001, 30000), Fraction(2002, 30000)]


def test_info_and_image_rules():
    with open_source("synthetic", size=(80, 60), num_frames=1) as source:
        assert (source.info.width, source.info.height, source.info.live) == (80, 60, False)
        (frame,) = source
    assert check_image(frame.image).shape == (60, 80, 3)
    assert frame.image.flags.c_contiguous


def test_tiny_picture():
    (frame,) = SyntheticSource("synthetic:1x1", num_frames=1)
    assert frame.image.shape == (1, 1, 3)


def test_live_frames_carry_the_clock_and_stop_on_close():
    source = SyntheticSource("synthetic:32x24@200", live=True)
    times = []
    for frame in source:
        times.append(frame.time)
        if len(times) == 5:
            source.close()
    assert len(times) == 5
    assert times == sorted(set(times))
    assert all((t * 200).denominator == 1 for t in times)


@pytest.mark.parametrize("spec", ["synthetic:10", "synthetic:0x5", "synthetic:20000x2"])
def test_bad_specs_say_what_is_allowed(spec):
    with pytest.raises(SourceError, match="synthetic"):
        open_source(spec)


def test_unknown_input_suggests_a_near_name(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match=r'Did you mean "clip\.mp4"'):
        open_source(tmp_path / "clop.mp4")
