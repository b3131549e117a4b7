"""The int8 file: a whole-frame graph, its folding figures and measuring graph in one file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from runtime.card import ModelCard, Port
from runtime.errors import UsageError
from runtime.frame import Image

from .. import onnx_tools
from ..source import ExportSource
from ..targets import Options, Written
from .balance import balance
from .calibrate import PERCENTILE, SIZE, Calibration, calibrate
from .integer_graph import folding_of, integer_graph
from .lean_layers import LeanLayers, take_apart
from .sampling import STEP


def write(source: ExportSource, path: Path, options: Options, *, sampled: bool = True) -> Written:
    """Write the int8 file of a lean network.

    Args:
        source: the network.
        path: the file.
        options: of the export.
        sampled: whether the graph finds out each picture's statistics by itself, for those who run
            it without our runtime (`sampling`); else the photos' mean statistics are folded in.

    Raises:
        UsageError: not a lean network, or a fixed size or another opset was asked for.
    """
    if options.size is not None:
        raise UsageError("--size: whole-frame int8 graphs take any size, leave it out")
    parts, calibration = calibrated(source, options.photos)
    folding = folding_of(parts, calibration)
    model = integer_graph(parts, calibration, folding, sampled=sampled)
    card = byte_card(source.card)
    described = sampled and folding is not None
    model.graph.input[0].doc_string = port_text(card, described)
    onnx_tools.save(model, card, path, folding.to_metadata() if folding else None)
    steps = [
        rounding_step(calibration),
        "margin, shuffles, crop and clipping in the graph; bytes in and out",
    ]
    if parts.layers[-1].phases:
        steps.append("head rounded with equal sums in all phases: one color is painted as one")
    if folding is not None:
        steps.append(
            f"{len(folding.layers)} normalizations made foldable; measuring graph embedded"
        )
        if sampled:
            steps.append(f"without our runtime, statistics are those of every {STEP}th row")
    return Written(card, steps)


def port_text(card: ModelCard, sampled: bool) -> str:
    """What someone who runs the file without our runtime must know about its input."""
    text = (
        "RGB picture (1, height, width, 3), 0..255; height and width are multiples of "
        f"{card.multiple_of} and at least {card.minimum}."
    )
    if not sampled:
        return text
    return (
        f"{text} Each picture is normalized by statistics of every {STEP}th row of its blocks. The "
        "runtime of impasto measures all rows and folds them in for a whole scene, which is exact, "
        "free of flicker and takes two thirds of the time; it also takes pictures of any size."
    )


def rounding_step(calibration: Calibration) -> str:
    """How the numbers were rounded, for the report."""
    origin = (
        "clipping ranges learned by fine-tuning"
        if calibration.learned
        else f"channels balanced, percentile {PERCENTILE} of {calibration.photos} photos at "
        f"{SIZE[0]}x{SIZE[1]}, after normalization"
    )
    return f"weights to int8, symmetric per channel; activations to uint8, {origin}"


def calibrated(source: ExportSource, photos: Sequence[Image]) -> tuple[LeanLayers, Calibration]:
    """The layers with their ranges: those that quantization-aware training has learned, else what
    these photos reach, channels balanced."""
    parts = take_apart(source.generator)
    calibration = calibrate(parts, photos)
    if ranges := parts.clipping_ranges():
        learned = {name: np.array(pair, np.float32)[:, None] for name, pair in ranges.items()}
        return parts, replace(calibration, ranges={**calibration.ranges, **learned}, learned=True)
    balanced, calibration = balance(source.generator, calibration)
    return take_apart(balanced), calibration


def byte_card(card: ModelCard) -> ModelCard:
    """The card of the same network with byte ports."""
    shape = (1, "height", "width", 3)

    def port(old: Port) -> Port:
        return replace(old, shape=shape, dtype="uint8", layout="NHWC", low=0.0, high=255.0)

    return replace(
        card,
        precision="int8",
        inputs=tuple(map(port, card.inputs)),
        outputs=tuple(map(port, card.outputs)),
    )
