"""TensorRT, or TensorRT-RTX: whichever is installed, loaded when it is first needed.

Both have one interface. TensorRT tunes on the GPU it runs on; TensorRT-RTX compiles on any machine,
without a GPU if need be, and finishes on the GPU when the engine is opened.
"""

import importlib
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

from ... import plugins
from ...errors import EngineUnavailable

TENSORRT, RTX = "TensorRT", "TensorRT-RTX"
# Module, and what installs it.
MODULES = {
    TENSORRT: ("tensorrt", "pip install tensorrt"),
    RTX: ("tensorrt_rtx", "pip install tensorrt-rtx"),
}
# Distributions of the wheels by the CUDA generation they are for.
CUDA_WHEELS = {
    TENSORRT: ("tensorrt_cu{}_libs", "tensorrt_cu{}"),
    RTX: ("tensorrt_rtx_cu{}_libs", "tensorrt_rtx_cu{}"),
}
CUDA_GENERATIONS = ("13", "12")


@dataclass(frozen=True)
class Library:
    """A loaded library.

    Attributes:
        label: `TENSORRT` or `RTX`.
        module: the Python module.
        version: "10.13.3.9".
        cuda: CUDA generation it was built for, "13"; "" if its wheels do not tell.
    """

    label: str
    module: ModuleType
    version: str
    cuda: str

    @property
    def is_rtx(self) -> bool:
        """Whether it is TensorRT-RTX."""
        return self.label == RTX


def installed() -> list[str]:
    """Labels of what is installed; imports nothing."""
    return [label for label, (module, _) in MODULES.items() if plugins.installed(module)]


def load(label: str) -> Library:
    """Import one of the two.

    Raises:
        EngineUnavailable: it is not installed, or cannot be loaded.
    """
    name, install = MODULES[label]
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        reason = "" if not plugins.installed(name) else f" ({' '.join(str(error).split())[:160]})"
        raise EngineUnavailable(f"{label} is not installed{reason}: {install}") from None
    except (OSError, RuntimeError) as error:  # one of its shared libraries is missing
        reason = " ".join(str(error).split())[:160]
        raise EngineUnavailable(f"{label} is damaged ({reason}): {install}") from None
    return Library(label, module, str(module.__version__), _cuda(label))


def make_logger(library: Library) -> Any:
    """A logger that prints nothing; `said()` gives the last errors in one line."""
    module = library.module

    class Logger(module.ILogger):
        """Keeps errors: what fails is reported by exceptions that quote them."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: int, message: str) -> None:
            """Called by the library, from any of its threads."""
            if int(severity) <= int(module.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))

        def said(self) -> str:
            """The last error."""
            return self.errors[-1][:300] if self.errors else "it gives no reason"

    return Logger()


def _cuda(label: str) -> str:
    for generation in CUDA_GENERATIONS:
        for pattern in CUDA_WHEELS[label]:
            try:
                metadata.version(pattern.format(generation))
            except metadata.PackageNotFoundError:
                continue
            return generation
    return ""
