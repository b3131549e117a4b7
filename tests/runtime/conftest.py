"""Tiny ONNX models, built on the spot: identities, recorders of conventions, knobs and memories."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.card import KEY, ModelCard, Port


def save_model(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    card: ModelCard | None = None,
    opset: int = 17,
) -> Path:
    """Write a checked model, with a card if given."""
    stored = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if card is not None:
        helper.set_model_props(model, {KEY: card.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def picture(name: str, shape: tuple[int | str, ...], kind: int = TensorProto.FLOAT):
    """A graph input or output."""
    return helper.make_tensor_value_info(name, kind, list(shape))


FREE = ("N", 3, "H", "W")


def card_of(name: str, **changes) -> ModelCard:
    """A card of a float NCHW model in 0..1, changed as asked."""
    facts = {
        "method": "perceptual",
        "inputs": (Port("image"),),
        "outputs": (Port("styled"),),
    }
    return ModelCard(name=name, **{**facts, **changes})


@pytest.fixture
def identity_model(tmp_path: Path) -> Path:
    """Gives back what it gets; has a card that asks for multiples of 4."""
    return save_model(
        tmp_path / "identity.onnx",
        [helper.make_node("Identity", ["image"], ["styled"])],
        [picture("image", FREE)],
        [picture("styled", FREE)],
        card=card_of("identity", multiple_of=4),
    )


@pytest.fixture
def invert_model(tmp_path: Path) -> Path:
    """1 - x: a style everyone can check."""
    return save_model(
        tmp_path / "invert.onnx",
        [helper.make_node("Sub", ["one", "image"], ["styled"])],
        [picture("image", FREE)],
        [picture("styled", FREE)],
        {"one": np.array(1.0, np.float32)},
        card=card_of("invert"),
    )


@pytest.fixture
def build_model() -> Callable[..., Path]:
    """`save_model`, for tests that make their own graphs."""
    return save_model
