"""Drawing frames from pointers into painted pictures.

Where nothing moved a picture is copied; elsewhere one lookup draws pixels of many painters. Only
where the areas of two of them meet both are drawn, and blended.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._blocks import spread
from ._book import Book
from ._tracks import NEIGHBORS, Track, seams

# Neighborhood in which is told who paints on the two sides of a border.
REACH = np.ones((5, 5), np.uint8)
# Height, in flow pixels, of the strips that are drawn where something moved.
STRIP = 12
# Up to so many pixels Lanczos' kernel is used, which keeps strokes sharpest; it costs 77 ns a
# pixel, five times the cubic one.
LANCZOS_PIXELS = 160_000
# Width of the pictures that scattered pixels are drawn in.
LINE = 256


class Canvas:
    """The painted pictures of a chunk, by rank, and how frames are drawn from them.

    Args:
        count: of pictures.
        size: (height, width) of each.
        small: (h, w) of the pointers.

    Attributes:
        book: of the pictures; size: of each.
    """

    def __init__(self, count: int, size: tuple[int, int], small: tuple[int, int]):
        height, width = size
        lanczos = height * width <= LANCZOS_PIXELS
        self.book = Book(count, size, cv2.INTER_LANCZOS4 if lanczos else cv2.INTER_CUBIC)
        self.size, self._small = size, small
        self._scale = np.array([width / small[1], height / small[0]], np.float32)
        self._grid, self._points = _flow.grid(height, width), _flow.grid(*small)
        self._last = np.array([small[1] - 1, small[0] - 1], np.float32)
        # The flow pixel of every pixel is row + column.
        self._row = np.arange(height) * small[0] // height * small[1]
        self._column = np.arange(width) * small[1] // width

    def draw(self, track: Track) -> Image:
        """The frame as its painters paint it: (H, W, 3) uint8."""
        still = cv2.inRange(track.shift, (0, 0), (0, 0))
        counts = np.bincount(track.rank[still > 0], minlength=1)
        ground = int(counts.argmax())
        if counts[ground] == track.rank.size:
            return self.book.page(ground).copy()
        picture = (
            self.book.page(ground).copy() if counts[ground] else np.empty((*self.size, 3), np.uint8)
        )
        drawn = ~(still & cv2.compare(track.rank, ground, cv2.CMP_EQ))
        seam = seams(track.rank)
        whole, phases = self._map(track, seam)
        for top in range(0, self._small[0], STRIP):
            x, y, w, h = cv2.boundingRect(drawn[top : top + STRIP])
            if w:
                area = self._area(x, top + y, w, h)
                picture[area] = self.book.look_up(whole[area], phases[area])
        if cv2.countNonZero(seam):
            self._blend(picture, track, seam)
        return picture

    def _area(self, x: int, y: int, w: int, h: int) -> tuple[slice, slice]:
        """The pixels whose flow pixels are in a box."""
        height, width = self.size
        rows, columns = self._small
        return (
            slice(-(-y * height // rows), -(-(y + h) * height // rows)),
            slice(-(-x * width // columns), -(-(x + w) * width // columns)),
        )

    def _map(self, track: Track, seam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in the book every pixel is, as cv2.remap takes it."""
        shift = cv2.multiply(track.shift, (*(float(s) for s in self._scale), 0, 0))
        where = cv2.resize(shift, self.size[::-1])
        if cv2.countNonZero(seam):  # between two painters displacements cannot be interpolated
            where = cv2.copyTo(spread(shift, self.size), spread(seam, self.size), where)
        whole, phases = cv2.convertMaps(cv2.add(where, self._grid), None, cv2.CV_16SC2)
        return cv2.add(whole, spread(self.book.places[track.rank], self.size)), phases

    def _blend(self, picture: Image, track: Track, seam: np.ndarray) -> None:
        """Add the other painter's share where two areas meet: `seam`, (h, w) uint8, 255."""
        low, high = cv2.erode(track.rank, NEIGHBORS), cv2.dilate(track.rank, NEIGHBORS)
        first = track.rank == low
        rank = np.where(first, high, low)
        # Places in the book that the other painter's pointers, continued, lead to.
        shift = _continued(track, rank, seam)
        np.clip(shift, -self._points, self._last - self._points, out=shift)
        place = (shift * self._scale + self.book.places[rank]).reshape(-1, 2)
        # Pixels here and there are drawn as a picture of lines.
        pixels = np.flatnonzero(spread(seam, self.size))
        y, x = np.divmod(pixels, self.size[1])
        cells = self._row[y] + self._column[x]
        where = np.zeros((-(-len(pixels) // LINE) * LINE, 2), np.float32)
        where[: len(pixels)] = place[cells]
        where[: len(pixels), 0] += x
        where[: len(pixels), 1] += y
        other = self.book.look_up(where.reshape(-1, LINE, 2)).reshape(-1, 3)[: len(pixels)]
        share = cv2.resize(_share_of_low(track.rank), self.size[::-1]).reshape(-1)[pixels]
        share = np.where(first.reshape(-1)[cells], 1 - share, share)[:, None]
        flat = picture.reshape(-1, 3)
        own = flat[pixels].astype(np.float32)
        flat[pixels] = own + share * (other - own) + np.float32(0.5)


def _around(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of the 3x3 neighbors, the border's own outside: (N, 9, ...)."""
    h, w = values.shape[:2]
    dy, dx = np.repeat((-1, 0, 1), 3), np.tile((-1, 0, 1), 3)
    return values[np.clip(y[:, None] + dy, 0, h - 1), np.clip(x[:, None] + dx, 0, w - 1)]


def _share_of_low(rank: np.ndarray) -> np.ndarray:
    """How many of the 3x3 neighbors belong to the best-ranked painter nearby: (h, w) float32."""
    low = cv2.erode(rank, REACH)
    padded = cv2.copyMakeBorder(rank, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    h, w = rank.shape
    count = np.zeros((h, w), np.uint8)
    for y in range(3):
        for x in range(3):
            count += padded[y : y + h, x : x + w] == low
    return count * np.float32(1 / 9)


def _continued(track: Track, rank: np.ndarray, seam: np.ndarray) -> np.ndarray:
    """Displacements into the pictures of the painters `rank`, taken from a neighbor."""
    y, x = np.nonzero(seam)
    from_ = (_around(track.rank, y, x) == rank[y, x][:, None]).argmax(axis=1)
    h, w = rank.shape
    shift = track.shift.copy()
    shift[y, x] = track.shift[
        np.clip(y + from_ // 3 - 1, 0, h - 1), np.clip(x + from_ % 3 - 1, 0, w - 1)
    ]
    return shift
