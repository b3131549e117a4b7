"""The float graph: PyTorch's exporter, then tidied, checked for its operations, card embedded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from runtime.card import ModelCard
from runtime.errors import ParityError
from training.networks.layers import InstanceNorm

from . import onnx_tools
from .source import Clamped, ExportSource, with_size
from .targets import Options, Written
from .tracing import EXAMPLE_CELLS, to_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

# Operations that belong to training; one of them in a graph means a wrong mode.
TRAINING_OPS = {"Dropout", "BatchNormalization", "RandomUniform", "RandomNormal", "Loop", "If"}


def write(source: ExportSource, path: Path, options: Options) -> Written:
    """Write the float32 graph of a generator.

    Raises:
        UsageError: an opset or size that does not fit.
        EngineUnavailable: onnx or onnxscript is missing.
        ParityError: the graph lost its normalizations, or holds operations of training.
    """
    card = with_size(source.card, options.size)
    steps = [f"torch.onnx.export (dynamo), opset {options.opset}"]
    model = trace(source.generator, card, options.opset)
    onnx_tools.tidy(model)
    check_operations(model, source.generator)
    steps.append("tool traces removed, operations checked, card embedded")
    onnx_tools.save(model, card, path)
    return Written(card, steps)


def trace(generator: nn.Module, card: ModelCard, opset: int) -> ModelProto:
    """The generator, clamped to [0, 1], as an `onnx.ModelProto`."""
    (image,), (styled,) = card.inputs, card.outputs
    height, width = image.shape[2:]
    free = not isinstance(height, int)
    sides = [cells * card.multiple_of for cells in EXAMPLE_CELLS] if free else [height, width]
    sides = [max(int(side), card.minimum) for side in sides]
    shapes = ({2: "height", 3: "width"},) if free else None
    return to_onnx(
        Clamped(generator), (torch.rand(1, 3, *sides),), opset, [image.name], [styled.name], shapes
    )


def check_operations(model: ModelProto, generator: nn.Module) -> None:
    """Compare the graph's operations with the network they came from.

    Raises:
        ParityError: normalizations are missing, or operations of training are present.
    """
    found = Counter(node.op_type for node in model.graph.node)
    wanted = sum(isinstance(module, InstanceNorm) for module in generator.modules())
    if found["InstanceNormalization"] != wanted:
        raise ParityError(
            f"the network has {wanted} instance normalizations, "
            f"its graph {found['InstanceNormalization']}"
        )
    strangers = TRAINING_OPS & set(found)
    if strangers:
        raise ParityError(f"the graph holds operations of training: {', '.join(sorted(strangers))}")
