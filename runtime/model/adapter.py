"""Graphs of others behind our contract: gray pictures, an alpha channel, no batch axis, doubles.

Everything above an engine knows pictures of four axes and three channels, in bytes or floats. What
a graph has instead is converted here, once, on its way in and out:

    gray in      Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), in whatever range the values are
    gray out     the same level in all three channels
    alpha        opaque on the way in, left off on the way out
    no batch     one is taken off or put before
    whole numbers, doubles   bytes, single precision
    a style by its index     a vector that weighs the styles, with one of them at 1
    another whole number     a parameter
    normalized pictures      (value - mean) / std, with what the user says
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..engines import Engine, TensorInfo
from ..errors import UsageError
from ..onnxfile import OnnxFile

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
CHANNELS = (1, 3, 4)
# Sides shorter than this are no picture's, but a code's or a kernel's.
LEAST_SIDE = 8
WIDER = {"float64": "float32", "int8": "uint8", "int32": "uint8", "int64": "uint8"}
INDEX = ("int32", "int64")
WHOLE = (*INDEX, "bool")
# What happens to a number on its way to a table.
RESHAPING = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")
# Opaque alpha where values are those of bytes, and where they are not.
BYTE_RANGE = 1.5


@dataclass(frozen=True)
class _Picture:
    """How one picture of the graph differs from ours."""

    inner: TensorInfo
    outer: TensorInfo
    axis: int  # of the channels, among the outer four

    @property
    def channels(self) -> int | str:
        return self.inner.shape[self.axis - (len(self.inner.shape) == 3)]

    def enter(self, tensor: np.ndarray) -> np.ndarray:
        if self.channels == 1:
            weights = LUMA.reshape([3 if axis == self.axis else 1 for axis in range(4)])
            gray = (tensor * weights).sum(axis=self.axis, keepdims=True)
            tensor = np.rint(gray) if tensor.dtype == np.uint8 else gray
        elif self.channels == 4:
            opaque = 255 if tensor.dtype == np.uint8 or tensor.max() > BYTE_RANGE else 1
            first = np.take(tensor, [0], axis=self.axis)
            tensor = np.concatenate([tensor, np.full_like(first, opaque)], axis=self.axis)
        if len(self.inner.shape) == 3:
            tensor = tensor[0]
        return tensor.astype(self.inner.dtype)

    def leave(self, tensor: np.ndarray) -> np.ndarray:
        if tensor.ndim == 3:
            tensor = tensor[None]
        if tensor.ndim != 4:
            return tensor
        axis = self.axis if tensor.shape[self.axis] in CHANNELS else 4 - self.axis
        if tensor.shape[axis] == 1:
            tensor = np.repeat(tensor, 3, axis=axis)
        elif tensor.shape[axis] == 4:
            tensor = np.take(tensor, [0, 1, 2], axis=axis)
        if self.outer.dtype == "uint8" and tensor.dtype != np.uint8:
            tensor = np.clip(tensor, 0, 255)
        return tensor.astype(self.outer.dtype)


@dataclass(frozen=True)
class _Index:
    """A style given by its number."""

    inner: TensorInfo
    outer: TensorInfo

    def enter(self, tensor: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero(tensor)
        if len(chosen) != 1:
            raise UsageError(
                f'"{self.inner.name}" takes the number of one style; styles cannot be mixed here'
            )
        shape = [axis if isinstance(axis, int) else 1 for axis in self.inner.shape]
        return np.full(shape, chosen[0], self.inner.dtype)


@dataclass(frozen=True)
class _Number:
    """A whole number, or yes and no, that nothing is known of."""

    outer: TensorInfo

    def enter(self, tensor: np.ndarray) -> np.ndarray:
        return np.asarray(np.rint(tensor), self.outer.dtype)


@dataclass(frozen=True)
class _Normalized:
    """A picture that is fed as (value - mean) / std."""

    outer: TensorInfo
    mean: np.ndarray
    std: np.ndarray

    def enter(self, tensor: np.ndarray) -> np.ndarray:
        axis = 1 if tensor.shape[1] == 3 else 3
        shape = [-1 if number == axis else 1 for number in range(4)]
        mean, std = self.mean.reshape(shape), self.std.reshape(shape)
        return ((tensor.astype(np.float32) - mean) / std).astype(tensor.dtype)


class _Entering(Protocol):
    """How one input of the graph differs from ours."""

    @property
    def outer(self) -> TensorInfo:
        """The input as ours."""
        ...

    def enter(self, tensor: np.ndarray) -> np.ndarray:
        """Our tensor as the graph's."""
        ...


class AdaptedEngine:
    """An `Engine` around another one whose inputs and outputs are converted.

    Args:
        engine: the graph, as it is.
        entering: for each input that is converted.
        leaving: for each output that is.
    """

    def __init__(
        self,
        engine: Engine,
        entering: Mapping[str, _Entering],
        leaving: dict[str, _Picture],
    ) -> None:
        self._engine, self._entering, self._leaving = engine, entering, leaving
        self.inputs = tuple(
            entering[info.name].outer if info.name in entering else info for info in engine.inputs
        )
        self.outputs = tuple(
            leaving[info.name].outer if info.name in leaving else info for info in engine.outputs
        )
        self.metadata, self.device, self.note = engine.metadata, engine.device, engine.note

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """As the graph, in our kind of pictures."""
        given = {
            name: self._entering[name].enter(value) if name in self._entering else value
            for name, value in feeds.items()
        }
        results = self._engine.run(given, outputs)
        return {
            name: self._leaving[name].leave(value) if name in self._leaving else value
            for name, value in results.items()
        }

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._engine.close()


def adapt(engine: Engine, graph: OnnxFile | None) -> Engine:
    """The engine itself where its pictures are ours, else one that converts.

    Args:
        engine: an open graph without a card.
        graph: its file, for the number of styles behind an index; None if it cannot be read.
    """
    entering: dict[str, _Picture | _Index | _Number] = dict(_pictures(engine.inputs))
    leaving = _pictures(engine.outputs)
    for info in engine.inputs:
        number = None if info.name in entering else _index(info, graph) or _number(info)
        if number is not None:
            entering[info.name] = number
    return AdaptedEngine(engine, entering, leaving) if entering or leaving else engine


def normalized(
    engine: Engine, pictures: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> Engine:
    """An engine whose pictures are fed as (value - mean) / std.

    Args:
        engine: whose pictures are ours already (`adapt`).
        pictures: names of the inputs meant.
        mean, std: of the channels in the order they are fed; one number is all three's.

    Raises:
        UsageError: not one number or three, a deviation that is not above 0, or bytes.
    """
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, 3):
            raise UsageError(f"--{name} has {len(values)} numbers, allowed are one and three")
    if not all(value > 0 for value in std):
        raise UsageError(f"--std is {','.join(f'{v:g}' for v in std)}, allowed is above 0")
    entering: dict[str, _Normalized] = {}
    for info in engine.inputs:
        if info.name not in pictures:
            continue
        if info.dtype == "uint8":
            raise UsageError(
                f'"{info.name}" takes bytes, which are not normalized; leave out --mean'
            )
        means, deviations = (np.array(values, np.float32) for values in (mean, std))
        entering[info.name] = _Normalized(info, means, deviations)
    return AdaptedEngine(engine, entering, {})


def _pictures(infos: Sequence[TensorInfo]) -> dict[str, _Picture]:
    """Those to convert. Where one picture is ours already, the others are masks and the like."""
    found = {info.name: _picture(info) for info in infos}
    known = [picture for picture in found.values() if picture is not None]
    if any(picture.inner == picture.outer for picture in known):
        return {}
    return {picture.inner.name: picture for picture in known}


def _picture(info: TensorInfo) -> _Picture | None:
    """How to see this as a picture; None where it has no picture's shape."""
    if len(info.shape) not in (3, 4):
        return None
    shape = info.shape if len(info.shape) == 4 else (1, *info.shape)
    axis = _channel_axis(shape)
    if axis is None:
        return None
    number = 3 if shape[axis] in CHANNELS else shape[axis]
    outer = replace(
        info,
        shape=(*shape[:axis], number, *shape[axis + 1 :]),
        dtype=WIDER.get(info.dtype, info.dtype),
    )
    return _Picture(info, outer, axis)


def _channel_axis(shape: tuple[int | str, ...]) -> int | None:
    """Position of the channels among four axes; a free axis may be theirs if no number says
    otherwise and the sides are alike."""
    for wanted in ((3,), (1, 4)):
        for axis, sides in ((1, shape[2:]), (3, shape[1:3])):
            long = all(isinstance(side, str) or side >= LEAST_SIDE for side in sides)
            if shape[axis] in wanted and long:
                return axis
    for axis, sides in ((1, shape[2:]), (3, shape[1:3])):
        if isinstance(shape[axis], str) and len({isinstance(side, str) for side in sides}) == 1:
            return axis
    return None


def _single(info: TensorInfo) -> bool:
    return all(isinstance(axis, str) or axis == 1 for axis in info.shape)


def _number(info: TensorInfo) -> _Number | None:
    """A whole number, or a bool, of unknown meaning."""
    if info.dtype not in WHOLE or not _single(info):
        return None
    return _Number(info)


def _index(info: TensorInfo, graph: OnnxFile | None) -> _Index | None:
    """A style's number, if a table of styles is read with it."""
    if info.dtype not in INDEX or not _single(info) or graph is None:
        return None
    names = {info.name}
    for node in graph.nodes:
        if node.op in RESHAPING and node.inputs[0] in names:
            names.update(node.outputs)
        if node.op == "OneHot" and node.inputs[0] in names:
            depth = graph.constant(node.inputs[1])
            if depth is not None and depth.size == 1:
                return _Index(info, TensorInfo(info.name, (1, int(depth.ravel()[0])), "float32"))
        if node.op == "Gather" and len(node.inputs) > 1 and node.inputs[1] in names:
            table = graph.constant(node.inputs[0])
            if table is not None and table.ndim:
                axis = (node.ints("axis") or (0,))[0]
                return _Index(info, TensorInfo(info.name, (1, table.shape[axis]), "float32"))
    return None
