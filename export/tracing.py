"""From a PyTorch module to an ONNX graph: the one place that calls PyTorch's exporter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from runtime.console import quiet
from runtime.errors import EngineUnavailable, StyleError, UsageError

from . import older_opset

if TYPE_CHECKING:
    from onnx import ModelProto

# Sides of the example traced for free sizes, in units of what the network's sides must be multiples
# of: unequal, so that no axis is mistaken for the other.
EXAMPLE_CELLS = (16, 24)
# What graphs were verified with. 21 is the newest that the oldest ONNX Runtime we claim (1.20)
# reads; the exporter itself begins at 18, older ones are made of that (`older_opset`).
OPSETS = tuple(range(older_opset.TO, 22))


def to_onnx(
    module: nn.Module,
    examples: Sequence[Tensor],
    opset: int,
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Any = None,
) -> "ModelProto":
    """A module's graph, traced by the exporter on top of torch.export.

    Args:
        module: set to evaluation mode.
        examples: one tensor per input.
        opset: version of the ONNX operator set.
        inputs: names of the graph's inputs.
        outputs: names of its outputs.
        shapes: which axes are free, as `torch.onnx.export` takes `dynamic_shapes`.

    Raises:
        UsageError: the operator set is none of `OPSETS`, or has not what the network needs.
        EngineUnavailable: onnx or onnxscript is not installed.
        StyleError: PyTorch cannot export this network.
    """
    if opset not in OPSETS:
        allowed = ", ".join(map(str, OPSETS))
        raise UsageError(f"--opset {opset}: allowed are {allowed}")
    try:
        with quiet(process=True):
            program = torch.onnx.export(
                module.eval(),
                tuple(examples),
                dynamo=True,
                opset_version=max(opset, older_opset.FROM),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise EngineUnavailable(
            f"the exporter needs {error.name}: pip install -e '.[export]'"
        ) from None
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error).split())[:300]
        raise StyleError(f"PyTorch cannot export this network: {reason}") from None
    assert program is not None  # dynamo=True always returns a program
    return older_opset.lower(program.model_proto, opset)
