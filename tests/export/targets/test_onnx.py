import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

import export.artifact as flow
from export.__main__ import main
from export.verify import parity
from runtime.card import KEY, ModelCard
from runtime.checksum import sha256
from runtime.model.session import open_session
from training.checkpoint import load_checkpoint

SMALL = ((96, 64), (65, 51))


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    monkeypatch.setattr(flow, "SIZES", SMALL)


@pytest.fixture(scope="module")
def exported(checkpoint, photos_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "toy.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", SMALL)
        arguments = ["--checkpoint", str(checkpoint), "--output", str(path)]
        assert main([*arguments, "--photos", str(photos_folder), "--quiet"]) == 0
    return path


def test_the_card_travels_in_the_file(exported, checkpoint):
    model = onnx.load(exported)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    card = ModelCard.from_json(stored[KEY])
    assert card.name == "toy" and card.network["width"] == 16
    assert card.checkpoint_sha256 == sha256(checkpoint)
    assert card.style == {"title": "Toy", "artist": "Nobody"}
    assert (card.multiple_of, card.minimum, card.normalization) == (4, 4, "instance")
    assert stored["Image.BitmapPixelFormat"] == "Rgb8"
    assert model.producer_name == "impasto"


def test_ports_and_axes(exported):
    graph = onnx.load(exported).graph
    assert [value.name for value in graph.input] == ["image"]
    assert [value.name for value in graph.output] == ["styled"]
    for value in (*graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        assert [axis.dim_param or axis.dim_value for axis in axes] == [1, 3, "height", "width"]


def test_no_path_of_this_machine_in_the_file(exported):
    data = exported.read_bytes()
    assert b"site-packages" not in data and b"/work" not in data and b"pkg.torch" not in data


def test_operations(exported):
    operations = [node.op_type for node in onnx.load(exported).graph.node]
    assert operations.count("InstanceNormalization") == 3
    assert operations.count("Clip") == 1


def test_receipt(exported, checkpoint):
    report = json.loads(exported.with_suffix(".json").read_text())
    assert report["sha256"] == sha256(exported)
    assert report["source"]["sha256"] == sha256(checkpoint)
    assert report["source"]["step"] == 7
    assert report["verdict"] == "passed"
    assert [entry["size"] for entry in report["parity"]["sizes"]] == ["96x64", "65x51"]
    assert all(entry["psnr_db"] > 90 for entry in report["parity"]["sizes"])
    assert "torch" in report["tools"] and "milliseconds" not in report


@pytest.mark.parametrize("size", [(4, 4), (33, 17), (64, 160)])
def test_any_size_equals_torch(exported, checkpoint, size):
    picture = np.random.default_rng(1).random((*size, 3), np.float32)
    generator = load_checkpoint(checkpoint).build_generator()
    with open_session(exported) as session:
        styled = session.stylize_float(picture)
        padded = session.padded_size(*size)
    whole = np.pad(picture, [(0, padded[0] - size[0]), (0, padded[1] - size[1]), (0, 0)], "reflect")
    with torch.no_grad():
        expected = generator(torch.from_numpy(whole.transpose(2, 0, 1).copy())[None]).clamp(0, 1)
    expected = expected[0].permute(1, 2, 0).numpy()[: size[0], : size[1]]
    assert np.abs(styled - expected).max() < 1e-4


def test_nothing_is_overwritten_unasked(exported, checkpoint, capsys):
    before = exported.read_bytes()
    assert main(["--checkpoint", str(checkpoint), "--output", str(exported)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert exported.read_bytes() == before


def test_a_refused_model_is_not_left_in_place(checkpoint, photos_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.LEAST_PSNR, "fp32", 500.0)
    path = tmp_path / "toy.onnx"
    path.write_bytes(b"an older model")
    path.with_suffix(".json").write_text("{}")
    arguments = ["--checkpoint", str(checkpoint), "--output", str(path), "--overwrite"]
    assert main([*arguments, "--photos", str(photos_folder), "--quiet"]) == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["toy.onnx.rejected"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--checkpoint", "absent.safetensors"], 2, "no checkpoint"),
        (["--target", "onxx"], 2, 'Did you mean "onnx"'),
        (["--opset", "12"], 2, "allowed are 13"),
        (["--size", "63x64"], 2, "multiples of 4"),
        (["--photos", "absent"], 2, "no folder of photos"),
    ],
)
def test_wrong_requests(checkpoint, tmp_path, capsys, arguments, code, says):
    given = ["--checkpoint", str(checkpoint), "--output", str(tmp_path / "x.onnx"), "--quiet"]
    assert main([*given, *arguments]) == code
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_fixed_size(new_checkpoint, tmp_path, photos_folder, capsys):
    source = new_checkpoint(tmp_path / "johnson.safetensors", "johnson", width=4, blocks=1)
    path = tmp_path / "johnson.onnx"
    given = ["--checkpoint", str(source), "--output", str(path), "--photos", str(photos_folder)]
    assert main([*given, "--size", "64x48", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "passed"  # nothing else on stdout
    with open_session(path) as session:
        assert session.has_fixed_size and session.padded_size(200, 100) == (48, 64)


def test_help_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from export.__main__ import build_parser; assert 'onnx' in build_parser().format_help()"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
