"""The GAN sanity report: its problems by hand, the command at toy size, and (slow) its aims."""

import json

import numpy as np
import pytest

from benchmarks.sanity import __main__ as sanity
from benchmarks.sanity import toys


def test_maps_are_known():
    image = toys.pictures(1, toys.same, 0)[0]
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    assert (image[..., 0] > image[..., 2]).all()  # warm
    np.testing.assert_array_equal(toys.negative(toys.negative(image)), image)
    turned = image
    for _ in range(3):
        turned = toys.hue_turned(turned)
    np.testing.assert_array_equal(turned, image)
    striped = toys.striped(np.full((8, 4, 3), 100, np.uint8))
    assert striped[:, 0, 0].tolist() == [60, 60, 100, 100, 60, 60, 100, 100]


def test_the_same_seed_makes_the_same_pictures():
    first, again = toys.pictures(2, toys.same, 5), toys.pictures(2, toys.negative, 5)
    np.testing.assert_array_equal(first, 255 - np.array(again))
    assert not np.array_equal(first, toys.pictures(2, toys.same, 6))


def test_features_tell_every_map_from_the_first_domain():
    from benchmarks.metrics._proxies import kernel_distance

    def features(change, seed):
        return toys.describe(np.stack(toys.pictures(40, change, seed)) / 255)

    null = abs(kernel_distance(features(toys.same, 1), features(toys.same, 2)))
    for change in toys.MAPS.values():
        assert kernel_distance(features(toys.same, 1), features(change, 2)) > 10 * null


def test_missed_names_what_fails():
    assert sanity.missed({"cycle": 0.01, "kid_left": 0.05, "accuracy_first": 0.7}) == []
    assert sanity.missed({"cycle": 0.06, "accuracy_first": 0.95}) == ["cycle", "accuracy_first"]
    assert sanity.missed({"upright": 1.4, "seed_difference": 1e-9}) == [
        "upright",
        "seed_difference",
    ]


def test_the_command_writes_every_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(sanity, "PICTURES", 4)
    path = tmp_path / "sanity.json"
    words = ["--steps", "2", "--pair-steps", "2", "--json", str(path), "--quiet"]
    assert sanity.main(words) == 0
    rows = {row["id"]: row for row in json.loads(path.read_text())["rows"]}
    assert list(rows) == sanity.PROBLEMS
    assert {"spectral", "scales", "matching", "deviation", "rates"} < set(rows)
    assert rows["seed"]["metrics"]["seed_difference"] == 0
    assert "cycle" in rows["hue"]["labels"]["missed"]
    assert sanity.main(words) == 2


def test_an_unknown_problem_is_named(capsys):
    assert sanity.main(["--problems", "pear"]) == 2
    assert 'no problem "pear", there are pair, hue' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(toys.MAPS))
def test_cyclegan_finds_a_known_map(name, tmp_path):
    """Cycle, kernel distance, matched discriminators, upright colors: every aim of the report."""
    found = sanity.find_map(tmp_path, toys.MAPS[name], 800)
    assert sanity.missed(found) == [], found
