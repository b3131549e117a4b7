"""The fp16 file: half the size, and the precision GPUs and neural processors are fast in.

Everything is float16 but the normalizations, which stay float32 islands: their sums over a whole
picture exceed what 16 bits can count. What photographs show to be too large or too small for 16
bits is rescaled where that is exact (`rescale`) and stays float32 where it is not. Ports stay
float32. The report says how near each layer comes to float16's limits; the gate decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.card import JsonObject, ModelCard
from runtime.frame import Image

from .. import onnx_tools
from ..float_graph import check_operations, trace
from ..int8 import ranges
from ..source import ExportSource, with_size
from ..targets import Options, Written
from .casts import LARGEST, narrow
from .rescale import Rescaled, rescale

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# Operations kept in float32.
ISLANDS = ("InstanceNormalization", "ReduceMean")
# Operations a layer of the range report is.
LAYERS = ("Conv", "ConvTranspose", "InstanceNormalization", "Add", "Tanh")
# Smallest normal float16: below it digits are lost, one per binade.
SMALLEST = 2.0**-14
# A value may come this near to the largest float16 on the photos measured; another photo may be
# brighter.
HEADROOM = 8.0


def write(source: ExportSource, path: Path, options: Options) -> Written:
    """Write the fp16 graph of a generator.

    Raises:
        UsageError, ParityError: as in `export.float_graph.write`.
    """
    card = with_size(source.card, options.size)
    model = trace(source.generator, card, options.opset)
    onnx_tools.tidy(model)
    check_operations(model, source.generator)
    steps, facts = make_safe(model, card, options.photos)
    card = replace(card, precision="fp16")
    onnx_tools.save(model, card, path)
    return Written(card, [f"torch.onnx.export (dynamo), opset {options.opset}", *steps], facts)


def make_safe(
    model: ModelProto, card: ModelCard, photos: Sequence[Image]
) -> tuple[list[str], JsonObject]:
    """Turn a float32 graph into a float16 one that holds its values. In place.

    Args:
        model: `onnx.ModelProto`.
        card: of the graph.
        photos: whose values are measured.

    Returns:
        steps and facts for the report.
    """
    before = ranges.largest(model, card, photos)
    changed = rescale(model, before)
    after = ranges.largest(model, card, photos) if changed else before
    wide = _beyond(model, after)
    undone = {entry.divisor for entry in changed if entry.divisor}
    fixed = {node.name for node in model.graph.node if node.op_type in ISLANDS}
    report = _report(model, before, after, changed, wide)
    narrow(model, fixed | wide | undone)
    steps = [f"float16 but {', '.join(ISLANDS)}; float32 ports"]
    if changed:
        steps.append(
            f"{len(changed)} convolutions before normalizations rescaled by powers of two, exactly"
        )
    if wide:
        steps.append(f"float32 as well, beyond float16's range: {', '.join(sorted(wide))}")
    return steps, {"ranges": report, "ranges_photos": len(photos)}


def _beyond(model: ModelProto, peaks: dict[str, np.ndarray]) -> set[str]:
    """Names of nodes that make or take values float16 has no room for."""
    outside = {value for value, peak in peaks.items() if not _fits(peak)}
    return {
        node.name
        for node in model.graph.node
        if outside.intersection((*node.input, *node.output)) and node.op_type not in ISLANDS
    }


def _fits(peak: np.ndarray) -> bool:
    most = float(peak.max())
    return most == 0 or SMALLEST <= most <= LARGEST / HEADROOM


def _report(
    model: ModelProto,
    before: dict[str, np.ndarray],
    after: dict[str, np.ndarray],
    changed: list[Rescaled],
    wide: set[str],
) -> list[JsonObject]:
    """One row per layer: its largest activation against float16's limits."""
    factors = {entry.node: (entry.least, entry.most) for entry in changed}
    stored = {tensor.name for tensor in model.graph.initializer}
    rows = []
    for node in model.graph.node:
        value = node.output[0]
        if node.op_type not in LAYERS or value not in before:
            continue
        largest, shipped = float(before[value].max()), float(after[value].max())
        row: JsonObject = {
            "layer": _layer_name(node, stored),
            "operation": node.op_type,
            "largest": largest,
            "in_file": shipped,
            "of_65504": shipped / LARGEST,
            "over_smallest_normal": shipped / SMALLEST,
        }
        if node.name in factors:
            row["rescaled"] = list(factors[node.name])
        if node.name in wide or node.op_type in ISLANDS:
            row["kept"] = "float32"
        rows.append(row)
    return rows


def _layer_name(node: NodeProto, stored: set[str]) -> str:
    """The module's name where weights tell it, else the node's."""
    weights = [name for name in node.input if name in stored and name.endswith(".weight")]
    return weights[0].removesuffix(".weight").removeprefix("generator.") if weights else node.name
