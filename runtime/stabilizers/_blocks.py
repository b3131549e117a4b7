"""From flow pixels to frame pixels: every flow pixel becomes a block."""

from collections.abc import Iterator

import cv2
import numpy as np

# Height, in flow pixels, of the strips in which work is confined to boxes of what needs it.
STRIP = 12
# Pixels of a frame that another box must spare to be worth its calls: a lookup takes ten
# nanoseconds for each.
SPARED = 512

Area = tuple[slice, slice]


def spread(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest-neighbor enlargement of `small` (h, w) or (h, w, C) to `size` (height, width).

    Rows are enlarged by OpenCV and then copied, where the factor is whole: cv2.resize takes up to
    three times as long for both.
    """
    height, width = size
    h, w = small.shape[:2]
    if (h, w) == size:
        return small
    if height % h:
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    wide = small if w == width else cv2.resize(small, (width, h), interpolation=cv2.INTER_NEAREST)
    return np.repeat(wide, height // h, axis=0)


def shrink(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The area average of `picture` at `size` (height, width).

    By halves as far as possible: OpenCV's loop for exactly two is several times as fast as the one
    for any other factor.
    """
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture.copy()
    while height % 2 == width % 2 == 0 and height >= 2 * size[0] and width >= 2 * size[1]:
        height, width = height // 2, width // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    if (height, width) == size:
        return picture
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)


def boxes(mask: np.ndarray, size: tuple[int, int], spared: int = SPARED) -> Iterator[Area]:
    """The pixels of a picture of `size` (height, width) where `mask`, (h, w) uint8, is not 0, as
    boxes in strips of it. (Small pictures have fewer pixels than flow pixels.)

    Args:
        mask, size: as said.
        spared: two boxes side by side are one unless that many pixels between them are spared.
    """
    height, width = size
    h, w = mask.shape
    gap = max(1, spared * h * w // (STRIP * height * width))
    for top in range(0, h, STRIP):
        for x, y, columns, rows in _groups(mask[top : top + STRIP], gap):
            tall = (-(-(y + top + k) * height // h) for k in (0, rows))
            wide = (-(-(x + k) * width // w) for k in (0, columns))
            area = (slice(*tall), slice(*wide))
            if area[0].start < area[0].stop and area[1].start < area[1].stop:
                yield area


def _groups(strip: np.ndarray, gap: int) -> Iterator[tuple[int, int, int, int]]:
    """x, y, width and height of what is not 0, where more than `gap` columns between are."""
    x, y, columns, rows = cv2.boundingRect(strip)
    if not columns:
        return
    used = np.flatnonzero(cv2.reduce(strip, 0, cv2.REDUCE_MAX))
    ends = np.flatnonzero(np.diff(used) > gap)
    if not ends.size:
        yield x, y, columns, rows
        return
    lefts, rights = used[np.append(0, ends + 1)], used[np.append(ends, -1)]
    for left, right in zip(lefts.tolist(), rights.tolist(), strict=True):
        _, y, columns, rows = cv2.boundingRect(strip[:, left : right + 1])
        yield left, y, columns, rows
