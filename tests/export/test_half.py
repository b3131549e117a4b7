import json
import sys

import onnx
import pytest
import torch

import export.export as flow
from export.__main__ import main
from runtime.card import KEY, ModelCard
from training.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture(autouse=True)
def needs_the_converter(monkeypatch):
    pytest.importorskip("onnxconverter_common", reason="onnxconverter-common is not installed")
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))


def arguments(checkpoint, path, photos):
    given = ["--checkpoint", str(checkpoint), "--output", str(path), "--precision", "fp16"]
    return [*given, "--photos", str(photos), "--quiet"]


def test_fp16_with_float_normalizations(checkpoint, photos_folder, tmp_path):
    path = tmp_path / "toy-fp16.onnx"
    assert main(arguments(checkpoint, path, photos_folder)) == 0
    model = onnx.load(path)
    card = ModelCard.from_json({e.key: e.value for e in model.metadata_props}[KEY])
    assert card.precision == "fp16" and card.inputs[0].dtype == "float32"
    types = {t.name: t.data_type for t in model.graph.initializer}
    operations = {node.op_type: node for node in model.graph.node}
    assert types[operations["Conv"].input[1]] == onnx.TensorProto.FLOAT16
    assert types[operations["InstanceNormalization"].input[1]] == onnx.TensorProto.FLOAT
    receipt = json.loads(path.with_suffix(".json").read_text())
    assert all(entry["psnr_db"] >= 55 for entry in receipt["parity"]["sizes"])


def test_values_beyond_half_precision_are_refused(checkpoint, photos_folder, tmp_path, capsys):
    """A normalization hides any scale from float32, but not from float16."""
    loaded = load_checkpoint(checkpoint)
    stem = loaded.tensors["generator.stem.weight"]
    loaded.tensors["generator.stem.weight"] = stem * torch.tensor(1e7)
    huge = tmp_path / "huge.safetensors"
    save_checkpoint(loaded, huge)
    path = tmp_path / "huge.onnx"
    assert main(arguments(huge, path, photos_folder)) == 4
    assert "does not match its source" in capsys.readouterr().err
    assert not path.exists() and path.with_name("huge.onnx.rejected").exists()


def test_without_the_converter(checkpoint, photos_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxconverter_common", None)
    assert main(arguments(checkpoint, tmp_path / "x.onnx", photos_folder)) == 3
    assert "pip install onnxconverter-common" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
