"""ONNX files: for ONNX Runtime, and the start of most other roads."""

from pathlib import Path

from .. import float_graph, half, whole_frame
from ..source import ExportSource
from . import Options, Written


class OnnxTarget:
    """See `export.targets.Target`."""

    suffix = ".onnx"
    precisions = ("fp32", "fp16", "int8")

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write one file in the precision asked for."""
        if options.precision == "int8":
            return whole_frame.write(source, path, options)
        if options.precision == "fp16":
            return half.write(source, path, options)
        return float_graph.write(source, path, options)


PLUGIN = OnnxTarget
