"""ONNX files: for ONNX Runtime, and the start of most other roads."""

from pathlib import Path

from runtime.errors import UsageError

from .. import float_graph
from ..source import ExportSource
from . import Options, Written


class OnnxTarget:
    """See `export.targets.Target`."""

    suffix = ".onnx"
    precisions = ("fp32",)

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write one file in the precision asked for."""
        if options.precision not in OnnxTarget.precisions:
            allowed = ", ".join(OnnxTarget.precisions)
            raise UsageError(f"--precision {options.precision}: the onnx target writes {allowed}")
        return float_graph.write(source, path, options)


PLUGIN = OnnxTarget
