"""Weights are no part of a structure; all else is."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks.measuring.structure import structure


def changed(path, change):
    """A copy of the file in which `change` was done to its graph."""
    model = onnx.load(path)
    change(model.graph)
    copy = path.with_name("changed.onnx")
    onnx.save(model, copy)
    return copy


def other_weights(graph):
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array + np.float32(1), tensor.name))


def test_other_weights_are_the_same_structure(tiny_model):
    assert structure(changed(tiny_model, other_weights)) == structure(tiny_model)


def narrower(graph):
    first = graph.initializer[0]
    array = numpy_helper.to_array(first)[:, :2]
    first.CopyFrom(numpy_helper.from_array(array, first.name))


def another_operator(graph):
    graph.node[1].op_type = "Sigmoid"


def other_padding(graph):
    graph.node[0].attribute[0].ints[0] = 0


def another_type(graph):
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def sizes(value):
    def add(graph):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), "size"))

    return add


@pytest.mark.parametrize("change", [narrower, another_operator, other_padding, another_type])
def test_what_changes_the_work_changes_the_structure(tiny_model, change):
    assert structure(changed(tiny_model, change)) != structure(tiny_model)


def test_sizes_are_kept_by_value(tiny_model):
    assert structure(changed(tiny_model, sizes(2))) == structure(changed(tiny_model, sizes(2)))
    assert structure(changed(tiny_model, sizes(2))) != structure(changed(tiny_model, sizes(3)))


def test_other_kinds_of_file_have_none(tmp_path):
    assert structure(tmp_path / "model.ort") is None
