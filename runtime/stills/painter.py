"""Painting stills: 8 or 16 bits, with alpha, at once or in tiles, with input noise."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .. import input_noise
from ..cli import Progress
from ..errors import StyleError, UsageError
from ..fields import is_whole
from ..input_noise.still import StillNoise, flat_noise
from ..meter import Meter
from ..model import arrays
from ..model.background import GIGABYTE, available
from ..model.stylizer import Stylizer, together
from ..onnxfile import OnnxFile
from ..pictures.reading import Album, Picture
from ..pictures.writing import without_metadata
from ..provenance import Provenance
from . import folded_tiles, memory_need, tiles
from .parts import Parts
from .tiles import AnyTiler, Window
from .views import Views

# Pictures up to this size are painted without asking how much memory that takes: the widest
# networks we know need 2 kB a pixel, that is 1 GB.
CARELESS_PIXELS = 2**19
# Above this the estimate is worth a line.
WORTH_SAYING = GIGABYTE
# Python, OpenCV and the engine themselves.
PROCESS_BYTES = 200 * 2**20
# Engines hold more than the tensors that are alive: copies in their own layouts, and what the
# arena keeps. Measured 1.2 to 1.7 on ONNX Runtime's CPU engine.
OVERHEAD = 1.8
# Larger tiles gain nothing: at 2048 px a 64-px halo costs 13 %.
LARGEST_TILE = 2048
SMALLEST_TILE = 64
# Rows finished at a time, as pixels.
BAND_PIXELS = 2**22


@dataclass(frozen=True, slots=True)
class Options:
    """How stills are painted.

    Attributes:
        tile: "auto" (only when memory demands it), "off", or a tile's side in pixels.
        memory_bytes: what one run may take; None takes 60 % of what is free.
        size: (width, height) the picture is fitted into first, keeping its aspect ratio.
        noise: amount of input noise in flat areas, 0..1; None for the usual one where a model
            was trained with noise.
        seed: of that noise.
        quiet: no lines and no progress on stderr.
    """

    tile: str | int = "auto"
    memory_bytes: int | None = None
    size: tuple[int, int] | None = None
    noise: float | None = None
    seed: int = 0
    quiet: bool = False


@dataclass(slots=True)
class StillPainter:
    """A stylizer, ready for stills; remembers what was found out about its models.

    Args:
        stylizer: models and effects.
        options: how to paint.
        say: takes one line for the user.
        parts: where the painting goes; None for everywhere.
        views: paints two views of one scene alike; None for pictures of one.
    """

    stylizer: Stylizer
    options: Options
    say: Callable[[str], None]
    parts: Parts | None = None
    views: Views | None = None
    _tilers: list[AnyTiler] = field(default_factory=list)
    _bytes_per_pixel: float = 0.0

    @property
    def provenance(self) -> Provenance | None:
        """What makes its pictures; None where that is nothing."""
        beside = self.parts.beside if self.parts is not None else None
        others = [beside.stylizer] if isinstance(beside, StillPainter) else []
        return together([self.stylizer, *others])

    def paint(self, picture: Picture) -> Picture:
        """The painted picture; alpha and metadata are the original's."""
        picture = self._fitted(picture)
        painted = self._painted(picture)
        if self.parts is not None:
            painted = self.parts.together(picture, painted)
        if self.views is None or self.stylizer.effects.strength <= 0.0:
            return painted
        return self.views.together(picture, painted)

    def _painted(self, picture: Picture) -> Picture:
        if self.stylizer.effects.strength <= 0.0:
            return picture
        tile = self._tile(picture)
        if tile:
            return replace(picture, pixels=self._in_tiles(picture.pixels, tile))
        noise = self._noise(picture.pixels)
        offset = None if noise is None else noise.whole()
        if picture.pixels.dtype == np.uint8:
            return replace(picture, pixels=self.stylizer.stylize(picture.pixels, offset=offset))
        image = picture.pixels.astype(np.float32) / np.float32(65535.0)
        styled = self.stylizer.stylize_float(image, offset=offset)
        return replace(picture, pixels=_as_type(styled, picture.pixels.dtype))

    def _noise(self, pixels: np.ndarray) -> StillNoise | None:
        """The input noise of a picture, (H, W, 3) of 8 or 16 bits; None for none."""
        amount = self.options.noise
        if amount is None:
            amount = input_noise.unasked(s.card for s, _ in self.stylizer.sessions)
        if not amount:
            return None
        return flat_noise(pixels, amount, self.options.seed)

    def paint_album(
        self, album: Album, count: int, meter: Meter, *, strip: bool = False
    ) -> list[Picture]:
        """The first `count` pictures of a file, painted; each original is gone when the next
        is read."""
        pictures, painted = iter(album), []
        with Progress(count, quiet=self.options.quiet or count == 1) as progress:
            for _ in range(count):
                with meter("decode"):
                    picture = next(pictures)
                if strip:
                    picture = without_metadata(picture)
                with meter("style"):
                    painted.append(self.paint(picture))
                del picture
                progress.update()
        return painted

    def _fitted(self, picture: Picture) -> Picture:
        if self.options.size is None:
            return picture
        width, height = arrays.fitted_size(picture.size[1], picture.size[0], self.options.size)
        alpha = None if picture.alpha is None else arrays.resize(picture.alpha, height, width)
        return replace(picture, pixels=arrays.resize(picture.pixels, height, width), alpha=alpha)

    def _tile(self, picture: Picture) -> int:
        """Side of the tiles for this picture, 0 for none; says what it will take."""
        height, width = picture.size
        tile = self.options.tile
        sessions = [session for session, _ in self.stylizer.sessions]
        if tile == "off" or all(session.has_fixed_size for session in sessions):
            return 0
        if tile == "auto" and height * width <= CARELESS_PIXELS:
            return 0
        # The original, the result, the mask; what is left is for the engine.
        held = 2 * picture.pixels.nbytes + height * width
        per_pixel = self._per_pixel()
        whole = held + per_pixel * height * width + PROCESS_BYTES
        limit = self.options.memory_bytes or int(available() * memory_need.SHARE)
        if tile == "auto" and whole <= limit:
            if whole > WORTH_SAYING:
                self.say(f"memory: about {_gigabytes(whole)} for {width}x{height}, at once")
            return 0
        self._prepare()
        halo = max(tiler.halo for tiler in self._tilers)
        grid = max(tiler.grid for tiler in self._tilers)
        free = limit - held - PROCESS_BYTES
        side = _tile_side(free, per_pixel, halo) if tile == "auto" else int(tile)
        side = max(grid, side // grid * grid)
        if tile == "auto" and side < SMALLEST_TILE:
            least = held + PROCESS_BYTES + per_pixel * (SMALLEST_TILE + 2 * halo) ** 2
            raise StyleError(
                f"{width}x{height} needs at least {_gigabytes(least)} even in tiles, "
                f"{_gigabytes(limit)} may be used: allow more with --memory, or use --size"
            )
        outer = min(side + 2 * halo, height) * min(side + 2 * halo, width)
        passes = sum(tiler.passes for tiler in self._tilers)
        self.say(
            f"memory: about {_gigabytes(held + per_pixel * outer + PROCESS_BYTES)} for "
            f"{width}x{height} in {tiles.count_windows(height, width, side)} tiles of {side} px "
            f"with {halo} px around, {passes} passes (at once it would be {_gigabytes(whole)})"
        )
        return side

    def _per_pixel(self) -> float:
        """Bytes the engine needs per pixel, for the hungriest of the models."""
        if not self._bytes_per_pixel:
            for session, _ in self.stylizer.sessions:
                if session.has_fixed_size:
                    continue
                graphs = [OnnxFile.parse(graph) for graph in session.graphs()]
                if not graphs:
                    self.say(
                        f"{session.model_path.name}: how much memory it needs is unknown, and only "
                        ".onnx can be painted in tiles"
                    )
                    continue
                side = session.padded_size(128, 128)
                feeds = session.feeds(
                    np.zeros((*side, 3), np.float32), self.stylizer.effects.conditions
                )
                try:
                    found = max(memory_need.bytes_per_pixel(session, g, feeds) for g in graphs)
                except StyleError:
                    # Graphs that cannot be opened in parts (weights in a side file) still run.
                    self.say(f"{session.model_path.name}: how much memory it needs is unknown")
                    found = 1 / OVERHEAD
                self._bytes_per_pixel = max(self._bytes_per_pixel, found * OVERHEAD)
            self.stylizer.reset()
        return self._bytes_per_pixel

    def _prepare(self) -> None:
        if not self._tilers:
            conditions = self.stylizer.effects.conditions
            self._tilers = [
                tiles.prepare(s, conditions) if s.folding is None else folded_tiles.prepare(s)
                for s, _ in self.stylizer.sessions
            ]

    def _in_tiles(self, pixels: np.ndarray, tile: int) -> np.ndarray:
        """The painted picture, tile by tile; effects follow in bands of rows."""
        height, width = pixels.shape[:2]
        styled = np.empty_like(pixels)
        source = _Source(pixels, self._noise(pixels))
        sizes = [tiler.session.padded_size(height, width) for tiler in self._tilers]
        total = sum(
            tiler.measuring_runs(*size, tile)
            for tiler, size in zip(self._tilers, sizes, strict=True)
        ) + tiles.count_windows(height, width, tile)
        with Progress(total, "tiles", quiet=self.options.quiet) as progress:
            for tiler, size in zip(self._tilers, sizes, strict=True):
                tiler.measure(source.read, *size, tile, progress.update)
            for inner in tiles.inner_windows(height, width, tile):
                styled[inner[0] : inner[2], inner[1] : inner[3]] = _as_type(
                    self._mixed(source, inner, sizes), pixels.dtype
                )
                progress.update()
        for tiler in self._tilers:
            tiler.close()
        self._finish(pixels, styled)
        return styled

    def _mixed(self, source: "_Source", inner: Window, sizes: list[tuple[int, int]]) -> np.ndarray:
        """One tile, painted by all models and mixed: float32, 0..1."""
        mixed = np.zeros((inner[2] - inner[0], inner[3] - inner[1], 3), np.float32)
        for tiler, size, (_, weight) in zip(
            self._tilers, sizes, self.stylizer.sessions, strict=True
        ):
            outer = tiles.outer_window(inner, source.size, size, tiler.halo)
            mixed += np.float32(weight) * tiler.paint(source.read, inner, outer)
        return mixed

    def _finish(self, pixels: np.ndarray, styled: np.ndarray) -> None:
        """Apply the stylizer's effects to `styled`, in place, a band at a time."""
        stylizer, (height, width) = self.stylizer, pixels.shape[:2]
        around = stylizer.effects
        if around.strength >= 1.0 and not around.keep_color and around.mask is None:
            return
        # Every eighth pixel each way is plenty for a mean and a covariance.
        transfer = stylizer.transfer(_as_image(pixels[::8, ::8]), _as_image(styled[::8, ::8]))
        mask = stylizer.mask_for(height, width)
        step = max(1, BAND_PIXELS // width)
        for top in range(0, height, step):
            rows = slice(top, top + step)
            part = stylizer.finish_part(
                _as_image(pixels[rows]),
                _as_image(styled[rows]),
                stylizer.effects.strength,
                transfer,
                None if mask is None else mask[rows],
            )
            styled[rows] = part if part.dtype == styled.dtype else _as_type(part, styled.dtype)


class _Source:
    """Parts of a picture as the networks see it: padded by mirroring, with input noise."""

    def __init__(self, pixels: np.ndarray, noise: StillNoise | None) -> None:
        self._pixels = pixels
        self.size = (pixels.shape[0], pixels.shape[1])
        self._noise = noise

    def read(self, window: Window) -> np.ndarray:
        """The part inside a window that may reach beyond the bottom and right edge: bytes, or
        floats in 0..1."""
        top, left, bottom, right = window
        height, width = self.size
        # Mirrored rows come from before the edge: take as many more as are missing behind it.
        first_row = max(0, min(top, height - 1 - max(0, bottom - height)))
        first_column = max(0, min(left, width - 1 - max(0, right - width)))
        rows, columns = (
            slice(first_row, min(bottom, height)),
            slice(first_column, min(right, width)),
        )
        part = _as_image(self._pixels[rows, columns])
        view = part
        if self._noise is not None:
            view = arrays.image_to_float(part) if part.dtype == np.uint8 else part
            view = view + self._noise.window(rows.start, columns.start, rows.stop, columns.stop)
        padded = arrays.pad_to(view, bottom - first_row, right - first_column)
        return padded[top - first_row :, left - first_column :]


def _as_image(pixels: np.ndarray) -> np.ndarray:
    """What sessions and effects take: bytes as they are, 16 bits as floats in 0..1."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    return pixels.astype(np.float32) / np.float32(65535.0)


def _as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats in 0..1 as integers of this type, rounded and clipped."""
    top = np.iinfo(dtype).max
    return np.clip(np.rint(image * np.float32(top)), 0, top).astype(dtype)


def _tile_side(memory_bytes: float, per_pixel: float, halo: int) -> int:
    """The largest tile that fits with its halo."""
    return min(LARGEST_TILE, int(max(0.0, memory_bytes / per_pixel) ** 0.5) - 2 * halo)


def _gigabytes(count: float) -> str:
    return f"{count / GIGABYTE:.1f} GB"


def parse_tile(text: str) -> str | int:
    """Read "auto", "off" or a side in pixels, for `--tile`."""
    if text in ("auto", "off"):
        return text
    if not is_whole(text) or int(text) < 1:
        raise UsageError(f'--tile "{text}": allowed are auto, off, or a side in pixels')
    return int(text)
