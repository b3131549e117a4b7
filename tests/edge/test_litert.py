"""LiteRT models: written, run by LiteRT, compared. In .venv-litert only."""

import pytest

pytest.importorskip("litert_torch", reason="make test-edge")

import numpy as np

from runtime.engines.litert import PLUGIN
from runtime.model.session import open_session
from tests.edge import engine_contract
from tests.edge.openings import exported

SIZE = ("--size", "96x64")


model = exported("litert", "toy.tflite", *SIZE)


def test_floats_are_exact_and_channels_last(model):
    path, report = model
    assert report["verdict"] == "passed"
    assert all(entry["psnr_db"] >= 90 for entry in report["parity"]["sizes"])
    with open_session(path) as session:
        (image,) = session.card.inputs
        assert (image.layout, image.dtype, image.shape) == ("NHWC", "float32", (1, 64, 96, 3))
        assert session.engine == "litert" and session.has_fixed_size
        assert session.stylize(np.zeros((30, 50, 3), np.uint8)).shape == (30, 50, 3)


def test_engine(model, tmp_path):
    engine_contract.keeps_answers(PLUGIN, model[0])
    engine_contract.reads_bytes(PLUGIN, model[0])
    engine_contract.fails_in_words(PLUGIN, model[0], tmp_path)


def test_int8_measured_on_every_frame(checkpoint, export, model, tmp_path):
    path = tmp_path / "toy.tflite"
    code, report = export(checkpoint("instance"), "litert", path, *SIZE, "--precision", "int8")
    assert code == 0 and report["bytes"] < model[1]["bytes"]
    assert all(entry["psnr_db"] >= 30 for entry in report["parity"]["sizes"])


def test_int8_by_photos_takes_and_gives_bytes(checkpoint, export, tmp_path):
    path = tmp_path / "toy.tflite"
    words = (*SIZE, "--precision", "int8", "--option", "activations=static")
    code, report = export(checkpoint("none"), "litert", path, *words)
    assert code == 0, "a network without normalization stands it"
    with open_session(path) as session:
        ports = (*session.card.inputs, *session.card.outputs)
        assert {port.dtype for port in ports} <= {"uint8", "float32"}
        assert ports[0].dtype == "uint8"
    assert "static_wi8_ai8" in " ".join(report["steps"])
    engine_contract.keeps_answers(PLUGIN, path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--size", "63x64"), "multiples of 4"),
        (("--precision", "int8", "--option", "activations=some"), "allowed are dynamic, static"),
    ],
)
def test_wrong_requests(checkpoint, export, tmp_path, capsys, words, says):
    code, report = export(checkpoint("instance"), "litert", tmp_path / "toy.tflite", *words)
    error = capsys.readouterr().err
    assert code == 2 and report is None and says in error and error.count("\n") == 1
