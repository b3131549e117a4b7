"""ONNX files: for ONNX Runtime, and the start of most other roads."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


class OnnxTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".onnx"
    precisions = ("fp32", "fp16", "int8")
    engine = "onnxruntime"
    modules = ("torch", "onnx", "onnxscript")
    extra = "train,export"
    runs_on = "any CPU, NVIDIA GPUs (CUDA, TensorRT), browsers"

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write one file in the precision asked for."""
        from .. import float_graph
        from ..fp16 import convert
        from ..int8 import whole_frame

        if options.precision == "int8":
            return whole_frame.write(source, path, options)
        if options.precision == "fp16":
            return convert.write(source, path, options)
        return float_graph.write(source, path, options)


PLUGIN = OnnxTarget
