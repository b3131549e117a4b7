"""TensorRT engines on NVIDIA GPUs: built for one kind of GPU and one version, fastest there.

An engine file that was built for something else says so, and is built anew from the graph beside
it when the environment variable IMPASTO_REBUILD is set (`runtime.engines.tensorrt.plan`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from ...fields import is_whole
from .. import TensorInfo
from .._cuda import Cuda
from .._cuda_turn import CUDA_TURN

if TYPE_CHECKING:
    from .library import Library
    from .plan import PlanFacts
    from .slot import Slot

Shapes = tuple[tuple[int, ...], ...]
# Sizes of picture kept ready: what is painted, and what a live run goes back to.
SLOTS = 2


class TensorrtEngine:
    """One deserialized engine and its buffers; see `runtime.engines.Engine` for the contract.

    Use it from one thread at a time.
    """

    suffixes = (".engine",)
    beside: ClassVar[dict[str, str]] = {".engine": ".engine.json"}
    devices = ("cuda",)
    hints = ()
    label = "TensorRT"
    module = "tensorrt"
    # Either library serves.
    other_modules = ("tensorrt_rtx",)
    install = "pip install tensorrt, or tensorrt-rtx"

    def __init__(
        self,
        loaded: Library,
        cuda: Cuda,
        plan: bytes,
        name: str,
        sizes: str,
        graphs: bool = True,
    ) -> None:
        from .kernels import KernelCache
        from .library import make_logger

        self._cuda: Cuda | None = cuda
        self._trt, self._name, self._sizes = loaded.module, name, sizes
        self._logger = make_logger(loaded)
        self._runtime: Any = self._trt.Runtime(self._logger)
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise CardMismatch(
                f'"{name}" is not an engine {loaded.label} {loaded.version} can load: '
                f"{self._logger.said()}"
            )
        self._kernels = KernelCache(self._engine, plan, self._trt, graphs)
        self._records = graphs and not self._kernels.own_graphs
        self.metadata: dict[str, str] = {}
        self.device = f"cuda:{cuda.gpu.number}"
        self.note = ""
        infos = [self._info(number) for number in range(self._engine.num_io_tensors)]
        self.inputs = tuple(info for info, given in infos if given)
        self.outputs = tuple(info for info, given in infos if not given)
        self._slots: dict[Shapes, Slot] = {}
        # Made now: an engine that does not fit is refused when it is opened.
        self._spare: Any = self._new_context()

    @staticmethod
    def open(
        model: Path | bytes,
        device: str = "auto",
        threads: int | None = None,
        *,
        graphs: bool | None = None,
        **_: Any,
    ) -> TensorrtEngine:
        """Load an engine file; see `runtime.engines.EnginePlugin.open`.

        Args:
            model: the engine file, with its facts beside it.
            device: "auto" and "cuda" are the first GPU, "cuda:1" the second.
            threads: has no meaning here.
            graphs: launch CUDA graphs; None asks the environment (`runtime.engines._cuda_graph`).
        """
        number = _gpu_number(device)
        if isinstance(model, bytes):
            raise CardMismatch(
                "TensorRT runs engine files, not graphs; use the ONNX file of this model"
            )
        from .._cuda_graph import graphs_wished
        from . import library as tensorrt_library
        from . import plan as tensorrt_plan

        facts = tensorrt_plan.read_facts(model)
        label = facts.library
        if _rebuilds() and label not in tensorrt_library.installed():
            label = next(iter(tensorrt_library.installed()), label)
        library = tensorrt_library.load(label)
        try:
            cuda = Cuda(number)
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"{error}; TensorRT engines run on NVIDIA GPUs only: use the ONNX file on this "
                "machine"
            ) from None
        try:
            reason = tensorrt_plan.mismatch(facts, library, cuda.gpu) or _damage(facts, model)
            if reason:
                facts = _rebuild(model, facts, library, reason)
            wished = graphs_wished() if graphs is None else graphs
            plan = model.read_bytes()
            engine = TensorrtEngine(library, cuda, plan, model.name, facts.sizes(), wished)
        except BaseException:
            cuda.close()
            raise
        if facts.gpu and facts.gpu != cuda.gpu.name:
            engine.note = f"tuned on {facts.gpu}, runs on {cuda.gpu.name}: not as fast as it could"
        return engine

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._cuda is None:
            raise ValueError("this engine was closed")
        self._cuda.enter()
        arrays = {
            info.name: np.ascontiguousarray(feeds[info.name], info.dtype) for info in self.inputs
        }
        results = self._slot(self._cuda, arrays).run(arrays, [info.name for info in self.outputs])
        names = results if outputs is None else outputs
        return {name: results[name] for name in names}

    @property
    def recorded(self) -> int:
        """CUDA graphs that are launched now; TensorRT-RTX counts its own."""
        return sum(slot.recorded for slot in self._slots.values())

    def close(self) -> None:
        """Free the engine and its memory; may be called twice."""
        if self._cuda is None:
            return
        self._cuda.enter()
        self._kernels.store()
        self._free_slots()
        self._spare = self._engine = self._runtime = None
        self._cuda.close()
        self._cuda = None

    def _slot(self, cuda: Cuda, arrays: dict[str, np.ndarray]) -> Slot:
        """The slot for these shapes, the last of `_slots`."""
        from .slot import Slot

        shapes = tuple(array.shape for array in arrays.values())
        slot = self._slots.pop(shapes, None)
        if slot is None:
            with CUDA_TURN:
                while len(self._slots) >= SLOTS:
                    self._spare = self._slots.pop(next(iter(self._slots))).free()
                context = self._context_for(arrays)
                infos = (*self.inputs, *self.outputs)
                slot = Slot(cuda, context, infos, self._records, self._logger.said)
        self._slots[shapes] = slot
        return slot

    def _context_for(self, arrays: dict[str, np.ndarray]) -> Any:
        """An execution context of its own for these shapes."""
        context, self._spare = self._spare, None
        if context is None:
            context = self._new_context()
        for info in self.inputs:
            array = arrays[info.name]
            fits = array.ndim == len(info.shape)
            if not fits or not context.set_input_shape(info.name, array.shape):
                self._spare = context
                allowed = f", it takes {self._sizes}" if self._sizes else ""
                raise StyleError(
                    f"{self._name} was not built for {_shapes({info.name: array})}{allowed}; "
                    "export it for other sizes (--option sizes=...), or use --size"
                )
        return context

    def _new_context(self) -> Any:
        assert self._cuda is not None  # run has refused
        context = self._kernels.create_context()
        if context is None and self._slots:
            self._free_slots()  # each has a context with working memory of its own
            context = self._kernels.create_context()
        if context is None:
            raise StyleError(
                f'"{self._name}" cannot be set up on {self._cuda.gpu.name} (memory?): '
                f"{self._logger.said()}"
            )
        return context

    def _free_slots(self) -> None:
        for slot in self._slots.values():
            slot.free()
        self._slots.clear()

    def _info(self, number: int) -> tuple[TensorInfo, bool]:
        """An input or output, and whether it is an input."""
        name = self._engine.get_tensor_name(number)
        shape = tuple(
            axis if axis >= 0 else "" for axis in tuple(self._engine.get_tensor_shape(name))
        )
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))).name
        given = self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
        return TensorInfo(name, shape, dtype), given


PLUGIN = TensorrtEngine


def _gpu_number(device: str) -> int:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not is_whole(number)):
        raise UsageError(f'device "{device}" is unknown, allowed are auto, cuda, cuda:1, ...')
    if kind == "cpu":
        raise EngineUnavailable(
            "--device cpu: TensorRT engines run on NVIDIA GPUs only; use the ONNX file of this "
            "model, or --device cuda"
        )
    return int(number or 0)


def _rebuilds() -> bool:
    from .plan import REBUILD

    return os.environ.get(REBUILD, "") not in ("", "0")


def _damage(facts: PlanFacts, model: Path) -> str:
    """Why an engine file does not belong to its facts, "" if it does."""
    from ...checksum import sha256

    if facts.plan_sha256 in ("", sha256(model)):
        return ""
    return "it is not the file that its facts describe (damaged, or copied alone)"


def _rebuild(model: Path, facts: PlanFacts, library: Library, reason: str) -> PlanFacts:
    """Build the engine for what is here, or say how to; returns its new facts."""
    from .builder import PlanRequest, build_plan
    from .plan import REBUILD, graph_path

    graph = graph_path(model)
    if not _rebuilds():
        how = (
            f'set {REBUILD}=1 to build it anew from "{graph.name}"'
            if graph.is_file()
            else f'export it here ("{graph.name}", which it was built from, is not beside it)'
        )
        raise CardMismatch(f'"{model}": {reason}; {how}')
    if not graph.is_file():
        raise CardMismatch(
            f'"{model}": {reason}; it cannot be built anew, because "{graph.name}" is not beside it'
        )
    request = PlanRequest(facts.precision, facts.shapes)
    return build_plan(graph, model, request, library, lambda text: None)


def _shapes(feeds: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
