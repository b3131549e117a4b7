"""Every engine in the folder keeps the contract of `runtime.engines`; a new file is tested here."""

import numpy as np
import pytest

from runtime import engines, plugins
from runtime.errors import CardMismatch, EngineUnavailable, StyleError, UsageError

NAMES = plugins.names(engines)


@pytest.fixture(params=NAMES)
def open_engine(request):
    """The engine's `open`; skips if its library is absent here."""
    plugin = plugins.load(engines, request.param)

    def opened(path, device="cpu", threads=1):
        try:
            return plugin.open(path, device, threads)
        except EngineUnavailable as absent:
            pytest.skip(str(absent))

    return opened


def test_the_default_engine_is_there():
    assert "onnxruntime" in NAMES


def test_inputs_outputs_and_metadata(open_engine, invert_model):
    engine = open_engine(invert_model)
    (image,), (styled,) = engine.inputs, engine.outputs
    assert (image.name, image.dtype, len(image.shape)) == ("image", "float32", 4)
    assert image.shape[1] == 3 and isinstance(image.shape[2], str)
    assert styled.name == "styled"
    assert "impasto.card" in engine.metadata
    assert engine.device == "cpu" and engine.note == ""
    engine.close()


def test_runs_at_any_size(open_engine, invert_model):
    engine = open_engine(invert_model)
    for height, width in ((8, 8), (13, 5), (40, 64)):
        x = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
        for outputs in (None, ["styled"]):
            result = engine.run({"image": x}, outputs)
            assert list(result) == ["styled"]
            assert np.allclose(result["styled"], 1 - x, atol=1e-6)
    engine.close()


def test_models_from_memory(open_engine, invert_model):
    engine = open_engine(invert_model.read_bytes())
    x = np.zeros((1, 3, 4, 4), np.float32)
    assert (engine.run({"image": x})["styled"] == 1).all()
    engine.close()


def test_a_failing_run_is_one_line(open_engine, invert_model):
    engine = open_engine(invert_model)
    with pytest.raises(StyleError) as caught:
        engine.run({"image": np.zeros((3, 4), np.float32)})
    assert "\n" not in str(caught.value) and "[3, 4]" in str(caught.value)
    engine.close()


def test_close_twice_and_not_used_after(open_engine, invert_model):
    engine = open_engine(invert_model)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.run({"image": np.zeros((1, 3, 4, 4), np.float32)})


def test_what_is_no_model_is_refused(open_engine, tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("words")
    with pytest.raises(CardMismatch, match=r"text\.onnx"):
        open_engine(path)
    with pytest.raises(CardMismatch):
        open_engine(b"words")


def test_unknown_devices_are_refused(open_engine, invert_model):
    with pytest.raises(UsageError, match="device"):
        open_engine(invert_model, device="abacus")
