"""LiteRT (TensorFlow Lite's successor), on the CPU, by its XNNPACK delegate.

Models of this kind have one size. Integer inputs and outputs carry a scale and a zero point; those
that mean 0..1 in steps of 1/255 are bytes here, all others are converted to the real numbers they
stand for, so that nobody outside has to know.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..console import quiet
from ..errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from . import TensorInfo
from ._threads import allowed_threads

# "TFL3", the identifier in every file, after four bytes.
MAGIC = slice(4, 8)


@dataclass(frozen=True)
class Ends:
    """One input or output as the interpreter knows it.

    Attributes:
        index: its number there.
        info: as the engine shows it.
        dtype: element type inside.
        scale, zero: real = scale * (stored - zero); scale 0 for floats.
    """

    index: int
    info: TensorInfo
    dtype: np.dtype
    scale: float
    zero: int

    @property
    def is_bytes(self) -> bool:
        """Whether stored values are the bytes of a picture in 0..1, moved by 128 if signed."""
        if self.dtype.kind not in "iu" or self.dtype.itemsize != 1:
            return False
        return self.zero == np.iinfo(self.dtype).min and abs(255 * self.scale - 1) < 1e-3


class LiteRtEngine:
    """One `Interpreter`; see `runtime.engines.Engine` for the contract."""

    suffixes = (".tflite",)
    beside: ClassVar[dict[str, str]] = {}
    devices = ("cpu",)
    hints = ()
    label = "LiteRT"
    module = "ai_edge_litert"
    other_modules = ()
    install = "pip install ai-edge-litert"

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = tuple(_ends(detail) for detail in interpreter.get_input_details())
        self._outputs = tuple(_ends(detail) for detail in interpreter.get_output_details())
        self.inputs = tuple(end.info for end in self._inputs)
        self.outputs = tuple(end.info for end in self._outputs)
        self.metadata: dict[str, str] = {}
        self.device, self.note = "cpu", ""

    @staticmethod
    def open(
        model: Path | bytes, device: str = "auto", threads: int | None = None, **options: object
    ) -> "LiteRtEngine":
        """Load a model; see `runtime.engines.EnginePlugin.open`."""
        interpreter_class = _library()
        if device not in ("auto", *LiteRtEngine.devices):
            raise UsageError(f'device "{device}" is unknown to LiteRT, allowed are auto, cpu')
        name = "the given data" if isinstance(model, bytes) else f'"{model}"'
        data = model if isinstance(model, bytes) else model.read_bytes()
        if data[MAGIC] != b"TFL3":
            raise CardMismatch(f"{name} is not a model LiteRT can load: it is no .tflite file")
        count = threads or allowed_threads() or os.cpu_count() or 1
        try:
            with quiet(process=True):
                interpreter = interpreter_class(model_content=data, num_threads=count)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CardMismatch(
                f"{name} is not a model LiteRT can load (truncated, damaged, or with operations "
                f"it does not know): {reason}"
            ) from None
        return LiteRtEngine(interpreter)

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._interpreter is None:
            raise ValueError("this engine was closed")
        try:
            for end in self._inputs:
                self._interpreter.set_tensor(end.index, _stored(feeds[end.info.name], end))
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
            taken = ", ".join(f"{end.info.name} {list(end.info.shape)}" for end in self._inputs)
            reason = " ".join(str(error).split())[:200]
            raise StyleError(f"the model failed on {shapes} (it takes {taken}): {reason}") from None
        return {
            end.info.name: _shown(self._interpreter.get_tensor(end.index), end)
            for end in self._outputs
            if outputs is None or end.info.name in outputs
        }

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._interpreter = None


PLUGIN = LiteRtEngine


def _library() -> type:
    try:
        with quiet(process=True):
            from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise EngineUnavailable(
            f"{LiteRtEngine.label} is not installed: {LiteRtEngine.install}"
        ) from None
    return Interpreter


def _ends(detail: dict[str, Any]) -> Ends:
    dtype = np.dtype(detail["dtype"])
    scale, zero = detail["quantization"]
    shape = tuple(int(side) if side > 0 else "" for side in detail["shape_signature"])
    end = Ends(detail["index"], TensorInfo(detail["name"], shape, dtype.name), dtype, scale, zero)
    if not scale:
        return end
    shown = "uint8" if end.is_bytes else "float32"
    return Ends(end.index, TensorInfo(detail["name"], shape, shown), dtype, scale, zero)


def _stored(array: np.ndarray, end: Ends) -> np.ndarray:
    """A value as the interpreter wants it."""
    if not end.scale:
        return array.astype(end.dtype, copy=False)
    limits = np.iinfo(end.dtype)
    if end.is_bytes:
        return (array.astype(np.int16) + limits.min).astype(end.dtype)
    return np.clip(np.rint(array / end.scale + end.zero), limits.min, limits.max).astype(end.dtype)


def _shown(array: np.ndarray, end: Ends) -> np.ndarray:
    """A stored value as the outside knows it, in memory of its own."""
    if not end.scale:
        return array.copy()
    if end.is_bytes:
        return (array.astype(np.int16) - np.iinfo(end.dtype).min).astype(np.uint8)
    return (array.astype(np.float32) - np.float32(end.zero)) * np.float32(end.scale)
