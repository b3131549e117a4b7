"""Drawing frames from pointers into painted pictures.

Where nothing moved a picture is copied; elsewhere one lookup draws pixels of many painters. Only
where the areas of two of them meet both are drawn, and blended.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._blocks import Area, boxes
from ._book import Book
from ._pack import Blocks, weigh
from ._tracks import NEIGHBORS, Track, seams

# Neighborhood in which is told who paints on the two sides of a border.
REACH = np.ones((5, 5), np.uint8)
# Up to so many pixels Lanczos' kernel is used, which keeps strokes sharpest; it costs 45 ns a
# pixel, five times the cubic one. (The linear one, with what it takes put back as `_sampler` does,
# costs a third of that, and strokes boil: E .124 in place of .079 at 640x360.)
LANCZOS_PIXELS = 160_000


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
        self._scale = (width / small[1], height / small[0])
        points = _flow.grid(*small)
        # How far pointers may lead before they leave the picture.
        self._least = -points
        self._most = np.array([small[1] - 1, small[0] - 1], np.float32) - points

    def draw(self, track: Track) -> Image:
        """The frame as its painters paint it: (H, W, 3) uint8."""
        still = cv2.inRange(track.shift, (0, 0), (0, 0))
        counts = cv2.calcHist([track.rank], [0], still, [256], [0, 256])
        ground = int(counts.argmax())
        if counts[ground] == track.rank.size:
            return self.book.page(ground)
        picture = self.book.page(ground) if counts[ground] else np.empty((*self.size, 3), np.uint8)
        drawn = ~(still & cv2.compare(track.rank, ground, cv2.CMP_EQ))
        seam = seams(track.rank)
        blocks = Blocks(seam, self.size) if cv2.countNonZero(seam) else None
        jumps = self._jumps(track.shift, track.rank)
        whole = [cv2.resize(part, self.size[::-1]) for part in jumps]
        if blocks is not None:  # between two painters displacements cannot be interpolated
            for fine, part in zip(whole, jumps, strict=True):
                blocks.put(fine, blocks.spread(part))
        for area in boxes(drawn, self.size):
            picture[area] = self._look_up(whole, area)
        if blocks is not None:
            self._blend(picture, track, blocks)
        return picture

    def _jumps(self, shift: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far away in the book every pixel is, in x and in y: (h, w) float32 each."""
        start, shift = self.book.starts(rank), cv2.split(shift)
        return tuple(
            cv2.scaleAdd(part, scale, first)
            for part, scale, first in zip(shift, self._scale, cv2.split(start), strict=True)
        )

    def _look_up(self, jumps: list[np.ndarray], area: Area) -> Image:
        """An area of the picture that pixels so far away make: `jumps`, (H, W) float32 each."""
        x, y = (
            part[area] + np.float32(axis.start) if axis.start else part[area]
            for part, axis in zip(jumps, area[::-1], strict=True)
        )
        return self.book.look_up(x, y)

    def _blend(self, picture: Image, track: Track, blocks: Blocks) -> None:
        """Add the other painter's share where two areas meet: `blocks`."""
        low, high = cv2.erode(track.rank, NEIGHBORS), cv2.dilate(track.rank, NEIGHBORS)
        first = cv2.compare(track.rank, low, cv2.CMP_EQ)
        rank = cv2.copyTo(high, first, low.copy())
        several = _several(track.rank, low, high)
        rest = np.zeros_like(rank)
        if cv2.countNonZero(several):
            rank, rest = _crowds(track.rank, several, rank)
        # Where the other painter's pointers, continued, lead to.
        shift = cv2.min(cv2.max(_continued(track, rank), self._least), self._most)
        other = self.book.look_up(*blocks.places(*self._jumps(shift, rank)), relative=False)
        share = blocks.take(cv2.resize(_share_of_low(track.rank), self.size[::-1]))
        # The other one is the better-ranked one on one side, and not on the other.
        share = cv2.bitwise_xor(share, blocks.spread(first))
        share = cv2.copyTo(blocks.spread(rest), blocks.spread(several), share)
        below = blocks.take(picture)
        weigh(below, other, share)
        blocks.put(picture, below)


def _shares() -> np.ndarray:
    """Of 255, by how many of nine."""
    table = np.zeros(256, np.uint8)
    table[:10] = np.rint(np.arange(10) * 255 / 9)
    return table


def _neighbors(values: np.ndarray) -> list[np.ndarray]:
    """Of every pixel the 3x3 around it, the border's own outside: nine arrays like `values`."""
    padded = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    h, w = values.shape[:2]
    return [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]


def _share_of_low(rank: np.ndarray) -> np.ndarray:
    """How many of the 3x3 neighbors belong to the best-ranked painter nearby: (h, w) uint8, 255
    all."""
    low = cv2.erode(rank, REACH)
    count = np.zeros(rank.shape, np.uint8)
    for near in _neighbors(rank):
        count += near == low
    return cv2.LUT(count, _shares())


def _several(rank: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where more than two painters meet, or a third one is near enough to be the best-ranked of
    `_share_of_low`: (h, w) uint8, 255.

    Args:
        rank: (h, w) uint8, who paints; low, high: the best- and the worst-ranked of the 3x3 around.
    """
    third = cv2.compare(cv2.erode(rank, REACH), low, cv2.CMP_NE)
    for near in _neighbors(rank):
        third |= cv2.compare(near, low, cv2.CMP_NE) & cv2.compare(near, high, cv2.CMP_NE)
    return third & cv2.compare(low, high, cv2.CMP_NE)


def _crowds(
    rank: np.ndarray, where: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Who has most of the 3x3 around beside the pixel's own painter, and how much of it is not the
    own one's: a fleck of another paint goes under in what is around it.

    Args:
        rank: (h, w) uint8, who paints; where: (h, w) uint8, not 0 where this is asked.
        others: (h, w) uint8, what is given elsewhere.

    Returns:
        (h, w) uint8 each, the share of 255 and 0 elsewhere.
    """
    chosen = where > 0
    near = np.stack([values[chosen] for values in _neighbors(rank)])
    own = rank[chosen]
    counts = (near[:, None] == near[None]).sum(1) * (near != own)
    most = near[counts.argmax(0), np.arange(own.size)]
    found, share = others.copy(), np.zeros_like(rank)
    found[chosen] = most
    share[chosen] = np.rint(255 * (near != own).mean(0))
    return found, share


def _continued(track: Track, rank: np.ndarray) -> np.ndarray:
    """Displacements into the pictures of the painters `rank`, taken from a neighbor of theirs."""
    shift = track.shift.copy()
    for near, theirs in zip(_neighbors(track.rank), _neighbors(track.shift), strict=True):
        cv2.copyTo(theirs, cv2.compare(near, rank, cv2.CMP_EQ), shift)
    return shift
