"""A few hundred damaged inputs for every parser that we wrote; `fuzz.py` looks for more."""

import numpy as np
import pytest

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
