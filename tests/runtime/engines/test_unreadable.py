"""A file that is no model, or not for this runtime: the message names the cause."""

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from runtime.engines._unreadable import explain
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import CardMismatch


def model() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((3, 8, 8), np.float32), "w")
    ends = [[helper.make_tensor_value_info(name, 1, [1, 3, 8, 8])] for name in "xy"]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[0], ends[1], [weight])
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def refused(path: Path) -> str:
    with pytest.raises(CardMismatch) as error:
        OnnxRuntimeEngine.open(path)
    text = str(error.value)
    assert "\n" not in text and path.name in text
    return text


def test_a_newer_ir_version_with_both_numbers(tmp_path):
    made = model()
    made.ir_version = 99
    onnx.save(made, tmp_path / "m.onnx")
    text = refused(tmp_path / "m.onnx")
    assert "IR version 99" in text and "reads up to 1" in text  # 10 to 19, by version


def test_a_newer_opset_with_both_numbers(tmp_path):
    made = model()
    made.opset_import[0].version = 99
    onnx.save(made, tmp_path / "m.onnx")
    text = refused(tmp_path / "m.onnx")
    assert "opset 99" in text and "knows up to 2" in text


def test_weights_that_are_missing_beside_it(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    assert '"weights.bin", which is missing' in refused(path)


@pytest.mark.parametrize("domain", ["", "my.ops"])
def test_an_operation_that_nobody_has(tmp_path, domain):
    made = model()
    made.graph.node[0].op_type, made.graph.node[0].domain = "Foo", domain
    onnx.save(made, tmp_path / "m.onnx")
    assert "Foo" in refused(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\n <HTML>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"),
        (b"\x80\x02ccollections\nOrderedDict\n", "import_weights"),
        (b"\x40\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32","shape":[1]}}', "safetensors"),
        (b"\x1c\0\0\0TFL3", "--engine litert"),
        (b"\x89HDF\r\n\x1a\n", "tf2onnx"),
    ],
)
def test_another_kind_of_file(tmp_path, content, word):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert word in refused(path)
    assert word in explain(content, "")


def test_a_zipped_checkpoint_and_torch7(tmp_path):
    path = tmp_path / "mosaic.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "import_weights" in refused(path)
    old = tmp_path / "mosaic.t7"
    old.write_bytes(bytes(range(64)))
    assert "Torch7" in refused(old)
