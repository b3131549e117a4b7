"""What every engine of phones must do, whatever its format; the tests of each stack call these."""

import numpy as np
import pytest

from runtime.errors import CardMismatch, StyleError, UsageError


def pictures(engine, count=2, size=(64, 96)):
    """Random tensors as the engine's only input wants them."""
    (image,) = engine.inputs
    shape = (1, *size, 3) if image.shape[3] == 3 else (1, 3, *size)
    rng = np.random.default_rng(0)
    if image.dtype == "uint8":
        return [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(count)]
    return [rng.random(shape, np.float32) for _ in range(count)]


def keeps_answers(plugin, path):
    """One answer is not overwritten by the next, and the caller's array is only read."""
    engine = plugin.open(path, "cpu")
    name, one, other = engine.inputs[0].name, *pictures(engine)
    before = one.copy()
    (first,) = engine.run({name: one}).values()
    kept = first.copy()
    engine.run({name: other})
    assert np.array_equal(first, kept) and np.array_equal(one, before)
    assert np.array_equal(engine.run({name: one})[engine.outputs[0].name], kept)
    assert first.shape == one.shape and engine.device == "cpu" and engine.note == ""
    engine.close()


def reads_bytes(plugin, path):
    """A model in memory is the same model."""
    engine, other = plugin.open(path, "cpu", 1), plugin.open(path.read_bytes(), "cpu", 1)
    name, picture, _ = engine.inputs[0].name, *pictures(engine)
    for one, two in zip(
        engine.run({name: picture}).values(), other.run({name: picture}).values(), strict=True
    ):
        assert np.array_equal(one, two)
    engine.close()
    other.close()


def fails_in_words(plugin, path, tmp_path):
    """Wrong pictures, devices and files are one line each; a closed engine stays closed."""
    engine = plugin.open(path, "cpu", 1)
    name = engine.inputs[0].name
    with pytest.raises(StyleError) as caught:
        engine.run({name: np.zeros((3, 4), np.float32)})
    assert "\n" not in str(caught.value) and "[3, 4]" in str(caught.value)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.run({name: np.zeros((3, 4), np.float32)})
    with pytest.raises(UsageError, match="device"):
        plugin.open(path, "abacus")
    broken = tmp_path / f"broken{path.suffix}"
    for data in (b"words", path.read_bytes()[:300]):
        broken.write_bytes(data)
        with pytest.raises(CardMismatch) as refused:
            plugin.open(broken, "cpu", 1)
        assert "\n" not in str(refused.value) and "broken" in str(refused.value)
