"""The int8 file: a whole-frame graph, its folding figures and measuring graph in one file."""

from dataclasses import replace
from pathlib import Path

from runtime.card import ModelCard, Port
from runtime.errors import UsageError

from . import onnx_tools
from .calibrate import PERCENTILE, SIZE, calibrate
from .integer_graph import folding_of, integer_graph
from .lean_layers import take_apart
from .source import ExportSource
from .targets import Options, Written


def write(source: ExportSource, path: Path, options: Options) -> Written:
    """Write the int8 file of a lean network.

    Raises:
        UsageError: not a lean network, or a fixed size or another opset was asked for.
    """
    if options.size is not None:
        raise UsageError("--size: whole-frame int8 graphs take any size, leave it out")
    parts = take_apart(source.generator)
    calibration = calibrate(parts, options.photos)
    folding = folding_of(parts, calibration)
    model = integer_graph(parts, calibration, folding)
    card = byte_card(source.card)
    onnx_tools.save(model, card, path, folding.to_metadata() if folding else None)
    steps = [
        f"weights to int8, symmetric per channel; activations to uint8, percentile {PERCENTILE} of "
        f"{calibration.photos} photos at {SIZE[0]}x{SIZE[1]}, after normalization",
        "margin, shuffles, crop and clipping in the graph; bytes in and out",
    ]
    if folding is not None:
        steps.append(
            f"{len(folding.layers)} normalizations made foldable; measuring graph embedded"
        )
    return Written(card, steps)


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
