"""ONNX Runtime's sessions on an NVIDIA GPU: one stream, page-locked memory, CUDA graphs.

Copies and kernels go to one stream of ours (the option `user_compute_stream`), so nothing waits but
the one who wants the answer. From the second picture of a size on, inputs and outputs lie at
addresses that do not change, and ONNX Runtime records a CUDA graph of the session and launches it
(`enable_cuda_graph`; a run's `gpu_graph_id` says which, and -1 none). What that asks for, by ONNX
Runtime's documentation of the CUDA provider: no control flow, no operation on the CPU between
others, tensors bound by I/O binding, the same shapes and addresses for one id; and by its source:
the graph belongs to the thread that recorded it (another one records its own), and no other thread
may allocate on a GPU meanwhile (`runtime.engines._cuda_turn`).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import get_ident
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import CardMismatch, StyleError
from . import TensorInfo
from ._cuda import Cuda, Tensor
from ._cuda_graph import alike, graphs_wished
from ._cuda_turn import CUDA_TURN
from ._provider_choice import CPU, CUDA, tell

# An environment variable, so that every command can be asked for the plain way: "1" is on.
PLAIN = "IMPASTO_GPU_PLAIN"
GRAPH_ID = "gpu_graph_id"
# Run without recording or launching a graph (onnxruntime_run_options_config_keys.h).
NO_GRAPH = "-1"
# Sizes of picture kept ready: what is painted, and those that a live run goes to and fro between.
SIZES = 4
# Graphs that a session may record in all: ONNX Runtime keeps them until the session is closed.
GRAPHS = 16

# Name, shape and type of each input, and the outputs that are wanted.
Key = tuple[tuple[tuple[str, tuple[int, ...], str], ...], tuple[str, ...]]


def open_with_lane(
    ort: ModuleType, create: Callable[[list[Any]], Any], providers: list[Any], number: int
) -> "tuple[Any, CudaLane | None, str]":
    """A session, its lane, and what the user should know.

    Args:
        ort: the onnxruntime module.
        create: makes a session of providers with their options.
        providers: without what a lane adds, the best first.
        number: of the GPU.

    Raises:
        CardMismatch: the model cannot be opened.
    """
    if not lane_wished():
        return create(providers), None, ""
    try:
        cuda = Cuda(number)
    except StyleError as error:
        return create(providers), None, f"copies are left to ONNX Runtime: {error}"
    graphs, note = graphs_wished() and providers[0][0] == CUDA, ""
    try:
        with CUDA_TURN:
            try:
                session = create(_on_stream(providers, cuda.stream, graphs))
            except CardMismatch as error:
                if not graphs:
                    raise
                # The model does not suit graphs, or it cannot be opened at all.
                session = create(_on_stream(providers, cuda.stream, False))
                graphs, note = False, f"without CUDA graphs: {error}"
    except BaseException:
        cuda.close()
        raise
    if session.get_providers()[0] == CPU:
        del session
        cuda.close()
        return create([CPU]), None, ""
    return session, CudaLane(ort, cuda, graphs), note


def _on_stream(providers: list[Any], stream: int, graphs: bool) -> list[Any]:
    """The providers with the options of a lane."""
    told: list[Any] = []
    for provider in providers:
        if provider == CPU:
            told.append(provider)
            continue
        name, options = provider
        options = {**options, "user_compute_stream": str(stream)}
        if graphs and name == CUDA:
            options["enable_cuda_graph"] = "1"
        told.append((name, options))
    return told


def lane_wished() -> bool:
    """Whether sessions get a lane: yes, unless the environment says no."""
    return os.environ.get(PLAIN, "") in ("", "0")


class CudaLane:
    """Runs one session; see above.

    Args:
        ort: the onnxruntime module.
        cuda: the GPU, whose stream the session was told. It is closed with the lane.
        graphs: whether the session may record graphs.

    Attributes:
        graphs: whether it still does: not, once one has painted something else than the session
            does without it.
        works: not, once the driver has refused something.
    """

    def __init__(self, ort: ModuleType, cuda: Cuda, graphs: bool) -> None:
        self._ort, self._cuda, self.graphs = ort, cuda, graphs
        self.works = True
        self._sizes: dict[Key, _Size] = {}
        self._ids = iter(range(1, GRAPHS + 1))  # 0 is ONNX Runtime's own

    @property
    def recorded(self) -> int:
        """Graphs that are launched now."""
        return sum(bool(size.number) for size in self._sizes.values())

    def run(
        self,
        session: Any,
        feeds: Mapping[str, np.ndarray],
        outputs: Sequence[TensorInfo],
    ) -> list[np.ndarray]:
        """The session's answer.

        Raises:
            StyleError: the driver refused (memory).
            Exception: of ONNX Runtime's own, as its `run` raises.
        """
        self._cuda.enter()
        key = (
            tuple((name, array.shape, array.dtype.name) for name, array in feeds.items()),
            tuple(info.name for info in outputs),
        )
        size = self._sizes.pop(key, None)
        if size is None:
            with CUDA_TURN:
                while len(self._sizes) >= SIZES:
                    self._sizes.pop(next(iter(self._sizes))).free()
                size = _Size(self._cuda, session.io_binding(), feeds)
        self._sizes[key] = size
        size.upload(feeds)
        try:
            return self._runs(session, size, outputs)
        except BaseException:
            with suppress(StyleError):
                self._cuda.wait()  # copies that were begun read what the next picture overwrites
            raise

    def _runs(self, session: Any, size: "_Size", outputs: Sequence[TensorInfo]) -> list[np.ndarray]:
        if size.number and size.thread != get_ident():
            size.number, size.settled = "", False
        if size.settled or (size.made and not self.graphs):
            session.run_with_iobinding(size.binding, self.run_options(size.number or NO_GRAPH))
            return size.download()
        with CUDA_TURN:
            return self._first_runs(session, size, outputs)

    def _first_runs(
        self, session: Any, size: "_Size", outputs: Sequence[TensorInfo]
    ) -> list[np.ndarray]:
        """Of a size: what the outputs' shapes are, then all of it at fixed addresses, then a graph
        of that, if it paints the same."""
        if not size.made:
            for info in outputs:
                size.binding.bind_output(info.name, "cuda", self._cuda.gpu.number)
            session.run_with_iobinding(size.binding, self.run_options(NO_GRAPH))
            results = list(size.binding.copy_outputs_to_cpu())
            size.place(outputs, [array.shape for array in results])
            return results
        session.run_with_iobinding(size.binding, self.run_options(NO_GRAPH))
        results = size.download()
        size.settled = True
        number = next(self._ids, None)
        if number is None:
            return results
        for _ in ("recorded", "launched"):
            session.run_with_iobinding(size.binding, self.run_options(str(number)))
            if not alike(_named(results), _named(size.download())):
                self.graphs = False
                return results
        size.number, size.thread = str(number), get_ident()
        return results

    def run_options(self, number: str = NO_GRAPH) -> Any:
        """Options of a run that launches this graph, or none."""
        options = self._ort.RunOptions()
        options.add_run_config_entry(GRAPH_ID, number)
        return options

    def give_up(self, error: StyleError) -> None:
        """Leave copies to ONNX Runtime from now on, and say so."""
        self.works = False
        tell(f"copies are left to ONNX Runtime: {error}")
        with suppress(StyleError):  # where nothing works any more, the session will say so
            self.free()

    def free(self) -> None:
        """Give memory back; the session still needs the stream."""
        self._cuda.enter()
        self._cuda.wait()
        for size in self._sizes.values():
            size.free()
        self._sizes.clear()

    def close(self) -> None:
        """Release the GPU, after the session."""
        self.free()
        self._cuda.close()


class _Size:
    """Memory and I/O binding for pictures of one size.

    Attributes:
        binding: of the session.
        made: the outputs, once their shapes are known.
        settled: it was decided whether a graph is recorded.
        number: of its graph, "" if there is none.
        thread: that recorded it, and the only one that can launch it.
    """

    def __init__(self, cuda: Cuda, binding: Any, feeds: Mapping[str, np.ndarray]) -> None:
        self._cuda = cuda
        self.binding: Any = binding
        self._given: dict[str, Tensor] = {}
        self.made: list[Tensor] = []
        self.settled, self.number, self.thread = False, "", 0
        try:
            for name, array in feeds.items():
                tensor = self._given[name] = cuda.tensor(array.shape, array.dtype.name)
                self.binding.bind_input(name, *self._where(tensor))
        except BaseException:
            self.free()
            raise

    def place(self, outputs: Sequence[TensorInfo], shapes: Sequence[tuple[int, ...]]) -> None:
        """Give the outputs memory that stays where it is."""
        for info, shape in zip(outputs, shapes, strict=True):
            tensor = self._cuda.tensor(shape, info.dtype)
            self.made.append(tensor)
            self.binding.bind_output(info.name, *self._where(tensor))

    def _where(self, tensor: Tensor) -> tuple[str, int, Any, tuple[int, ...], int]:
        host = tensor.host
        return "cuda", self._cuda.gpu.number, host.dtype.type, host.shape, tensor.address

    def upload(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Begin copying the inputs to the GPU."""
        for name, array in feeds.items():
            np.copyto(self._given[name].host, array)
            self._cuda.upload(self._given[name])

    def download(self) -> list[np.ndarray]:
        """The outputs, in arrays of their own."""
        for tensor in self.made:
            self._cuda.download(tensor)
        self._cuda.wait()
        return [tensor.host.copy() for tensor in self.made]

    def free(self) -> None:
        """Give everything back. The stream must be idle."""
        self.binding = None
        for tensor in (*self._given.values(), *self.made):
            tensor.free()


def _named(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {str(place): array for place, array in enumerate(arrays)}
