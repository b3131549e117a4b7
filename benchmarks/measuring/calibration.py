"""The machine's own peaks, measured with the kernels every model uses: a ruler for all numbers.

    gemm_gflops    fp32 matrix product, 768 x 768 x 768
    conv_gops      four 3x3 convolutions of 128 channels, uint8 x int8, on 64 x 64 pixels
    copy_gbs       memory copy, 64 MiB to 64 MiB; bytes read plus bytes written

Read before, between and after the rounds of every benchmark: a reading below 85 % of the best
marks its neighbors. All three are built in memory and need nothing but the runtime install.
"""

import time
from collections.abc import Callable

import numpy as np

from runtime.model.formats import open_model

from .protobuf import encode, message

GEMM = 768  # research/performance: big enough for full speed, 4 ms on a fast core
CHANNELS, SIDE, LAYERS = 128, 64, 4  # 4.8 G operations: 5 ms on a core with VNNI
COPY_MIB = 64  # twice the largest last-level cache we have met
# Best of this many per reading: a single one may hit an interrupt.
TRIES = 3
# Domain of ONNX Runtime's own operators.
MICROSOFT = "com.microsoft"
# TensorProto.DataType
FLOAT, UINT8, INT8 = 1, 2, 3


def tensor(name: str, array: np.ndarray) -> bytes:
    """A TensorProto with its elements as raw bytes."""
    kind = {"float32": FLOAT, "uint8": UINT8, "int8": INT8}[array.dtype.name]
    dims = tuple((1, size) for size in array.shape)
    return message(*dims, (2, kind), (8, name), (9, array.tobytes()))


def value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    """A ValueInfoProto: a graph input or output of a fixed shape."""
    axes = b"".join(encode(1, message((1, size))) for size in shape)
    return message((1, name), (2, message((1, message((1, kind), (2, axes))))))


def node(
    operator: str, inputs: list[str], output: str, domain: str = "", **numbers: int | list[int]
) -> bytes:
    """A NodeProto with integers and lists of integers as attributes."""
    names = tuple((1, name) for name in inputs)
    return message(
        *names,
        (2, output),
        (4, operator),
        *((5, _attribute(name, number)) for name, number in numbers.items()),
        (7, domain),
    )


def _attribute(name: str, number: int | list[int]) -> bytes:
    """An AttributeProto: type 2 (INT) or 7 (INTS)."""
    if isinstance(number, int):
        return message((1, name), (3, number), (20, 2))
    return message((1, name), *((8, one) for one in number), (20, 7))


def model(nodes: list[bytes], tensors: list[bytes], given: bytes, result: bytes) -> bytes:
    """A ModelProto (IR version 8, opset 17, and ONNX Runtime's own operators) of these parts."""
    graph = message(
        *((1, part) for part in nodes),
        (2, "thermometer"),
        *((5, part) for part in tensors),
        (11, given),
        (12, result),
    )
    opsets = (message((2, 17)), message((1, MICROSOFT), (2, 1)))
    return message((1, 8), (7, graph), *((8, opset) for opset in opsets))


def gemm_model() -> bytes:
    """One product with a constant matrix, fp32."""
    weight = np.random.default_rng(0).standard_normal((GEMM, GEMM), np.float32)
    shape = (GEMM, GEMM)
    return model(
        [node("MatMul", ["x", "w"], "y")],
        [tensor("w", weight)],
        value("x", FLOAT, shape),
        value("y", FLOAT, shape),
    )


def conv_model() -> bytes:
    """`LAYERS` QLinearConv nodes in a row: unsigned activations, signed weights, channels last, as
    ONNX Runtime runs what we deploy. With channels first it transposes around every node, on one
    thread: two threads then read 530 G operations/s where models reach 680."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3), np.int8)
    # Keeps the values in range: the sum of 1152 products of random bytes is of this order.
    scales = {"sx": np.float32(1.0), "sw": np.float32(1.0), "sy": np.float32(4096.0)}
    tensors = [tensor(name, np.asarray(number)) for name, number in scales.items()]
    tensors += [tensor("w", weight), tensor("zx", np.asarray(128, np.uint8))]
    tensors += [tensor("zw", np.asarray(0, np.int8))]
    names = ["x", *(f"h{i}" for i in range(1, LAYERS)), "y"]
    nodes = [
        node(
            "QLinearConv",
            [names[i], "sx", "zx", "w", "sw", "zw", "sy", "zx"],
            names[i + 1],
            MICROSOFT,
            pads=[1, 1, 1, 1],
            channels_last=1,
        )
        for i in range(LAYERS)
    ]
    shape = (1, SIDE, SIDE, CHANNELS)
    return model(nodes, tensors, value("x", UINT8, shape), value("y", UINT8, shape))


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
