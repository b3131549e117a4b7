"""Core ML packages: Apple's runtime, on the CPU, the GPU and the neural engine."""

import sys
from pathlib import Path
from typing import Any

from . import Options, Target, Written


class CoreMlTarget(Target):
    """See `export.targets.Target`.

    Packages are made on any system, and run by Core ML on macOS only. Elsewhere they are proven by
    computing their program in PyTorch.
    """

    suffix = ".mlpackage"
    folder = True
    precisions = ("fp16", "int8")
    engine = "coreml" if sys.platform == "darwin" else None
    examined_by = "its program, computed by PyTorch"
    modules = ("torch", "coremltools")
    extra = "coreml"
    environment = "coreml"
    runs_on = "iPhone, iPad, Mac: CPU, GPU, neural engine (iOS 17, macOS 14)"
    default_size = (640, 480)
    options = {  # noqa: RUF012 -- as the contract declares it
        "sizes": "all WxH it accepts, as 640x480,480x640 (default with 640x480: these, and high "
        "definition both ways up)",
    }

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write one package in the precision asked for."""
        from . import _coreml_package

        return _coreml_package.write(source, path, options)

    @staticmethod
    def stand_in(path: Path) -> Any:
        """The package, computed by PyTorch."""
        from . import _coreml_package

        return _coreml_package.stand_in(path)

    @staticmethod
    def check(source: Any, path: Path, options: Options) -> list[str]:
        """Examine the specification."""
        from . import _coreml_package

        return _coreml_package.check(source, path, options)


PLUGIN = CoreMlTarget
