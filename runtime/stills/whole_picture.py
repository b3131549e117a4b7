"""Where a graph looks at the whole picture, and how to feed what it sees there.

Instance normalization divides by the deviation over all positions, so a tile normalized on its own
comes out in other colors. Each such node is replaced by one that gets mean and variance from
outside; both are then measured over all tiles.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..errors import StyleError
from ..onnxfile import Node, OnnxFile

# BatchNormalization takes five inputs and no `is_test` from this opset on.
BATCH_NORM_OPSET = 7
# Axes of a (N, C, H, W) tensor that run over positions, as ReduceMean may write them.
SPATIAL = ((2, 3), (-2, -1), (2, -1), (-2, 3))


@dataclass(frozen=True, slots=True)
class Point:
    """One place of whole-picture statistics.

    Attributes:
        value: name of the tensor they are taken of, (1, C, h, w).
        mean: name of the new input that takes its mean.
        variance: name of the new input that takes its variance; "" if only the mean is used.
        keepdims: the mean is (1, C, 1, 1), else (1, C); with a variance both are (C,).
    """

    value: str
    mean: str
    variance: str = ""
    keepdims: bool = True

    def feeds(self, statistics: "Statistics", dtype: np.dtype) -> dict[str, np.ndarray]:
        """The tensors for the new inputs."""
        mean = statistics.mean.astype(dtype)
        if self.variance:
            return {self.mean: mean, self.variance: statistics.variance.astype(dtype)}
        return {self.mean: mean.reshape((1, -1, 1, 1) if self.keepdims else (1, -1))}


@dataclass(slots=True)
class Statistics:
    """Mean and variance per channel over tiles of any size, in double precision.

    Tiles are merged as Chan, Golub and LeVeque (1979) merge partial variances: no difference of
    large squares is ever taken.
    """

    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def variance(self) -> np.ndarray:
        """Population variance, as instance normalization uses it."""
        return self.squares / max(1, self.count)

    def add(self, planes: np.ndarray) -> None:
        """Include one tile's values, (C, h, w)."""
        count = planes.shape[1] * planes.shape[2]
        if count == 0:
            return
        planes = planes if planes.dtype == np.float32 else planes.astype(np.float32)
        found = np.array([cv2.meanStdDev(plane) for plane in planes]).reshape(len(planes), 2)
        mean, squares = found[:, 0], found[:, 1] ** 2 * count
        if self.count == 0:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total = self.count + count
        shift = mean - self.mean
        self.squares = self.squares + squares + shift**2 * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total


def cut(model: OnnxFile) -> tuple[OnnxFile, list[Point]]:
    """The model with fed instead of computed statistics, and the points in order.

    Raises:
        StyleError: the model is too old to be rewritten.
    """
    nodes: list[Node] = []
    points: list[Point] = []
    for node in model.nodes:
        number = len(points)
        if node.op == "InstanceNormalization" and node.domain in ("", "ai.onnx"):
            point = Point(node.inputs[0], f"whole_mean_{number}", f"whole_variance_{number}")
            # The attribute `epsilon` has the same name, default and meaning in both.
            inputs = (*node.inputs, point.mean, point.variance)
            nodes.append(replace(node, op="BatchNormalization", inputs=inputs))
            points.append(point)
        elif _is_spatial_mean(node, model):
            keepdims = node.op == "GlobalAveragePool" or node.ints("keepdims") != (0,)
            # The node disappears: its output is fed.
            points.append(Point(node.inputs[0], node.outputs[0], keepdims=keepdims))
        else:
            nodes.append(node)
    if points and model.opset < BATCH_NORM_OPSET:
        raise StyleError(
            f"the model's opset {model.opset} is too old to be tiled exactly "
            f"({BATCH_NORM_OPSET} is needed): use --tile off, or --size for a smaller picture"
        )
    return model.replaced(nodes), points


def _is_spatial_mean(node: Node, model: OnnxFile) -> bool:
    if node.op == "GlobalAveragePool":
        return True
    if node.op != "ReduceMean":
        return False
    axes = node.ints("axes")
    if axes is None and len(node.inputs) > 1:
        axes = model.initializer_ints(node.inputs[1])
    return axes is not None and tuple(sorted(axes)) in {tuple(sorted(pair)) for pair in SPATIAL}
