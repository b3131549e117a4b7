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
    """`count` pages of `size` (height, width), 256 at most.

    Attributes:
        places: (count, 2) int16, where every page begins, x and y.
    """

    def __init__(self, count: int, size: tuple[int, int], kernel: int = cv2.INTER_LINEAR):
        height, width = size
        tall, wide = height + 2 * PAD, width + 2 * PAD
        rows = max(1, min(count, MOST // tall))
        # Three colors and one that is not used: OpenCV's linear loop over four is the faster one.
        self._wider = kernel == cv2.INTER_LINEAR
        channels = 4 if self._wider else 3
        self._pages = np.empty((rows * tall, -(-count // rows) * wide, channels), np.uint8)
        self._size, self._kernel = size, kernel
        pages = np.arange(count)
        corners = [pages // rows * wide + PAD, pages % rows * tall + PAD]
        self.places = np.column_stack(corners).astype(np.int16)
        self._starts = np.zeros((1, 256, 2), np.float32)
        self._starts[0, :count] = self.places

    def put(self, picture: Image, page: int) -> None:
        """Keep a picture, (H, W, 3) uint8."""
        x, y = (int(n) - PAD for n in self.places[page])
        height, width = (side + 2 * PAD for side in self._size)
        place = self._pages[y : y + height, x : x + width]
        if self._wider:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
        cv2.copyMakeBorder(picture, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE, dst=place)

    def page(self, page: int) -> Image:
        """A copy of the picture kept there."""
        x, y = (int(n) for n in self.places[page])
        place = self._pages[y : y + self._size[0], x : x + self._size[1]]
        return cv2.cvtColor(place, cv2.COLOR_RGBA2RGB) if self._wider else place.copy()

    def starts(self, page: np.ndarray) -> np.ndarray:
        """Where the pages (h, w) uint8 begin: (h, w, 2) float32."""
        return cv2.LUT(cv2.merge([page, page]), self._starts)

    def look_up(self, x: np.ndarray, y: np.ndarray, *, relative: bool = True) -> Image:
        """What is so far away from every pixel's own place, or from the book's corner if not
        `relative`: x, y (h, w) float32."""
        how = self._kernel | (cv2.WARP_RELATIVE_MAP if relative else 0)
        drawn = cv2.remap(self._pages, x, y, how, borderMode=cv2.BORDER_REPLICATE)
        return cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB) if self._wider else drawn

    def draw(self, shift: np.ndarray, page: np.ndarray) -> Image:
        """What is at every pixel's place + `shift` (h, w, 2) float32 of the pages `page` (h, w)."""
        return self.look_up(*cv2.split(cv2.add(shift, self.starts(page))))
