"""Timecodes, with answers that are known by hand."""

from fractions import Fraction

import pytest

from runtime.media.timecode import advance

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("code", "frames", "rate", "wanted"),
    [
        ("01:02:03:04", 0, 25, "01:02:03:04"),
        ("01:02:03:04", 21, 25, "01:02:04:00"),
        ("23:59:59:24", 1, 25, "00:00:00:00"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),
        ("00:01:00;02", 1798, NTSC, "00:02:00;02"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
    ],
)
def test_later_frames(code, frames, rate, wanted):
    assert advance(code, Fraction(frames) / rate, Fraction(rate)) == wanted


def test_an_hour_of_dropped_names_never_repeats_one():
    names = [advance("00:58:00;02", n / NTSC, NTSC) for n in range(5000)]
    assert len(set(names)) == len(names) == 5000
    assert names == sorted(names)
    assert not [n for n in names if n[6:] in ("00;00", "00;01") and n[4] != "0"]


@pytest.mark.parametrize("text", ["", "ten", "1:2:3", "01:02:03"])
def test_what_is_no_timecode(text):
    assert advance(text, Fraction(1), Fraction(25)) is None
