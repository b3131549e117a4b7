"""The machine's own peaks, measured with the kernels every model uses: a ruler for all numbers.

    gemm_gflops    fp32 matrix product, 768 x 768 x 768
    conv_gops      four 3x3 convolutions of 128 channels, uint8 x int8, on 64 x 64 pixels
    copy_gbs       memory copy, 64 MiB to 64 MiB; bytes read plus bytes written

Read before, between and after the rounds of every benchmark: a reading below 85 % of the best
marks its neighbors. All three are built in memory.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from runtime.model.formats import open_model

if TYPE_CHECKING:
    from onnx import NodeProto

GEMM = 768  # measured: big enough for full speed, 4 ms on a fast core
CHANNELS, SIDE, LAYERS = 128, 64, 4  # 4.8 G operations: 5 ms on a core with VNNI
COPY_MIB = 64  # twice the largest last-level cache we have met
# Best of this many per reading: a single one may hit an interrupt.
TRIES = 3
# Domain of ONNX Runtime's own operators.
MICROSOFT = "com.microsoft"
# What every ONNX Runtime that we support reads.
IR_VERSION, OPSET = 8, 17


def gemm_model() -> bytes:
    """One product with a constant matrix, fp32."""
    from onnx import helper

    weight = np.random.default_rng(0).standard_normal((GEMM, GEMM), np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return _model([node], {"w": weight}, np.float32, (GEMM, GEMM))


def conv_model() -> bytes:
    """`LAYERS` QLinearConv nodes in a row: unsigned activations, signed weights, channels last, as
    ONNX Runtime runs what we deploy. With channels first it transposes around every node, on one
    thread: two threads then read 530 G operations/s where models reach 680."""
    from onnx import helper

    rng = np.random.default_rng(0)
    tensors = {
        # Keeps the values in range: the sum of 1152 products of random bytes is of this order.
        **{"sx": np.float32(1.0), "sw": np.float32(1.0), "sy": np.float32(4096.0)},
        "w": rng.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3), np.int8),
        **{"zx": np.uint8(128), "zw": np.int8(0)},
    }
    names = ["x", *(f"h{i}" for i in range(1, LAYERS)), "y"]
    nodes = [
        helper.make_node(
            "QLinearConv",
            [names[i], "sx", "zx", "w", "sw", "zw", "sy", "zx"],
            [names[i + 1]],
            domain=MICROSOFT,
            pads=[1, 1, 1, 1],
            channels_last=1,
        )
        for i in range(LAYERS)
    ]
    return _model(nodes, tensors, np.uint8, (1, SIDE, SIDE, CHANNELS))


def _model(
    nodes: "list[NodeProto]",
    tensors: Mapping[str, np.ndarray | np.generic],
    dtype: type[np.generic],
    shape: tuple[int, ...],
) -> bytes:
    """A graph from "x" to "y", both of this type and shape."""
    from onnx import helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "calibration", ends[:1], ends[1:], stored)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return made.SerializeToString()


class Calibration:
    """Three short loads; call it for a reading, higher is faster."""

    def __init__(self, threads: int = 1) -> None:
        """`threads` of the two ONNX Runtime loads; the copy always uses one."""
        self.threads = threads
        self._gemm = open_model(gemm_model(), "onnxruntime", "cpu", threads)
        self._conv = open_model(conv_model(), "onnxruntime", "cpu", threads)
        self._matrix = {"x": np.ones((GEMM, GEMM), np.float32)}
        self._pixels = {"x": np.full((1, SIDE, SIDE, CHANNELS), 128, np.uint8)}
        self._from = np.ones(COPY_MIB * 2**17, np.float64)
        self._to = np.zeros_like(self._from)
        self()  # the first calls allocate

    def __call__(self) -> dict[str, float]:
        """One reading: `{"gemm_gflops", "conv_gops", "copy_gbs"}`."""
        gemm = _best(lambda: self._gemm.run(self._matrix))
        conv = _best(lambda: self._conv.run(self._pixels))
        copy = _best(lambda: np.copyto(self._to, self._from))
        conv_operations = 2 * LAYERS * CHANNELS**2 * 9 * SIDE**2
        return {
            "gemm_gflops": round(2 * GEMM**3 / gemm / 1e9, 1),
            "conv_gops": round(conv_operations / conv / 1e9, 1),
            "copy_gbs": round(2 * self._from.nbytes / copy / 1e9, 1),
        }

    def close(self) -> None:
        """Free the loads; may be called twice."""
        self._gemm.close()
        self._conv.close()


def _best(load: Callable[[], object]) -> float:
    """Shortest of `TRIES` runs in seconds."""
    shortest = float("inf")
    for _ in range(TRIES):
        start = time.perf_counter()
        load()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def peaks(readings: list[dict[str, float]]) -> dict[str, float]:
    """The best reading of each load."""
    return {key: max(reading[key] for reading in readings) for key in readings[0]}
