"""The blocks of a picture that need work, side by side in a smaller picture.

Seams are thin and wind through the whole picture: boxes around them hold twice as many pixels as
they have, and each box is a dozen calls. Every flow pixel is a block of pixels, so the blocks are
taken out, worked on with one call for all, and put back.
"""

import cv2
import numpy as np

from ._blocks import spread


class Blocks:
    """The blocks where a mask, (h, w) uint8, is not 0 of a picture of `size` (height, width).

    Sizes that are no multiples of the mask's are taken pixel by pixel.
    """

    def __init__(self, mask: np.ndarray, size: tuple[int, int]):
        self._small = mask.shape if self._divides(mask.shape, size) else size
        mask = spread(mask, size) if self._small == size else mask
        self._size, width = size, mask.shape[1]
        self._tall, self._wide = size[0] // mask.shape[0], size[1] // width
        chosen = np.flatnonzero(mask)
        # Rows of the packed picture are full: the last block stands there more than once.
        columns = min(width, max(1, chosen.size))
        rows = -(-chosen.size // columns)
        self._chosen = np.resize(chosen, rows * columns).reshape(rows, columns)
        self._chosen.reshape(-1)[chosen.size :] = chosen[-1:]
        top, left = np.divmod(self._chosen, width)
        self._corner = (left * self._wide, top * self._tall)
        # Of every row of every block its number in the picture, counted in rows of blocks.
        first = top * (self._tall * width) + left
        lines = first[:, None] + (np.arange(self._tall) * width)[None, :, None]
        self._lines = lines.reshape(rows * self._tall, columns)

    @staticmethod
    def _divides(small: tuple[int, ...], size: tuple[int, int]) -> bool:
        return size[0] % small[0] == 0 and size[1] % small[1] == 0

    def take(self, picture: np.ndarray) -> np.ndarray:
        """The blocks of `picture`, (H, W) or (H, W, C), packed."""
        rows, columns = self._lines.shape
        found = self._in_lines(picture).take(self._lines, axis=0)
        return found.reshape(rows, columns * self._wide, *picture.shape[2:])

    def put(self, picture: np.ndarray, packed: np.ndarray) -> None:
        """Put packed blocks back into `picture`."""
        lines = self._in_lines(picture)
        lines[self._lines.reshape(-1)] = packed.reshape(-1, lines.shape[1])

    def spread(self, small: np.ndarray) -> np.ndarray:
        """`small`, (h, w), of which every pixel fills its block, packed."""
        if small.shape != self._small:
            small = spread(small, self._size)
        rows, columns = self._chosen.shape
        return spread(small.take(self._chosen), (rows * self._tall, columns * self._wide))

    def places(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where pixels look that look so far away, (h, w) float32 for each block: x and y, packed,
        float32."""
        rows, columns = self._chosen.shape
        x = self.spread(x).reshape(-1, columns, self._wide)
        y = self.spread(y).reshape(rows, self._tall, -1)
        x += np.repeat(self._corner[0].astype(np.float32), self._tall, 0)[..., None]
        x += np.arange(self._wide, dtype=np.float32)
        y += np.repeat(self._corner[1].astype(np.float32), self._wide, 1)[:, None]
        y += np.arange(self._tall, dtype=np.float32)[:, None]
        shape = self._lines.shape[0], columns * self._wide
        return x.reshape(shape), y.reshape(shape)

    def _in_lines(self, picture: np.ndarray) -> np.ndarray:
        return picture.reshape(-1, self._wide * int(np.prod(picture.shape[2:], dtype=int)))


def mix(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> None:
    """Mix a share of one picture into another, in place and with soft edges.

    Args:
        below, above: (H, W, 3) uint8; `below` is written to, where `share` is not 0.
        share: (h, w) uint8, of `above` per flow pixel, 255 all; interpolated, but never below what
            the flow pixel was given.
    """
    if not cv2.countNonZero(share):
        return
    blocks = Blocks(share, below.shape[:2])
    # Interpolation reaches half a block further, which nobody has asked to be painted; and where a
    # neighbor gets nothing it would leave a rim of what was there, for as long as a stroke lives.
    fine = blocks.take(cv2.resize(share, below.shape[1::-1]))
    part = blocks.take(below)
    weigh(part, blocks.take(above), cv2.max(fine, blocks.spread(share)))
    blocks.put(below, part)


def weigh(below: np.ndarray, above: np.ndarray, fine: np.ndarray) -> None:
    """The same with the share of every pixel, `fine` (H, W) uint8."""
    part = cv2.cvtColor(fine, cv2.COLOR_GRAY2RGB)
    new = cv2.multiply(above, part, scale=1 / 255)
    cv2.add(cv2.multiply(below, ~part, scale=1 / 255), new, dst=below)
