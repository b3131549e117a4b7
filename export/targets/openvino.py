"""OpenVINO files: for Intel's CPUs, graphics and neural processors, and fast on other CPUs."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


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
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write .xml and .bin in the precision asked for."""
        from . import _openvino_files

        return _openvino_files.write(source, path, options)


PLUGIN = OpenVinoTarget
