"""Pictures of one size side by side, so that one lookup draws pixels of many."""

import cv2
import numpy as np

from ..frame import Image

# Pixels repeated around each page, so that a kernel at its edge never reads the next one: Lanczos'
# reaches 4 pixels.
PAD = 4
# cv2.remap addresses at most 32767 rows and columns.
MOST = 32767


class Book:
    """`count` pages of `size` (height, width).

    Attributes:
        places: (count, 2) int16, where every page begins, x and y.
    """

    def __init__(self, count: int, size: tuple[int, int], kernel: int = cv2.INTER_LINEAR):
        height, width = size
        tall, wide = height + 2 * PAD, width + 2 * PAD
        rows = max(1, min(count, MOST // tall))
        self._pages = np.empty((rows * tall, -(-count // rows) * wide, 3), np.uint8)
        self._size, self._kernel = size, kernel
        pages = np.arange(count)
        corners = [pages // rows * wide + PAD, pages % rows * tall + PAD]
        self.places = np.column_stack(corners).astype(np.int16)

    def put(self, picture: Image, page: int) -> None:
        """Keep a picture, (H, W, 3) uint8."""
        x, y = (int(n) - PAD for n in self.places[page])
        height, width = (side + 2 * PAD for side in self._size)
        place = self._pages[y : y + height, x : x + width]
        cv2.copyMakeBorder(picture, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE, dst=place)

    def page(self, page: int) -> Image:
        """The picture kept there."""
        x, y = (int(n) for n in self.places[page])
        return self._pages[y : y + self._size[0], x : x + self._size[1]]

    def look_up(self, where: np.ndarray, phases: np.ndarray | None = None) -> Image:
        """What is at the places `where` of the book, as cv2.remap takes them."""
        return cv2.remap(self._pages, where, phases, self._kernel, borderMode=cv2.BORDER_REPLICATE)

    def draw(self, points: np.ndarray, page: np.ndarray) -> Image:
        """What is at `points` (h, w, 2) float32 of the pages `page` (h, w)."""
        return self.look_up(cv2.add(points, self.places[page], dtype=cv2.CV_32F))
