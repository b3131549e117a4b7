"""ExecuTorch programs (.pte): PyTorch's own runtime for phones and boards, by XNNPACK on CPUs.

XNNPACK takes the whole network in one piece (`edge_form`); with free sizes, up to the one that
memory is set aside for, only the cutting of edges stays outside. int8 is torchao's quantization:
weights per output channel, activations per tensor with ranges that XNNPACK measures on every frame
("dynamic") or that photos have set ("static", which no network with instance normalization that was
tried has stood: starry comes to 28 dB). The card stands beside the program.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.card import JsonObject, ModelCard
from runtime.cli import parse_size
from runtime.console import quiet
from runtime.errors import EngineUnavailable, StyleError, UsageError
from runtime.frame import Image

from . import Options, Target, Written
from ._card_file import write_card

if TYPE_CHECKING:
    import torch

    from ..source import ExportSource

# Largest sides of a program for free sizes, both orientations of high definition. Memory is set
# aside for all of it: for pictures of this size in and out, 40 MB.
LARGEST = (1280, 1280)
# Photos that set ranges and scales; more move the result by less than 0.2 dB.
CALIBRATION_PHOTOS = 24
# Names the runtime's engine gives to inputs and outputs, which a .pte only counts.
INPUT, OUTPUT = "input0", "output0"
ACTIVATIONS = ("dynamic", "static")


class _Tools:
    """What is used of the library."""

    def __init__(self, lower: Callable[..., Any], partitioner: Callable[[], Any]) -> None:
        self.lower, self.partitioner = lower, partitioner


class ExecuTorchTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".pte"
    precisions = ("fp32", "int8")
    engine = "executorch"
    modules = ("torch", "executorch", "torchao")
    extra = "executorch"
    environment = "executorch"
    runs_on = "Android, iOS, macOS, Linux and Windows: ARM and x86 CPUs"
    options = {  # noqa: RUF012 -- as the contract declares it
        "max": "largest WxH of a program for free sizes (default: 1280x1280)",
        "activations": "int8: ranges measured on every frame (dynamic, the default) or of photos "
        "(static)",
    }

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write `path` (.pte) and its card.

        Raises:
            EngineUnavailable: executorch or torchao is not installed.
            UsageError: sizes the network does not accept, an unknown option value.
            StyleError: ExecuTorch cannot take this network.
        """
        import torch

        from ..int8.channel_scaling import standardize_channels
        from ..int8.edge_form import edge_form
        from ..source import with_size

        tools = _library()
        card = with_size(source.card, options.size)
        example, shapes = _example(card, options)
        activations = activations_of(options)
        steps = ["operations of phone runtimes (edge form), torch.export"]
        network, epsilons = source.generator, None
        photos = list(options.photos[:CALIBRATION_PHOTOS])
        if activations == "static":
            network, epsilons = standardize_channels(network, photos)
            steps.append(f"convolutions before normalizations evened out on {len(photos)} photos")
        try:
            with quiet(process=True):
                program = torch.export.export(
                    edge_form(network, epsilons), (example,), dynamic_shapes=shapes
                )
                if activations:
                    inputs = [_at_size(photo, options) for photo in photos]
                    module = _quantize(program.module(), activations, inputs)
                    program = torch.export.export(module, (example,), dynamic_shapes=shapes)
                lowered = tools.lower(program, partitioner=[tools.partitioner()])
                delegated, others = count_pieces(lowered)  # before the next step changes it
                finished = lowered.to_executorch()
        except Exception as error:  # three compilers behind one call, without a common error
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise StyleError(f"ExecuTorch cannot take this network: {reason}") from None
        path.write_bytes(finished.buffer)
        if activations:
            ranges = (
                "measured on every frame"
                if activations == "dynamic"
                else f"of {len(photos)} photos, the histogram's least squares"
            )
            steps.append(
                "convolutions to int8 by torchao: weights symmetric per channel, "
                f"ranges of activations {ranges}"
            )
        steps.append(
            f"XNNPACK: {delegated} piece(s), {others} operation(s) outside; card beside the program"
        )
        facts: JsonObject = {"delegated_pieces": delegated, "operations_outside": others}
        if shapes is not None:
            facts["largest"] = "x".join(map(str, largest(card, options)))
        card = replace(
            card,
            target="executorch",
            precision=options.precision,
            inputs=(replace(card.inputs[0], name=INPUT),),
            outputs=(replace(card.outputs[0], name=OUTPUT),),
        )
        write_card(card, path)
        return Written(card, steps, facts)


def activations_of(options: Options) -> str:
    """How activations become bytes, "" for float programs. Raises UsageError for unknown words."""
    word = options.extra.get("activations", ACTIVATIONS[0])
    if word not in ACTIVATIONS:
        raise UsageError(f"activations={word}: allowed are {', '.join(ACTIVATIONS)}")
    return word if options.precision == "int8" else ""


def largest(card: ModelCard, options: Options) -> tuple[int, int]:
    """Largest (width, height) of a program for free sizes, multiples of what the network needs.

    Raises:
        UsageError: `max` is no size, or smaller than the network accepts.
    """
    text = options.extra.get("max", "")
    try:
        width, height = parse_size(text) if text else LARGEST
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"max={text}: {error}") from None
    step = card.multiple_of
    sides = (width // step * step, height // step * step)
    # torch.export needs room between the smallest and the largest side.
    if min(sides) < max(2 * card.minimum, 2 * step):
        raise UsageError(
            f"max={text}: both sides must be at least {max(2 * card.minimum, 2 * step)} px"
        )
    return sides


def count_pieces(lowered: Any) -> tuple[int, int]:
    """(calls into a delegate, operations on tensors outside of it) of a lowered program."""
    nodes = [n for n in lowered.exported_program().graph.nodes if n.op == "call_function"]
    delegated = sum(node.name.startswith("executorch_call_delegate") for node in nodes)
    # Arithmetic on sizes is no operation of a picture.
    outside = sum(str(node.target).startswith("<EdgeOpOverload") for node in nodes)
    return delegated, outside


def _library() -> _Tools:
    try:
        with quiet(process=True):
            import torchao  # noqa: F401 -- int8; named here so that its absence is told early
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower
    except ImportError as error:
        raise EngineUnavailable(
            f"ExecuTorch is not installed ({error.name}): python -m export.environments executorch"
        ) from None
    return _Tools(to_edge_transform_and_lower, XnnpackPartitioner)


def _example(card: ModelCard, options: Options) -> tuple[torch.Tensor, Any]:
    """A picture to trace with, and which of its axes are free."""
    import torch

    from ..tracing import EXAMPLE_CELLS

    height, width = card.inputs[0].shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        return torch.rand(1, 3, height, width), None
    step, (most_width, most_height) = card.multiple_of, largest(card, options)
    free = {
        axis: step * torch.export.Dim(name, min=max(1, card.minimum // step), max=most // step)
        for axis, name, most in ((2, "rows", most_height), (3, "columns", most_width))
    }
    sides = (max(cells * step, card.minimum) for cells in EXAMPLE_CELLS)
    sides = (min(side, most) for side, most in zip(sides, (most_height, most_width), strict=True))
    return torch.rand(1, 3, *sides), (free,)


def _at_size(photo: Image, options: Options) -> torch.Tensor:
    """A photo for calibration: of the program's own size, if it has one."""
    import torch

    from ..int8.channel_scaling import picture_tensor
    from ..verify.photos import cover

    if options.size is None:
        return picture_tensor(photo)
    return torch.from_numpy(cover(photo, *options.size).transpose(2, 0, 1).copy())[None] / 255


def _quantize(module: Any, activations: str, photos: Sequence[torch.Tensor]) -> Any:
    """The exported module with quantized convolutions (and sums, if ranges are static)."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    dynamic = activations == "dynamic"
    widen_scalars(module)
    how = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    quantizer = XNNPACKQuantizer()
    quantizer.set_operator_type(torch.ops.aten.conv2d.default, how)
    if not dynamic:
        quantizer.set_operator_type(torch.ops.aten.add.Tensor, how)
    quantizer.set_filter_function(_is_worth_it)
    with torch.no_grad():
        prepared = prepare_pt2e(module, quantizer)
        for photo in photos if not dynamic else photos[:1]:
            prepared(photo)
        return convert_pt2e(prepared)


def _is_worth_it(node: torch.fx.Node) -> bool:
    """Not the one-hot kernels, which only move values: those stay exact."""
    import torch

    if node.target != torch.ops.aten.conv2d.default:
        return True
    return "one_hot" not in str(getattr(node.args[1], "target", ""))


def widen_scalars(module: Any) -> None:
    """Turn numbers added to or multiplied with pictures into tensors (1, 1, 1, 1), in place.

    XNNPACK's shape inference fails on tensors without axes, which these numbers become, when their
    result is quantized by measured ranges ("Propagating input shapes failed", ExecuTorch 1.5).
    """
    import torch

    aten = torch.ops.aten
    count = 0
    for node in list(module.graph.nodes):
        if node.target not in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor):
            continue
        value = getattr(node.args[0], "meta", {}).get("val")
        number = node.args[1]
        if not isinstance(number, int | float) or getattr(value, "ndim", 0) != 4:
            continue
        name, count = f"scalar_{count}", count + 1
        tensor = torch.full((1, 1, 1, 1), float(number))
        module.register_buffer(name, tensor)
        with module.graph.inserting_before(node):
            constant = module.graph.get_attr(name)
            constant.meta["val"] = tensor
        node.args = (node.args[0], constant, *node.args[2:])
    module.recompile()


PLUGIN = ExecuTorchTarget
