"""Core ML packages: written, read back, computed, compared. In .venv-coreml only."""

import json
import sys

import pytest

pytest.importorskip("coremltools", reason="make test-edge")
from export.source import load_source
from export.targets import Options, _coreml_program, coreml
from runtime.card import KEY, ModelCard
from runtime.engines.coreml import PLUGIN
from runtime.errors import CardMismatch, EngineUnavailable, ParityError
from tests.edge.openings import exported

SIZES = ("--size", "96x64", "--option", "sizes=96x64,64x96")


package = exported("coreml", "toy.mlpackage", *SIZES)


def test_the_program_paints_as_pytorch_does(package):
    _, report = package
    (entry,) = report["parity"]["sizes"]
    assert entry["psnr_db"] >= 55
    said = " ".join(report["checks"])
    assert 'picture "image" in, picture "styled" out' in said and "64x96: " in said
    assert "3 instance normalizations" in said
    if sys.platform != "darwin":
        assert "interpreted in PyTorch" in report["compared_by"]


def test_the_card_is_inside_and_beside(package):
    from coremltools.models.utils import load_spec

    path, _ = package
    spec = load_spec(str(path))
    inside = ModelCard.from_json(spec.description.metadata.userDefined[KEY])
    assert inside == coreml.PLUGIN.emulate(path).card
    assert inside.target == "coreml" and inside.inputs[0].dtype == "uint8"


def test_small_weights(checkpoint, export, package, tmp_path):
    path = tmp_path / "toy.mlpackage"
    code, report = export(checkpoint("instance"), "coreml", path, *SIZES, "--precision", "int8")
    assert code == 0 and report["parity"]["sizes"][0]["psnr_db"] >= 30
    assert report["bytes"] < package[1]["bytes"]


def test_other_networks(checkpoint, export, tmp_path):
    source = checkpoint("instance", "johnson", width=4, blocks=1)
    path = tmp_path / "toy.mlpackage"
    code, report = export(source, "coreml", path, "--size", "96x64")
    assert code == 0 and report["sizes"] == "96x64"


def test_a_package_that_is_not_what_was_asked_for_is_refused(package, checkpoint):
    source = load_source(checkpoint("instance"), "toy")
    with pytest.raises(ParityError, match="is for"):
        coreml.PLUGIN.check(source, package[0], Options("fp16", (128, 64)))
    asked = Options("int8", (96, 64), extra={"sizes": "96x64,64x96"})
    with pytest.raises(ParityError, match="0 tensors of int8 weights"):
        coreml.PLUGIN.check(source, package[0], asked)


def test_a_damaged_package_is_refused(package, tmp_path):
    (tmp_path / "x.mlpackage").mkdir()
    (tmp_path / "x.mlpackage" / "Manifest.json").write_text(json.dumps({}))
    with pytest.raises(CardMismatch, match="not a readable"):
        _coreml_program.CoreMlProgram(tmp_path / "x.mlpackage")


@pytest.mark.skipif(sys.platform == "darwin", reason="here it runs")
def test_elsewhere_than_on_macos_it_says_so(package):
    with pytest.raises(EngineUnavailable, match="macOS only"):
        PLUGIN.open(package[0])
