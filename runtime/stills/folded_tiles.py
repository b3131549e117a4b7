"""Tiles of a model that is folded for each scene: to the last bit what it paints in one piece.

Its measuring graph takes mean and power of every row of a layer's values first, and those of all
rows from them. A strip of whole rows has the rows' figures in common with the whole picture, bit
for bit. So the picture is gone through once for each layer, strip by strip, all layers before being
fed the rows that were gathered before; the graph's own rest makes the statistics of them. Tiles are
then painted by the model with these statistics folded in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..engines import Engine
from ..errors import StyleError
from ..model.conditions import Condition
from ..model.session import StyleSession
from ..onnxfile import OnnxFile
from .tiles import GRID, Read, Window, common_grid, outer_window, span, verify

# Figures of a layer's rows, (1, C, rows, 1), in the measuring graph: `<layer>.row_mean`, ...
ROW_FIGURES = ("row_mean", "row_power")
# What the measuring graph answers.
ANSWERS = ("mean", "variance")
# Heights of the pictures that tell how many rows of a layer belong to a row of pixels.
PROBE_HEIGHTS = (4 * GRID, 8 * GRID)


@dataclass(slots=True)
class FoldedTiler:
    """One session prepared for tiling; the same obligations as `tiles.Tiler`.

    Attributes:
        halo: pixels of context around a tile, a multiple of `grid`.
    """

    session: StyleSession
    model: OnnxFile
    layers: tuple[str, ...]
    grid: int
    halo: int
    conditions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
    _scale: Fraction = Fraction(1)
    _surplus: Fraction = Fraction(0)
    _fed: dict[str, np.ndarray] = field(default_factory=dict)
    _painter: Engine | None = None

    @property
    def passes(self) -> int:
        """How often the picture is gone through, painting included."""
        return len(self.layers) + 1

    def measuring_runs(self, height: int, width: int, tile: int) -> int:
        """How often `measure` calls its `step` for a (padded) picture."""
        return len(self.layers) * len(list(self._strips(height, width, tile)))

    def measure(
        self, read: Read, height: int, width: int, tile: int, step: Callable[[], None]
    ) -> None:
        """Take all whole-picture statistics of a (padded) picture; `step` is called per strip."""
        self.close()
        self._fed = {}
        for layer in self.layers:
            names = _figures(layer)
            engine = self._open(names)
            rows: list[list[np.ndarray]] = [[], []]
            try:
                for inner, outer in self._strips(height, width, tile):
                    found = self._run(engine, read(outer), names)
                    for figures, values in zip(rows, found, strict=True):
                        figures.append(self._inside(values, inner, outer, height))
                    step()
            finally:
                engine.close()
            gathered = [np.concatenate(figures, axis=2) for figures in rows]
            self._fed.update(zip(names, gathered, strict=True))
        engine = self._open(ANSWERS)
        try:
            nothing = np.zeros((self.grid, self.grid, 3), np.uint8)  # every figure is fed
            found = self._run(engine, nothing, ANSWERS)
        finally:
            engine.close()
        self._painter = self.session.open_folded(dict(zip(ANSWERS, found, strict=True)))

    def paint(self, read: Read, inner: Window, outer: Window) -> np.ndarray:
        """The painted picture inside `inner`, (h, w, 3) float32 in 0..1; `measure` comes first."""
        if self._painter is None:
            raise ValueError("measure the picture first")
        name = self.session.output_name
        feeds = self.session.feeds(read(outer), {})
        styled = self.session.picture(self._painter.run(feeds, [name])[name])
        top, left = inner[0] - outer[0], inner[1] - outer[1]
        return styled[top : top + inner[2] - inner[0], left : left + inner[3] - inner[1]]

    def close(self) -> None:
        """Free the painting engine; may be called twice."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    def locate(self) -> None:
        """Find out how many rows of a layer belong to a row of pixels."""
        names = _figures(self.layers[0])
        engine = self._open(names)
        try:
            short, tall = (
                self._run(engine, np.zeros((height, PROBE_HEIGHTS[0], 3), np.uint8), names)[0]
                for height in PROBE_HEIGHTS
            )
        finally:
            engine.close()
        more = tall.shape[2] - short.shape[2]
        if more <= 0:
            raise StyleError("the model's inner sizes do not follow the picture's; use --tile off")
        self._scale = Fraction(PROBE_HEIGHTS[1] - PROBE_HEIGHTS[0], more)
        self._surplus = (short.shape[2] - PROBE_HEIGHTS[0] / self._scale) / 2

    def _strips(self, height: int, width: int, tile: int) -> Iterator[tuple[Window, Window]]:
        """Strips of whole rows that cover a picture, each with its context: as many pixels as a
        tile with its own, if that is possible."""
        rows = (tile + 2 * self.halo) ** 2 // width - 2 * self.halo
        rows = max(self.grid, rows // self.grid * self.grid)
        for top in range(0, height, rows):
            inner = (top, 0, min(height, top + rows), width)
            yield inner, outer_window(inner, (height, width), (height, width), self.halo)

    def _open(self, outputs: tuple[str, ...]) -> Engine:
        """The part of the measuring graph that leads from the picture, and what is fed, to these
        values."""
        others = [node for node in self.model.nodes if not self._fed.keys() & set(node.outputs)]
        extra = [(name, str(a.dtype), a.shape) for name, a in self._fed.items()]
        return self.session.open_part(self.model.replaced(others).serialize(outputs, extra))

    def _run(self, engine: Engine, view: np.ndarray, names: tuple[str, ...]) -> list[np.ndarray]:
        found = engine.run({**self.session.feeds(view, {}), **self._fed}, list(names))
        return [found[name] for name in names]

    def _inside(self, values: np.ndarray, inner: Window, outer: Window, height: int) -> np.ndarray:
        """The rows that belong to the inner window; see `tiles.span`."""
        length, start, stop = values.shape[2], inner[0], inner[2]
        rows = span(length, self._scale, self._surplus, start, stop, outer[0], height)
        return values[:, :, rows]


def prepare(session: StyleSession) -> FoldedTiler:
    """A session of a model that is folded for each scene, ready for tiles.

    Raises:
        StyleError: it cannot be tiled exactly; the message says why and what to do.
    """
    folding = session.folding
    if folding is None:
        raise ValueError("this model is not folded")
    model = OnnxFile.parse(folding.graph)
    layers = tuple(layer.name for layer in folding.layers)
    made = {name for node in model.nodes for name in node.outputs}
    if not all(name in made for layer in layers for name in _figures(layer)):
        raise StyleError(
            f'"{session.model_path.name}" was exported before models in bytes could be painted in '
            "tiles: export it again, or use --tile off or --size"
        )
    grid = common_grid(session)
    tiler = FoldedTiler(session, model, layers, grid, -(-session.card.overlap // grid) * grid)
    tiler.locate()
    verify(tiler)
    return tiler


def _figures(layer: str) -> tuple[str, ...]:
    return tuple(f"{layer}.{what}" for what in ROW_FIGURES)
