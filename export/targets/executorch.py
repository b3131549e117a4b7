"""ExecuTorch programs: PyTorch's own runtime for phones and boards, by XNNPACK on their CPUs."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


class ExecuTorchTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".pte"
    precisions = ("fp32", "int8")
    engine = "executorch"
    modules = ("torch", "executorch", "torchao")
    extra = "executorch"
    environment = "executorch"
    runs_on = "Android, iOS, macOS, Linux and Windows: ARM and x86 CPUs"
    options = {  # noqa: RUF012 -- as the contract declares it
        "max": "largest WxH of a program for free sizes (default: 1280x1280)",
        "activations": "int8: ranges measured on every frame (dynamic, the default) or of photos "
        "(static)",
    }

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write one program in the precision asked for, and its card."""
        from . import _executorch_files

        return _executorch_files.write(source, path, options)


PLUGIN = ExecuTorchTarget
