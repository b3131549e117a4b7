"""OpenVINO files: for Intel's CPUs, graphics and neural processors, and fast on other CPUs.

Our ONNX graphs go through OpenVINO's own reader; the card stands in `rt_info`. fp16 stores the
weights in 16 bits; what is computed in is the runtime's choice. int8 is a graph of its own, made
for OpenVINO (`normalized_graph`). NNCF's post-training quantization was tried instead (starry, 40
photos, five pictures of 640x480): 27.0 to 29.9 dB against 25.9 to 34.7 dB, and three times as
long, because it leaves both ends of the graph in float.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runtime.card import KEY, ModelCard
from runtime.engines.openvino import SECTION
from runtime.errors import EngineUnavailable, StyleError, UsageError

from . import Options, Target, Written

if TYPE_CHECKING:
    from ..source import ExportSource


class OpenVinoTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".xml"
    beside = (".bin",)
    precisions = ("fp32", "fp16", "int8")
    engine = "openvino"
    modules = ("torch", "onnx", "onnxscript", "openvino")
    extra = "train,export,openvino"
    runs_on = "any x86 or ARM CPU, Intel graphics and neural processors"

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write `path` (.xml) and the .bin beside it.

        Raises:
            EngineUnavailable: openvino or onnx is not installed.
            UsageError, ParityError: as in `export.float_graph.write`; int8 takes lean networks
                only.
        """
        from .. import float_graph, onnx_tools
        from ..source import with_size

        openvino = _library()
        if options.precision == "int8":
            card, model, steps = _integer(source, options)
        else:
            card = with_size(source.card, options.size)
            model = float_graph.trace(source.generator, card, options.opset)
            onnx_tools.tidy(model)
            float_graph.check_operations(model, source.generator)
            steps = [f"torch.onnx.export (dynamo), opset {options.opset}"]
        card = replace(card, target="openvino", precision=options.precision)
        half = options.precision == "fp16"
        try:
            read = openvino.Core().read_model(onnx_tools.finish(model, card))
            read.set_rt_info(card.to_json(), [SECTION, KEY])
            openvino.save_model(read, str(path), compress_to_fp16=half)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-300:]
            raise StyleError(f"OpenVINO cannot take this network: {reason}") from None
        steps.append("read by OpenVINO and saved" + (", weights in float16" if half else ""))
        return Written(card, steps)


def _integer(source: ExportSource, options: Options) -> tuple[ModelCard, Any, list[str]]:
    from ..int8.normalized_graph import normalized_graph
    from ..int8.whole_frame import byte_card, calibrated, rounding_step

    if options.size is not None:
        raise UsageError("--size: whole-frame int8 graphs take any size, leave it out")
    parts, calibration = calibrated(source, options.photos)
    steps = [
        rounding_step(calibration),
        "normalizations in float, measured on every picture",
        "margin, shuffles (planar), crop and clipping in the graph; bytes in and out",
    ]
    return byte_card(source.card), normalized_graph(parts, calibration), steps


def _library() -> ModuleType:
    try:
        import openvino
    except ImportError:
        raise EngineUnavailable("openvino is not installed: pip install -e '.[openvino]'") from None
    return openvino


PLUGIN = OpenVinoTarget
