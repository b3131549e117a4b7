"""LiteRT models (.tflite): TensorFlow Lite's successor, Android's own runtime and many boards'.

Channels stand last, a model has one size, its card stands beside it. int8 is Google's quantizer:
weights per output channel. "dynamic" measures the ranges of what goes into a convolution on every
frame, keeps everything else in float, and takes and gives floats. "static" has ranges of photos for
all operations and takes and gives bytes, which is what neural processors want, and which instance
normalization does not stand: starry comes to 19 dB.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from runtime.card import ModelCard, Port
from runtime.console import quiet
from runtime.engines import TensorInfo
from runtime.errors import EngineUnavailable, StyleError, UsageError
from runtime.frame import Image

from . import Options, Target, Written
from ._card_file import write_card

if TYPE_CHECKING:
    from ..source import ExportSource

# Photos that set ranges and scales.
CALIBRATION_PHOTOS = 24
ACTIVATIONS = ("dynamic", "static")


class LiteRtTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".tflite"
    precisions = ("fp32", "int8")
    engine = "litert"
    modules = ("torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    extra = "litert"
    environment = "litert"
    runs_on = "Android, iOS and boards: CPUs (XNNPACK), GPUs; int8 also neural processors"
    default_size = (640, 480)
    options = {  # noqa: RUF012 -- as the contract declares it
        "activations": "int8: ranges measured on every frame (dynamic, the default) or of photos, "
        "bytes in and out (static)",
    }

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write `path` (.tflite) and its card.

        Raises:
            EngineUnavailable: litert-torch or ai-edge-quantizer is not installed.
            UsageError: no size, one the network does not accept, an unknown option value.
            StyleError: LiteRT cannot take this network.
        """
        import torch

        from ..int8.channel_scaling import standardize_channels
        from ..int8.edge_form import edge_form
        from ..source import with_size

        library = _library()
        if options.size is None:
            raise UsageError("--size: LiteRT models are of one size, as 640x480")
        activations = _activations(options)
        card = with_size(source.card, options.size)
        photos = list(options.photos[:CALIBRATION_PHOTOS])
        steps = ["operations of phone runtimes (edge form), litert-torch, channels last"]
        network, epsilons = source.generator, None
        if activations == "static":
            network, epsilons = standardize_channels(network, photos)
            steps.append(f"convolutions before normalizations evened out on {len(photos)} photos")
        width, height = options.size
        try:
            with quiet(process=True):
                form = library.to_channel_last_io(
                    edge_form(network, epsilons), args=[0], outputs=[0]
                )
                library.convert(form.eval(), (torch.rand(1, height, width, 3),)).export(str(path))
                if activations:
                    path.write_bytes(_quantize(path, activations, photos, options.size))
        except Exception as error:  # a tower of compilers without a common error
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise StyleError(f"LiteRT cannot take this network: {reason}") from None
        if activations == "dynamic":
            steps.append("weights of convolutions to int8, ranges of activations per frame")
        elif activations == "static":
            steps.append(f"static_wi8_ai8: everything to int8, ranges of {len(photos)} photos")
        steps.append("card beside the model")
        card = _channels_last(card, path)
        card = replace(card, target="litert", precision=options.precision)
        write_card(card, path)
        return Written(card, steps)


def _activations(options: Options) -> str:
    word = options.extra.get("activations", ACTIVATIONS[0])
    if word not in ACTIVATIONS:
        raise UsageError(f"activations={word}: allowed are {', '.join(ACTIVATIONS)}")
    return word if options.precision == "int8" else ""


def _channels_last(card: ModelCard, path: Path) -> ModelCard:
    """The card with the ports as the file has them: their names, axes and element types."""
    from runtime.engines.litert import LiteRtEngine

    engine = LiteRtEngine.open(path, threads=1)

    def port(old: Port, found: TensorInfo) -> Port:
        last = "uint8" if found.dtype == "uint8" else "float32"
        high = 255.0 if last == "uint8" else 1.0
        shape = tuple(found.shape)
        return replace(old, name=found.name, shape=shape, layout="NHWC", dtype=last, high=high)

    inputs = tuple(map(port, card.inputs, engine.inputs))
    outputs = tuple(map(port, card.outputs, engine.outputs))
    engine.close()
    return replace(card, inputs=inputs, outputs=outputs)


def _quantize(
    path: Path, activations: str, photos: Sequence[Image], size: tuple[int, int]
) -> bytes:
    """The float model at `path` with integer weights."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.qtyping import TFLOperationName

    tool = quantizer.Quantizer(str(path))
    if activations == "dynamic":
        tool.add_dynamic_config(regex=".*", operation_name=TFLOperationName.CONV_2D, num_bits=8)
        result = tool.quantize()
    else:
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
        signature, name, ends = _signature(path)
        frames = [{name: _frame(photo, size)} for photo in photos]
        ranges = tool.calibrate({signature: frames}, num_threads=1)
        # What a picture may hold, whatever the photos did: so that bytes go in and out as they are.
        for end in ends:
            ranges[end] = {
                key: np.full_like(np.atleast_1d(old), bound)
                for (key, old), bound in zip(
                    ((key, ranges[end][key]) for key in ("min", "max")), (0.0, 1.0), strict=True
                )
            }
        result = tool.quantize(ranges)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        result.export_model(str(file))
        return file.read_bytes()


def _signature(path: Path) -> tuple[str, str, list[str]]:
    """Name of the model's only signature, of its input there, and of both ends' tensors."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=str(path))
    (name, signature), *_ = model.get_signature_list().items()
    ends = [detail["name"] for detail in (*model.get_input_details(), *model.get_output_details())]
    return name, signature["inputs"][0], ends


def _frame(photo: Image, size: tuple[int, int]) -> np.ndarray:
    from ..verify.photos import cover

    return cover(photo, *size)[None].astype(np.float32) / np.float32(255)


def _library() -> ModuleType:
    # Read by TensorFlow's logging when it is loaded: 2 is "errors only".
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with quiet(process=True):
            import ai_edge_quantizer  # noqa: F401 -- named here so that its absence is told early
            import litert_torch
    except ImportError as error:
        raise EngineUnavailable(
            f"litert-torch is not installed ({error.name}): python -m export.environments litert"
        ) from None
    return litert_torch


PLUGIN = LiteRtTarget
