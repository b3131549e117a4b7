"""Core ML, on macOS: on the neural engine, the GPU or the CPU of a Mac.

Packages of ours take and give pictures, which are bytes in the order (1, H, W, 3) here.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ..console import quiet
from ..errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from . import TensorInfo

# What --device means to Core ML; "auto" lets it choose.
UNITS = {"auto": "ALL", "cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "npu": "CPU_AND_NE"}


class CoreMlEngine:
    """One `MLModel`; see `runtime.engines.Engine` for the contract."""

    suffixes = (".mlpackage",)
    beside: ClassVar[dict[str, str]] = {}
    devices = ("cpu", "gpu", "npu")
    hints = ()
    label = "Core ML"
    module = "coremltools"
    other_modules = ()
    install = "pip install coremltools (on macOS; other systems only write packages)"

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        description = model.get_spec().description
        self.inputs = tuple(map(_info, description.input))
        self.outputs = tuple(map(_info, description.output))
        self.metadata = dict(description.metadata.userDefined)
        self.device, self.note = device, ""

    @staticmethod
    def open(
        model: Path | bytes, device: str = "auto", threads: int | None = None, **options: object
    ) -> "CoreMlEngine":
        """Load a package; see `runtime.engines.EnginePlugin.open`. Threads are Core ML's choice."""
        library = _library()
        if device not in UNITS:
            allowed = ", ".join(UNITS)
            raise UsageError(f'device "{device}" is unknown to Core ML, allowed are {allowed}')
        if isinstance(model, bytes):
            raise CardMismatch("Core ML opens packages (.mlpackage), not the given data")
        if not (model / "Manifest.json").is_file():
            raise CardMismatch(f'"{model}" is not a model Core ML can load: it is no .mlpackage')
        try:
            with quiet(process=True):
                units = getattr(library.ComputeUnit, UNITS[device])
                loaded = library.models.MLModel(str(model), compute_units=units)
        except Exception as error:  # protobuf, file and Core ML errors have no common base
            reason = " ".join(str(error).split())[:200]
            raise CardMismatch(
                f'"{model}" is not a model Core ML can load (truncated, damaged): {reason}'
            ) from None
        # Which units it took in the end Core ML does not tell.
        return CoreMlEngine(loaded, "coreml" if device == "auto" else device)

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._model is None:
            raise ValueError("this engine was closed")
        import PIL.Image

        try:
            given = {name: PIL.Image.fromarray(value[0]) for name, value in feeds.items()}
            results = self._model.predict(given)
        except Exception as error:  # the bridge raises RuntimeError, PIL TypeError
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
            reason = " ".join(str(error).split())[:200]
            raise StyleError(f"the model failed on {shapes}: {reason}") from None
        return {
            value.name: np.asarray(results[value.name].convert("RGB"))[None].copy()
            for value in self.outputs
            if outputs is None or value.name in outputs
        }

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._model = None


PLUGIN = CoreMlEngine


def _library() -> ModuleType:
    if sys.platform != "darwin":
        raise EngineUnavailable(
            "Core ML runs on macOS only; packages are written and examined on any system"
        )
    try:
        with quiet(process=True):
            import coremltools
    except ImportError:
        raise EngineUnavailable(
            f"{CoreMlEngine.label} is not installed: {CoreMlEngine.install}"
        ) from None
    return coremltools


def _info(feature: Any) -> TensorInfo:
    """A picture as bytes; enumerated sizes are shown by the default one."""
    if feature.type.WhichOneof("Type") != "imageType":
        raise CardMismatch(f'the model\'s "{feature.name}" is no picture')
    image = feature.type.imageType
    sides = (image.height, image.width) if min(image.height, image.width) > 1 else ("", "")
    return TensorInfo(feature.name, (1, *sides, 3), "uint8")
