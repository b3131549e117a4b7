"""Pictures of any size in bounded memory, equal to the untiled run.

The picture is painted in tiles that overlap by more than the network can see. Whole-picture
statistics (instance normalization) are measured first, one pass over all tiles for each place
that needs them: pass k runs the graph up to its k-th normalization, all earlier ones being fed
what was measured before. Activations are recomputed and never stored, so memory stays that of a
tile, at the price of about half as many runs of the graph as it has normalizations.

Models that are folded for each scene are `folded_tiles`' task.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np

from ..engines import Engine
from ..errors import StyleError
from ..model.conditions import Condition
from ..model.session import StyleSession
from ..onnxfile import OnnxFile, read_onnx
from .whole_picture import Point, Statistics, cut

# (top, left, bottom, right) in pixels of the padded picture.
Window = tuple[int, int, int, int]
# Gives the picture's part in a window: (h, w, 3), uint8, or float32 in 0..1.
Read = Callable[[Window], np.ndarray]

# Sizes of the probe pictures: wide enough for the 9x9, strided and residual layers of the usual
# networks (about 100 px of context); doubled until the network's reach fits.
PROBE_HEIGHT = 64
PROBE_WIDTHS = (512, 1024, 2048)
# A change below this is rounding, not context: float32 convolutions differ by about 1e-6.
NOTICEABLE = 1e-5
# The promise of exact tiling, checked on a small picture before a large one is begun.
# The thousandth is for the rounding of the levels themselves.
TOLERANCE = 1.001 / 255.0
# Tiles start at multiples of this: all strides and shuffles of the usual networks divide it.
GRID = 16


class AnyTiler(Protocol):
    """A session prepared for tiling: what `Tiler` and `folded_tiles.FoldedTiler` have in common."""

    session: StyleSession
    conditions: Mapping[str, Condition]
    grid: int
    halo: int

    @property
    def passes(self) -> int:
        """How often the picture is gone through, painting included."""
        ...

    def measuring_runs(self, height: int, width: int, tile: int) -> int:
        """How often `measure` calls its `step` for a (padded) picture."""
        ...

    def measure(
        self, read: Read, height: int, width: int, tile: int, step: Callable[[], None]
    ) -> None:
        """Take all whole-picture statistics of a (padded) picture."""
        ...

    def paint(self, read: Read, inner: Window, outer: Window) -> np.ndarray:
        """The painted picture inside `inner`, (h, w, 3) float32 in 0..1; `measure` comes first."""
        ...

    def close(self) -> None:
        """Free the painting engine; may be called twice."""
        ...


@dataclass(slots=True)
class Tiler:
    """One session prepared for tiling.

    Attributes:
        halo: pixels of context around a tile, a multiple of `grid`.
        passes: runs over the picture that `measure` and `paint` make together.
    """

    session: StyleSession
    conditions: Mapping[str, Condition]
    model: OnnxFile
    points: list[Point]
    grid: int
    halo: int = 0
    # Per point: pixels per position, and positions beyond the picture on each side.
    _places: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    _fed: dict[str, np.ndarray] = field(default_factory=dict)
    _types: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    _painter: Engine | None = None

    @property
    def passes(self) -> int:
        """How often the picture is gone through, painting included."""
        return len(self.points) + 1

    def measuring_runs(self, height: int, width: int, tile: int) -> int:
        """How often `measure` calls its `step` for a (padded) picture."""
        return len(self.points) * count_windows(height, width, tile)

    def measure(
        self, read: Read, height: int, width: int, tile: int, step: Callable[[], None]
    ) -> None:
        """Take all whole-picture statistics of a (padded) picture; `step` is called per tile."""
        self.close()
        self._fed, self._types = {}, {}
        for index, point in enumerate(self.points):
            engine = self._open([point.value])
            dtype = np.dtype(engine.outputs[0].dtype)
            statistics = Statistics()
            try:
                for inner, outer in windows(height, width, tile, self.halo):
                    values = self._run(engine, read(outer), point.value)
                    if not self._places or len(self._places) <= index:
                        statistics.add(values)
                    else:
                        statistics.add(self._inside(values, index, inner, outer, height, width))
                    step()
            finally:
                engine.close()
            feeds = point.feeds(statistics, dtype)
            self._fed.update(feeds)
            self._types.update({name: (str(dtype), a.shape) for name, a in feeds.items()})
        self._painter = self._open([self.session.output_name])

    def paint(self, read: Read, inner: Window, outer: Window) -> np.ndarray:
        """The painted picture inside `inner`, (h, w, 3) float32 in 0..1; `measure` comes first."""
        if self._painter is None:
            raise ValueError("measure the picture first")
        result = self._run_raw(self._painter, read(outer), self.session.output_name)
        styled = self.session.picture(result)
        top, left = inner[0] - outer[0], inner[1] - outer[1]
        return styled[top : top + inner[2] - inner[0], left : left + inner[3] - inner[1]]

    def close(self) -> None:
        """Free the painting engine; may be called twice."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    def _open(self, outputs: list[str]) -> Engine:
        extra = [(name, dtype, shape) for name, (dtype, shape) in self._types.items()]
        return self.session.open_part(self.model.serialize(outputs, extra))

    def _run_raw(self, engine: Engine, view: np.ndarray, name: str) -> np.ndarray:
        feeds = {**self.session.feeds(view, self.conditions), **self._fed}
        wanted = {value.name for value in engine.inputs}
        return engine.run({key: feeds[key] for key in feeds if key in wanted}, [name])[name]

    def _run(self, engine: Engine, view: np.ndarray, name: str) -> np.ndarray:
        return self._run_raw(engine, view, name)[0]

    def _inside(
        self, values: np.ndarray, index: int, inner: Window, outer: Window, height: int, width: int
    ) -> np.ndarray:
        """The positions that belong to the inner window (C, h, w): with the surplus that some
        networks add around the picture, but only where the window touches the picture's edge."""
        scale, surplus = self._places[index]
        rows = span(values.shape[1], scale, surplus, inner[0], inner[2], outer[0], height)
        columns = span(values.shape[2], scale, surplus, inner[1], inner[3], outer[1], width)
        return values[:, rows, columns]


def span(
    length: int, scale: Fraction, surplus: Fraction, start: int, stop: int, origin: int, total: int
) -> slice:
    """Which positions of a value belong to a window's inner part, along one axis.

    Args:
        length: of the value, computed on the outer window.
        scale: pixels per position.
        surplus: positions beyond the picture that some networks add at each side.
        start, stop: of the inner window.
        origin: where the outer window starts.
        total: of the picture.
    """
    first = 0 if start == 0 else int((start - origin) / scale + surplus)
    last = length if stop == total else int((stop - origin) / scale + surplus)
    return slice(first, last)


def inner_windows(height: int, width: int, tile: int) -> Iterator[Window]:
    """Windows that cover a picture once."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield top, left, min(height, top + tile), min(width, left + tile)


def outer_window(
    inner: Window, size: tuple[int, int], padded: tuple[int, int], halo: int
) -> Window:
    """The window with its context; at the picture's end it includes all padding.

    Args:
        inner: a window of a picture of `size`, starting at multiples of the grid.
        size: (height, width) of the picture.
        padded: its size with padding.
        halo: pixels of context.
    """
    bottom = padded[0] if inner[2] == size[0] else min(padded[0], inner[2] + halo)
    right = padded[1] if inner[3] == size[1] else min(padded[1], inner[3] + halo)
    return max(0, inner[0] - halo), max(0, inner[1] - halo), bottom, right


def windows(height: int, width: int, tile: int, halo: int) -> Iterator[tuple[Window, Window]]:
    """Inner windows that cover the (padded) picture once, each with its outer window."""
    size = (height, width)
    for inner in inner_windows(height, width, tile):
        yield inner, outer_window(inner, size, size, halo)


def count_windows(height: int, width: int, tile: int) -> int:
    """How many tiles a picture has."""
    return -(-height // tile) * -(-width // tile)


def prepare(session: StyleSession, conditions: Mapping[str, Condition] | None = None) -> Tiler:
    """Find out how a session can be tiled: its places of statistics, and how far it sees.

    Raises:
        StyleError: it cannot be tiled exactly; the message says why and what to do.
    """
    if session.has_fixed_size:
        raise StyleError("a model of fixed size needs no tiles: pictures are scaled to its size")
    if session.model_path.suffix != ".onnx":
        raise StyleError(f'"{session.model_path.name}" cannot be tiled exactly, only .onnx can')
    model, points = cut(OnnxFile.parse(read_onnx(session.model_path)))
    grid = common_grid(session)
    tiler = Tiler(session, conditions or {}, model, points, grid)
    reach = _reach(tiler)
    tiler.halo = -(-max(reach, session.card.overlap) // grid) * grid
    verify(tiler)
    return tiler


def common_grid(session: StyleSession) -> int:
    """What windows of a session's pictures start at multiples of."""
    return math.lcm(GRID, session.card.multiple_of)


def _picture(height: int, width: int, seed: int = 0) -> Read:
    """A probe picture: noise at two scales, so that neither flat nor fine areas are missing."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((-(-height // 16), -(-width // 16), 3), dtype=np.float32)
    large = np.kron(coarse, np.ones((16, 16, 1), np.float32))[:height, :width]
    image = 0.7 * large + 0.3 * rng.random((height, width, 3), dtype=np.float32)

    def read(window: Window) -> np.ndarray:
        return image[window[0] : window[2], window[1] : window[3]]

    return read


def _reach(tiler: Tiler) -> int:
    """How far (in pixels) an input pixel changes the output once the statistics are frozen.

    One half of a probe picture is replaced; the farthest output column that notices is the reach.
    """
    for wide in PROBE_WIDTHS:
        found = 0
        for turned in (False, True):
            long = -(-wide // tiler.grid) * tiler.grid
            short = max(PROBE_HEIGHT, tiler.session.card.minimum)
            short = -(-short // tiler.grid) * tiler.grid
            height, width = (long, short) if turned else (short, long)
            whole = (0, 0, height, width)
            one, other = _picture(height, width, 1)(whole), _picture(height, width, 2)(whole)
            tiler.measure(lambda w, p=one: p, height, width, max(height, width), _nothing)
            if not turned:
                _locate(tiler, one)
            first = _painted(tiler, one)
            axis = 0 if turned else 1
            half = long // 2 // tiler.grid * tiler.grid
            for start, stop in ((0, half), (half, long)):
                mixed = one.copy()
                part = (slice(start, stop),) if turned else (slice(None), slice(start, stop))
                mixed[part] = other[part]
                changed = np.abs(_painted(tiler, mixed) - first).max(axis=(1 - axis, 2))
                where = np.flatnonzero(changed > NOTICEABLE)
                beyond = (
                    where[where >= half] - half + 1 if start == 0 else half - where[where < half]
                )
                found = max(found, int(beyond.max(initial=0)))
        tiler.close()
        if found < wide // 2 - tiler.grid:
            return found
    raise StyleError(
        f'"{tiler.session.model_path.name}" cannot be tiled exactly: every pixel depends on the '
        "whole picture; use --tile off, or --size for a smaller picture"
    )


def _painted(tiler: Tiler, image: np.ndarray) -> np.ndarray:
    window = (0, 0, image.shape[0], image.shape[1])
    return tiler.paint(lambda _: image, window, window)


def _locate(tiler: Tiler, image: np.ndarray) -> None:
    """Scale and surplus of each point's positions, from the two sides of one probe picture."""
    height, width = image.shape[:2]
    tiler._places = []
    for point in tiler.points:
        engine = tiler._open([point.value])
        try:
            rows, columns = tiler._run(engine, image, point.value).shape[1:]
        finally:
            engine.close()
        if columns <= rows:
            raise StyleError("the model's inner sizes do not follow the picture's; use --tile off")
        scale = Fraction(width - height, columns - rows)
        tiler._places.append((scale, (rows - height / scale) / 2))


def verify(tiler: AnyTiler) -> None:
    """Paint a small picture in tiles and at once; they must agree to a level of 255.

    Raises:
        StyleError: they do not.
    """
    side = max(tiler.session.card.minimum, 2 * tiler.grid + 2 * tiler.halo)
    tile = -(-side // tiler.grid) * tiler.grid // 2 // tiler.grid * tiler.grid
    height = width = 2 * tile + tiler.grid
    read = _picture(height, width, 3)
    tiler.measure(read, height, width, tile, _nothing)
    tiled = np.zeros((height, width, 3), np.float32)
    for inner, outer in windows(height, width, tile, tiler.halo):
        tiled[inner[0] : inner[2], inner[1] : inner[3]] = tiler.paint(read, inner, outer)
    tiler.close()
    tiler.session.reset()
    picture = read((0, 0, height, width))
    whole = tiler.session.stylize_float(picture, **tiler.conditions)  # type: ignore[arg-type]
    worst = float(np.abs(whole - tiled).max())
    if worst > TOLERANCE:
        raise StyleError(
            f'"{tiler.session.model_path.name}" cannot be tiled exactly: tiles differ from the '
            f"whole by {worst * 255:.1f} of 255 levels; use --tile off, or --size"
        )


def _nothing() -> None:
    """No progress to report."""
