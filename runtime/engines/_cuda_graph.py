"""CUDA graphs: work that a stream was given once, launched again with one call.

What a graph holds is fixed: kernels, their arguments, addresses. So all it reads and writes lies in
`runtime.engines._cuda.Tensor`s, which do not move, and new values are put into them.
"""

import os
from collections.abc import Callable, Mapping
from ctypes import byref, c_int, c_ulonglong, c_void_p

import numpy as np

from ..errors import StyleError
from ._cuda import Cuda

# An environment variable, so that every command can be asked to do without them: "0" is off.
SWITCH = "IMPASTO_CUDA_GRAPHS"
# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: calls of other threads, such as a decoder's, do not matter.
THREAD_LOCAL = 1
# How far a graph's answer may be from that of the same work without it: kernels that add in any
# order differ in the last bits; an address or a size that changed gives another picture.
LEVELS, RELATIVE, ABSOLUTE = 1, 1e-2, 1 / 255


class Graph:
    """Work recorded from the GPU's stream.

    Args:
        cuda: the GPU, entered.
        work: gives it to `cuda.stream` and returns without waiting; nothing of it is done now.

    Raises:
        StyleError: it cannot be recorded; the stream is as it was before.
    """

    def __init__(self, cuda: Cuda, work: Callable[[], None]) -> None:
        self._cuda = cuda
        self._run = c_void_p()
        stream, recorded = c_void_p(cuda.stream), c_void_p()
        cuda.call("cuStreamBeginCapture_v2", stream, c_int(THREAD_LOCAL))
        try:
            work()
        except BaseException:
            self._end_spoiled(stream)
            raise
        cuda.call("cuStreamEndCapture", stream, byref(recorded))
        try:
            cuda.call("cuGraphInstantiateWithFlags", byref(self._run), recorded, c_ulonglong(0))
        finally:
            cuda.call("cuGraphDestroy", recorded)

    def _end_spoiled(self, stream: c_void_p) -> None:
        """Bring the stream back from a capture that failed, whatever the driver says of it."""
        recorded = c_void_p()
        try:
            self._cuda.call("cuStreamEndCapture", stream, byref(recorded))
        except StyleError:
            return
        if recorded.value:
            self._cuda.call("cuGraphDestroy", recorded)

    def launch(self) -> None:
        """Give all of it to the stream again."""
        self._cuda.call("cuGraphLaunch", self._run, c_void_p(self._cuda.stream))

    def free(self) -> None:
        """Give it back; may be called twice."""
        if self._run.value:
            self._cuda.call("cuGraphExecDestroy", self._run)
            self._run = c_void_p()


def graphs_wished() -> bool:
    """Whether CUDA graphs are used: yes, unless the environment says no."""
    return os.environ.get(SWITCH, "1") != "0"


def alike(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether a graph's answer is that of the same work without it."""
    return all(_close(one[name], other[name]) for name in one)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind == "f":
        return np.allclose(one, other, RELATIVE, ABSOLUTE, equal_nan=True)
    return bool((np.abs(one.astype(np.int64) - other.astype(np.int64)) <= LEVELS).all())
