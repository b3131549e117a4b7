"""ncnn files: for Android, iOS and small boards, on CPUs and on GPUs through Vulkan."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


class NcnnTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".ncnn.param"
    beside = (".ncnn.bin",)
    precisions = ("fp16", "fp32")
    engine = "ncnn"
    modules = ("torch", "ncnn", "pnnx")
    extra = "train,export,ncnn-export"
    runs_on = "Android, iOS, ARM boards, x86; CPU or Vulkan"

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write .param, .bin and the card beside them in the precision asked for."""
        from . import _ncnn_files

        return _ncnn_files.write(source, path, options)


PLUGIN = NcnnTarget
