"""One size of picture on a TensorRT engine: execution context, memory, and after two pictures a
CUDA graph of copies and kernels.

A graph holds the state of the context it was recorded from, so each has a context of its own, which
is not touched afterwards (TensorRT's guide, "CUDA Graphs").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import StyleError
from .. import TensorInfo
from .._cuda import Cuda, Tensor
from .._cuda_graph import Graph, alike


class Slot:
    """Where pictures of one size are painted.

    Args:
        cuda: the GPU, entered.
        context: an execution context that nothing else uses, its input shapes set.
        infos: all inputs and outputs.
        graph: whether to record one.
        said: the library's last words.

    Raises:
        StyleError: no memory, or an address that the library refuses.
    """

    def __init__(
        self,
        cuda: Cuda,
        context: Any,
        infos: Sequence[TensorInfo],
        graph: bool,
        said: Callable[[], str],
    ) -> None:
        self._cuda, self._said = cuda, said
        self._context: Any = context
        self._graph: Graph | None = None
        self._tensors: dict[str, Tensor] = {}
        self._runs = 0
        self._records = graph and _capturable(context, cuda.stream)
        try:
            for info in infos:
                shape = tuple(context.get_tensor_shape(info.name))
                tensor = cuda.tensor(shape, info.dtype)
                self._tensors[info.name] = tensor
                if not context.set_tensor_address(info.name, tensor.address):
                    raise StyleError(f'the engine takes no memory for "{info.name}": {said()}')
        except BaseException:
            self.free()
            raise

    @property
    def recorded(self) -> bool:
        """Whether pictures are painted by a graph."""
        return self._graph is not None

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """The outputs that are wanted, in arrays of their own.

        Raises:
            StyleError: the engine or the GPU failed.
        """
        for name, values in feeds.items():
            np.copyto(self._tensors[name].host, values)
        try:
            if self._graph is not None:
                self._graph.launch()
                return self._results(wanted)
            self._give(feeds, wanted)
        except StyleError:
            self._cuda.wait()  # copies that were begun read what the next picture overwrites
            raise
        results = self._results(wanted)
        self._runs += 1
        # The first run settles what a new size changes in the context, which must not be recorded.
        if self._records and self._runs > 1:
            self._records = False
            self._record(feeds, wanted, results)
        return results

    def _give(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str]) -> None:
        """Everything for one picture, given to the stream."""
        for name in feeds:
            self._cuda.upload(self._tensors[name])
        if not self._context.execute_async_v3(self._cuda.stream):
            raise StyleError(f"the engine failed: {self._said()}")
        for name in wanted:
            self._cuda.download(self._tensors[name])

    def _results(self, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        self._cuda.wait()
        return {name: self._tensors[name].host.copy() for name in wanted}

    def _record(
        self,
        feeds: Mapping[str, np.ndarray],
        wanted: Sequence[str],
        results: Mapping[str, np.ndarray],
    ) -> None:
        """Keep a graph that can be recorded and gives this picture again."""
        try:
            graph = Graph(self._cuda, lambda: self._give(feeds, wanted))
        except StyleError:
            return
        graph.launch()
        if alike(results, self._results(wanted)):
            self._graph = graph
        else:
            graph.free()

    def free(self) -> Any:
        """Give everything back but the context, which is returned: without the graph it is as good
        as new. May be called twice. The stream must be idle."""
        if self._graph is not None:
            self._graph.free()
            self._graph = None
        for tensor in self._tensors.values():
            tensor.free()
        return self._context


def _capturable(context: Any, stream: int) -> bool:
    """What the context says; libraries that do not know the question can be recorded."""
    ask = getattr(context, "is_stream_capturable", None)
    return ask is None or bool(ask(stream))
