"""ExecuTorch: PyTorch's runtime for phones and boards, through its Python binding.

A program (.pte) carries no metadata and only counts its inputs and outputs, so the card lies beside
it, and they are called "input0", "output0" and so on here. The binding loads PyTorch itself and
takes nothing but its tensors: the engine borrows it from there.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..console import quiet
from ..errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from . import TensorInfo
from ._threads import allowed_threads

# The method that `torch.nn.Module` exports make.
METHOD = "forward"
# ExecuTorch's names of the element types our models use.
DTYPES = {6: "float32", 5: "float16", 7: "float64", 0: "uint8", 1: "int8", 3: "int32", 4: "int64"}

# Size of the process's pool of threads, once it is settled.
_SETTLED: list[int] = []


class ExecuTorchEngine:
    """One method of one program; see `runtime.engines.Engine` for the contract.

    Shapes are those that memory was planned for: of programs for free sizes the largest.
    """

    suffixes = (".pte",)
    beside: ClassVar[dict[str, str]] = {}
    devices = ("cpu",)
    hints = ()
    label = "ExecuTorch"
    module = "executorch"
    other_modules = ()
    install = "pip install executorch, best into an environment of its own"

    def __init__(self, program: Any, method: Any) -> None:
        self._program, self._method = program, method
        meta = method.metadata
        self.metadata: dict[str, str] = {}
        self.device, self.note = "cpu", ""
        self.inputs = tuple(
            _info("input", number, meta.input_tensor_meta(number))
            for number in range(meta.num_inputs())
        )
        self.outputs = tuple(
            _info("output", number, meta.output_tensor_meta(number))
            for number in range(meta.num_outputs())
        )

    @staticmethod
    def open(
        model: Path | bytes, device: str = "auto", threads: int | None = None, **options: object
    ) -> "ExecuTorchEngine":
        """Load a program; see `runtime.engines.EnginePlugin.open`.

        All programs of a process share one pool of threads, which loaded ones point into: so the
        first engine opened decides its size for all.
        """
        runtime, binding = _library()
        if device not in ("auto", *ExecuTorchEngine.devices):
            raise UsageError(f'device "{device}" is unknown to ExecuTorch, allowed are auto, cpu')
        name = "the given data" if isinstance(model, bytes) else f'"{model}"'
        data = model if isinstance(model, bytes) else model.read_bytes()
        if data[4:6] != b"ET":
            raise CardMismatch(f"{name} is not a model ExecuTorch can load: it is no .pte program")
        try:
            with quiet(process=True):
                count = _settle_threads(
                    binding, threads or allowed_threads() or os.cpu_count() or 1
                )
                program = runtime.Runtime.get().load_program(data)
                method = program.load_method(METHOD)
        except Exception as error:  # the binding raises RuntimeError, and others from below
            reason = " ".join(str(error).split())[:200]
            raise CardMismatch(
                f"{name} is not a model ExecuTorch can load (truncated, damaged, or for backends "
                f"that are not here): {reason}"
            ) from None
        engine = ExecuTorchEngine(program, method)
        if threads and threads != count:
            engine.note = f"ExecuTorch goes on with the {count} threads it has begun with"
        return engine

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._method is None:
            raise ValueError("this engine was closed")
        torch = sys.modules["torch"]
        given = [
            torch.from_numpy(np.array(feeds[value.name], value.dtype)) for value in self.inputs
        ]
        try:
            with quiet(process=True):
                results = self._method.execute(given)
        except Exception as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
            most = ", ".join(f"{value.name} {list(value.shape)}" for value in self.inputs)
            reason = " ".join(str(error).split())[:200]
            raise StyleError(
                f"the model failed on {shapes} (memory was planned for {most}): {reason}"
            ) from None
        found = {
            value.name: result.numpy().copy()
            for value, result in zip(self.outputs, results, strict=True)
        }
        return found if outputs is None else {name: found[name] for name in outputs}

    def close(self) -> None:
        """Free the program; may be called twice."""
        self._method = self._program = None


PLUGIN = ExecuTorchEngine


def _library() -> tuple[Any, Any]:
    """(executorch.runtime, its C binding)."""
    try:
        with quiet(process=True):  # loading it prints notes about optional parts of torchao
            runtime = importlib.import_module("executorch.runtime")
            from executorch.extension.pybindings import portable_lib
    except ImportError as error:
        missing = "" if error.name == "executorch" else f" (no {error.name})"
        raise EngineUnavailable(
            f"{ExecuTorchEngine.label} is not installed{missing}: {ExecuTorchEngine.install}"
        ) from None
    return runtime, portable_lib


def _settle_threads(binding: Any, count: int) -> int:
    """Size the pool, before the first program is loaded; returns what it is.

    Its own guess counts the machine's cores, and more spinning threads than cores are ten times
    slower. Afterwards nobody may touch it: that frees what loaded programs use.
    """
    if not _SETTLED:
        if binding._threadpool_get_thread_count() != count:
            binding._unsafe_reset_threadpool(count)
        _SETTLED.append(count)
    return _SETTLED[0]


def _info(word: str, number: int, meta: Any) -> TensorInfo:
    dtype = DTYPES.get(int(meta.dtype()), str(meta.dtype()))
    return TensorInfo(f"{word}{number}", tuple(meta.sizes()), dtype)
