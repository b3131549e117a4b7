"""A few hundred damaged inputs for every parser that we wrote; `fuzz.py` looks for more."""

from fractions import Fraction

import numpy as np
import pytest

from runtime.media import ebml, matroska
from runtime.pictures import color_profile
from runtime.sources._length import missing_bytes
from tests.hostile import parsers, seeds
from tests.hostile.damage import damaged

TRIES = 300


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    pytest.importorskip("torch")
    return parsers.examples(seeds.make(tmp_path_factory.mktemp("seeds")))


@pytest.mark.parametrize("name", parsers.PARSERS)
def test_damage_is_answered_or_refused(name, good):
    rng = np.random.default_rng(1)
    parse = parsers.PARSERS[name]
    for data in good[name]:
        parse(data)
    for _ in range(TRIES):
        data = good[name][int(rng.integers(len(good[name])))]
        parse(damaged(data, rng))


def test_sizes_larger_than_any_file(tmp_path):
    """Found by fuzzing: the walk jumped to where no file system lets it."""
    path = tmp_path / "clip"
    path.write_bytes(b"\xec\x01" + (2**55).to_bytes(7, "big") + b"rest")
    assert missing_bytes(path, "matroska,webm") == 0


def test_two_checksums_of_the_tracks():
    """Found by fuzzing: one of them was left out, and everything behind it moved."""
    seal = ebml.element(ebml.CRC32, b"1234")
    kind = ebml.number(matroska.TRACK_TYPE, 1)
    name = ebml.element(matroska.TRACK_NAME, matroska.reserve("x").encode())
    track = ebml.element(matroska.TRACK, kind + name + ebml.element(matroska.VIDEO, b""))
    once = matroska._rewritten(seal + track, 64, 48, Fraction(4, 3))
    assert len(once) == len(seal + track)
    with pytest.raises(ValueError, match="more than one checksum"):
        matroska._rewritten(seal + seal + track, 64, 48, Fraction(4, 3))


def test_a_curve_that_divides_by_zero_is_no_profile():
    """Found by fuzzing: a parametric curve (a x + b)^g with a = 0 begins at -b / a."""
    profile = bytearray(color_profile.srgb_profile())
    at = profile.find(b"para\0\0\0\0\0\3")
    assert at > 0
    profile[at : at + 32] = b"para" + bytes(4) + b"\0\1\0\0" + bytes(20)
    assert color_profile.read_profile(bytes(profile)) is None
