"""Every engine keeps the contract of `runtime.engines` in every format there is a sample of
(`engine_samples`); a new file in the folder is tested here."""

import numpy as np
import pytest

from runtime import engines, plugins
from runtime.card import KEY, beside
from runtime.errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from runtime.model import formats
from tests.runtime.engines import engine_samples as samples

# Largest difference of any value of the sample's answer (0..1) from ONNX Runtime's.
TOLERANCE = {"onnxruntime": 0.0, "openvino": 2e-6, "ncnn": 2e-6}
# The same for engines that were allowed to be inexact.
HINTED = {"bf16": 0.05, "f16": 0.05}


@pytest.fixture(params=samples.CASES, ids="-".join)
def case(request):
    """(plugin, suffix); skips if the engine's library is absent here."""
    name, suffix = request.param
    if engines.why_not(name):
        pytest.skip(engines.why_not(name))
    return plugins.load(engines, name), suffix


@pytest.fixture
def sample(case, tmp_path):
    """The sample in the case's format."""
    _, suffix = case
    return samples.WRITERS[suffix](tmp_path / f"sample{suffix}")


@pytest.fixture
def open_engine(case):
    def opened(path, device="cpu", threads=1, **options):
        return case[0].open(path, device, threads, **options)

    return opened


def picture(height=24, width=40):
    return np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)


def test_the_default_engine_is_there():
    assert "onnxruntime" in plugins.names(engines)


def test_inputs_outputs_and_metadata(open_engine, sample):
    engine = open_engine(sample)
    (image,), (styled,) = engine.inputs, engine.outputs
    assert (image.name, image.dtype, len(image.shape)) == ("image", "float32", 4)
    assert isinstance(image.shape[2], str)
    assert styled.name == "styled"
    assert KEY in engine.metadata or beside(sample).is_file()
    assert engine.device == "cpu" and engine.note == ""
    engine.close()


def test_runs_at_any_size(open_engine, sample):
    engine = open_engine(sample)
    for height, width in ((8, 8), (13, 5), (40, 64)):
        for outputs in (None, ["styled"]):
            x = picture(height, width)
            given = x.copy()
            result = engine.run({"image": x}, outputs)
            assert list(result) == ["styled"]
            assert result["styled"].shape == (1, 3, height, width)
            assert np.array_equal(x, given), "the caller's array is only read"
    engine.close()


def test_the_same_picture_as_onnxruntime(case, open_engine, sample, tmp_path):
    onnxruntime = plugins.load(engines, "onnxruntime")
    reference = onnxruntime.open(samples.write_onnx(tmp_path / "reference.onnx"), "cpu", 1)
    name = case[0].__module__.rsplit(".", 1)[-1]
    for hint in ("", *case[0].hints):
        engine = open_engine(sample, **({"hint": hint} if hint else {}))
        exact = hint in ("", *case[0].hints[:1])
        for height, width in ((24, 40), (61, 37)):
            x = picture(height, width)
            one, other = (e.run({"image": x})["styled"] for e in (reference, engine))
            assert one.std() > 0.05  # a picture, not a flat answer
            most = TOLERANCE[name] if exact else HINTED[hint]
            assert np.abs(one - other).max() <= most, (hint, height, width)
        assert (engine.note == "") == exact, "what is inexact is said"
        engine.close()


def test_answers_are_not_overwritten_by_the_next_run(open_engine, sample):
    engine = open_engine(sample)
    first = engine.run({"image": picture()})["styled"]
    kept = first.copy()
    engine.run({"image": 1 - picture()})
    assert np.array_equal(first, kept)
    engine.close()


def test_models_from_memory(case, open_engine, sample):
    if case[1] != ".onnx":
        pytest.skip(f"{case[1]} is read from files only")
    engine, other = open_engine(sample.read_bytes()), open_engine(sample)
    one, two = (e.run({"image": picture()})["styled"] for e in (engine, other))
    assert np.array_equal(one, two)
    for opened in (engine, other):
        opened.close()


def test_a_failing_run_is_one_line(open_engine, sample):
    engine = open_engine(sample)
    with pytest.raises(StyleError) as caught:
        engine.run({"image": np.zeros((3, 4), np.float32)})
    assert "\n" not in str(caught.value) and "[3, 4]" in str(caught.value)
    engine.close()


def test_close_twice_and_not_used_after(open_engine, sample):
    engine = open_engine(sample)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.run({"image": picture()})


def test_what_is_no_model_is_refused(case, open_engine, tmp_path, capfd):
    path = tmp_path / f"text{case[1]}"
    path.write_text("words")
    other = formats.beside(path)
    if other is not None:
        other.write_text("words")
    with pytest.raises(CardMismatch, match="text"):
        open_engine(path)
    with pytest.raises(CardMismatch):
        open_engine(b"words")
    said = capfd.readouterr()
    assert said.out == "" and said.err == ""


def test_a_truncated_model_is_refused(case, open_engine, sample, capfd):
    last = formats.beside(sample) or sample
    last.write_bytes(last.read_bytes()[:300])
    with pytest.raises(CardMismatch) as caught:
        open_engine(sample)
    assert "\n" not in str(caught.value)
    said = capfd.readouterr()
    assert said.out == "" and said.err == ""


def test_unknown_devices_are_refused(open_engine, sample):
    with pytest.raises(UsageError, match="device"):
        open_engine(sample, device="abacus")


@pytest.mark.parametrize("device", ["gpu", "npu"])
def test_absent_devices_are_no_silent_cpu(case, open_engine, sample, device):
    if device not in case[0].devices:
        pytest.skip(f"{case[0].label} knows no {device}")
    try:
        engine = open_engine(sample, device=device)
    except EngineUnavailable as error:
        assert f"--device {device}" in str(error) and "\n" not in str(error)
    else:
        assert engine.device.startswith(device)
        engine.close()
