"""Pictures stacked into one, from which every pixel is drawn by one lookup.

The lookup is OpenCV's `remap`. Its linear kernel costs a sixth of the cubic one, and what it takes
from the strokes is known: at a distance f from the next pixel, f (1 - f) / 2 times the second
difference, in x and in y. That is put back, on average over the frame. Pictures are kept with a
fourth, unused channel, and displacements are relative: that is OpenCV's fastest loop (1.4 ms at
1280x720 where three channels take 2.2).
"""

import cv2
import numpy as np

from ..frame import Image
from ._blocks import spread

# Rows repeated above and below each picture, so that a kernel at its edge never reads the next one.
PAD = 3
# Up to so many pixels the cubic kernel is used: it takes 0.8 ms of one core at 320x180 and 3 at
# 640x360, which is too much.
CUBIC_PIXELS = 160_000
# What is put back: this, times mean f (1 - f), times the difference to a 3x3 binomial blur, which
# is a quarter of the second differences: 2 by the Taylor series, more for strokes as narrow as the
# kernel. Chosen so that strokes keep their mean Laplacian.
PUT_BACK = 2.4
# The same for the cubic kernel, which takes only what is narrower than four pixels: of 0, 0.4, 0.8
# and 1.2 what keeps starry-fast's strokes (0.96, 1.00, 1.08, 1.17 of their mean Laplacian after
# 120 frames of a moving head at 176x144).
PUT_BACK_CUBIC = 0.4
# Mean f (1 - f) below which nothing is lost; fractions are counted in 1/32 pixel.
LEAST_PHASE = 0.01
# Every PHASE_STEP-th pixel tells the mean.
PHASE_STEP = 4


class Sampler:
    """A book of `count` pictures of `size` (height, width), addressed by flow-resolution pointers.

    Args:
        count: pages.
        size: of each.
        small: (h, w) of the pointers; each serves a block of pixels.
        fine: strokes are drawn (and keep their sharpness), not just something to compare with.
    """

    def __init__(self, count: int, size: tuple[int, int], small: tuple[int, int], fine: bool):
        height, width = size
        self._size, self._small, self._rows, self._fine = size, small, height + 2 * PAD, fine
        self._book = np.zeros((count * self._rows, width, 4), np.uint8)
        self._scale = (width / small[1], height / small[0])
        self._blocks = width % small[1] == 0 and height % small[0] == 0
        self._cubic = fine and height * width <= CUBIC_PIXELS
        # The row where every page begins.
        self._tops = np.arange(256, dtype=np.float32) * self._rows + PAD
        fraction = np.arange(32, dtype=np.float32) / 32
        lost = fraction * (1 - fraction) / 2
        self._lost = (lost[:, None] + lost[None, :]).reshape(-1)

    @property
    def book(self) -> np.ndarray:
        """All pages, as `restore` takes them."""
        return self._book

    def restore(self, book: np.ndarray) -> None:
        """Take over all pages of another one of this size."""
        self._book[:] = book

    def put(self, picture: Image, page: int) -> None:
        """Keep a picture."""
        top, height = page * self._rows + PAD, self._size[0]
        kept = self._book[top : top + height]
        cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA, dst=kept)
        self._book[top - PAD : top] = kept[0]
        self._book[top + height : top + height + PAD] = kept[-1]

    def draw(
        self,
        shift: np.ndarray,
        page: np.ndarray,
        box: tuple[int, int, int, int] | None = None,
        ground: Image | None = None,
    ) -> Image:
        """A picture whose pixel p is pixel p + shift of its page.

        Args:
            shift: (h, w, 2) float32, in flow pixels.
            page: (h, w) uint8.
            box: x, y, width, height in flow pixels: draw only these, over a copy of `ground`.
            ground: what is seen outside of `box`.
        """
        height, width = self._size
        h, w = self._small
        left, top, right, bottom = 0, 0, w, h
        if box is not None and self._blocks:
            left, top = max(0, box[0]), max(0, box[1])
            right, bottom = min(w, box[0] + box[2]), min(h, box[1] + box[3])
        area = (slice(top, bottom), slice(left, right))
        partly = box is not None and box[2] * box[3] < h * w
        part = self._sample(shift[area], page[area], left, top, partly)
        if ground is None or part.shape[:2] == (height, width):
            return part
        picture = ground.copy()
        x, y = left * width // w, top * height // h
        picture[y : y + part.shape[0], x : x + part.shape[1]] = part
        return picture

    def _sample(
        self, shift: np.ndarray, page: np.ndarray, left: int, top: int, partly: bool
    ) -> Image:
        """The part of a picture that begins at this flow pixel."""
        x, y = cv2.split(shift)
        sx, sy = self._scale
        # NumPy's, because cv2.add and cv2.multiply take a number for a picture of 4 x 1 pixels
        # wherever the part has this size, and refuse the two types.
        x *= sx
        x += round(left * sx)
        y = cv2.scaleAdd(y, sy, cv2.LUT(page, self._tops))
        y += round(top * sy)
        size = self._size
        if self._blocks:
            size = (round(page.shape[0] * sy), round(page.shape[1] * sx))
        kernel = cv2.INTER_CUBIC if self._cubic else cv2.INTER_LINEAR
        drawn = cv2.remap(
            self._book,
            spread(x, size),
            spread(y, size),
            kernel | cv2.WARP_RELATIVE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        drawn = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB)
        if not self._fine:
            return drawn
        _, fraction = cv2.convertMaps(x, y, cv2.CV_16SC2)
        return self._put_back(drawn, fraction, partly)

    def _put_back(self, drawn: Image, fraction: np.ndarray, partly: bool) -> Image:
        """`drawn` with what the kernel took on average.

        Untouched where it took nothing, if only parts move: what stands still must not change when
        something passes by.
        """
        some = fraction[::PHASE_STEP, ::PHASE_STEP]
        lost = self._lost[some[some > 0]]
        if not lost.size or lost.mean() < LEAST_PHASE:
            return drawn
        amount = (PUT_BACK_CUBIC if self._cubic else PUT_BACK) * float(lost.mean())
        soft = cv2.GaussianBlur(drawn, (3, 3), 0)
        sharp = cv2.addWeighted(drawn, 1 + amount, soft, -amount, 0)
        if not partly:
            return sharp
        between = spread(cv2.compare(fraction, 0, cv2.CMP_GT), drawn.shape[:2])
        return cv2.copyTo(sharp, between, drawn)
