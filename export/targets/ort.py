"""ONNX Runtime's own format: what its small builds for phones read, and the list of operations such
a build needs."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


class OrtTarget(Target):
    """See `export.targets.Target`.

    There is no fp16: on a CPU the file would hold float32 again, ONNX Runtime converts back before
    it saves.
    """

    suffix = ".ort"
    beside = (".required_operators.config",)
    precisions = ("fp32", "int8")
    engine = "onnxruntime"
    modules = ("torch", "onnx", "onnxscript")
    extra = "train,export"
    runs_on = "ONNX Runtime's small builds (Android, iOS), any CPU"

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write the file and its list of operations."""
        from . import _ort_format

        return _ort_format.write(source, path, options)


PLUGIN = OrtTarget
