import json

import numpy as np
import onnxruntime
import pytest

import export.artifact as flow
from export.__main__ import main
from export.targets import ort
from runtime.errors import StyleError
from runtime.model.session import open_session


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))


@pytest.fixture(scope="module")
def exported(checkpoint, photos_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
        for precision in ("fp32", "int8"):
            given = ["--checkpoint", str(checkpoint), "--photos", str(photos_folder), "--quiet"]
            for target in ("ort", "onnx"):
                path = folder / f"{precision}.{target}"
                more = ["--target", target, "--precision", precision, "--output", str(path)]
                assert main([*given, *more]) == 0
    return folder


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_paints_what_the_onnx_file_paints(exported, photo, precision):
    """int8 as well: the scene's statistics are folded in the same way."""
    with (
        open_session(exported / f"{precision}.ort") as ours,
        open_session(exported / f"{precision}.onnx") as other,
    ):
        assert ours.card.target == "ort" and ours.card.precision == precision
        difference = np.abs(ours.stylize(photo).astype(int) - other.stylize(photo))
    assert difference.max() <= 1


def test_the_operations_a_small_build_needs(exported):
    lines = (exported / "fp32.required_operators.config").read_text().splitlines()
    assert lines[0].startswith("#") and "/" not in lines[0], "no folder of this machine"
    found = {}
    for line in lines[1:]:
        domain, version, names = line.split(";")
        assert domain in ("ai.onnx", "com.microsoft") and int(version) > 0
        found |= dict.fromkeys(names.split(","), domain)
    assert {"Conv", "InstanceNormalization"} <= set(found)
    integers = (exported / "int8.required_operators.config").read_text()
    assert "com.microsoft;1;" in integers and "QLinearConv" in integers
    report = json.loads((exported / "fp32.ort.json").read_text())
    assert report["required_operators"] == lines[1:]
    assert report["verdict"] == "passed"
    assert [f["file"] for f in report["files"]] == ["fp32.ort", "fp32.required_operators.config"]


def test_it_is_not_tied_to_this_machine(exported):
    """The list is complete, and holds no layout of one processor's vector units."""
    text = (exported / "fp32.required_operators.config").read_text()
    assert "nchwc" not in text.lower()
    assert b"ORTM" in (exported / "fp32.ort").read_bytes()[:16]


def test_what_is_no_graph(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("words")
    with pytest.raises(StyleError, match="cannot convert") as caught:
        ort.convert(path, tmp_path / "text.ort")
    assert "\n" not in str(caught.value)
    assert onnxruntime.__version__ and not (tmp_path / "text.ort").exists()
