"""What moves otherwise than the camera, as a mask that ends where the object ends.

Patches of dense flow reach beyond the edge of what moves, and would drag the strokes beside it
along. So the object is where, pixel by pixel, dense flow explains the picture better; plain areas
inside of it say nothing and are filled in; and the rim that windows add is taken off again.
"""

import cv2
import numpy as np

# All sizes in searched pixels. Evidence (in units of the noise) is averaged over NEAR, where it
# must exceed SEED, and over WIDE, where it must exceed NEEDED: one patch explains noise by chance.
NEAR, SEED, WIDE, NEEDED = (5, 5), 0.85, (21, 21), 0.2
# Gaps that are closed: between the edges of a plain object there is no evidence.
CLOSE = 15
# Rim of NEAR and of the smoothing, taken off.
RIM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
# Window, and variance of the picture (0..255, squared) below which edges are not followed, of the
# guided filter that fits the mask to the picture.
SNAP, CONTRAST = (7, 7), 10.0
# How much further than computed something may have been uncovered: rounding, and what is left of
# the rim.
MARGIN = np.ones((7, 7), np.uint8)


def find_object(evidence: np.ndarray) -> np.ndarray | None:
    """Where evidence (h, w) float32 shows another motion: (h, w) uint8, 255; None: nowhere."""
    mask = cv2.compare(cv2.blur(evidence, NEAR), SEED, cv2.CMP_GT)
    if not cv2.countNonZero(mask):
        return None
    mask &= cv2.compare(cv2.blur(evidence, WIDE), NEEDED, cv2.CMP_GT)
    # An object that leaves the picture is closed there as well.
    half = CLOSE // 2
    mask = cv2.copyMakeBorder(mask, half, half, half, half, cv2.BORDER_REPLICATE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSE, CLOSE))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)[half:-half, half:-half].copy()
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, outlines, -1, 255, cv2.FILLED)
    mask = cv2.erode(mask, RIM)
    return mask if cv2.countNonZero(mask) else None


def fit(mask: np.ndarray, small: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """`mask` at full resolution, ending at the edges of the picture.

    A guided filter (He, Sun, Tang, ECCV 2010) whose coefficients are found at low and applied at
    full resolution.

    Args:
        mask: (h, w) uint8, 255 or 0; small: the picture at that size, (h, w) float32, 0..255.
        gray: the picture at full resolution, (H, W) uint8.
    """

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, SNAP)

    size = gray.shape[::-1]
    share = mask.astype(np.float32)
    tone, level = mean(small), mean(share)
    spread = cv2.subtract(mean(cv2.multiply(small, small)), cv2.multiply(tone, tone))
    both = cv2.subtract(mean(cv2.multiply(small, share)), cv2.multiply(tone, level))
    slope = cv2.divide(both, cv2.add(spread, (CONTRAST, 0, 0, 0)))
    offset = mean(cv2.subtract(level, cv2.multiply(slope, tone)))
    slope, offset = (cv2.resize(part, size) for part in (mean(slope), offset))
    guide = cv2.GaussianBlur(gray, (5, 5), 1.0).astype(np.float32)
    return cv2.compare(cv2.add(cv2.multiply(slope, guide), offset), 127.5, cv2.CMP_GT)


def uncovered(
    mask: np.ndarray, own: np.ndarray, behind: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """What the object hid in the reference: (h, w) uint8, 255.

    A place beside the object that comes from where the object comes from was behind it.

    Args:
        mask: (h, w) uint8, 255 where the object is.
        own, behind: (h, w, 2) float32, flow to the reference of the object and of the rest.
        grid: every pixel's own place.
    """
    height, width = mask.shape
    y, x = np.nonzero(mask)
    from_x = np.clip(np.rint(x + own[y, x, 0]), 0, width - 1).astype(np.intp)
    from_y = np.clip(np.rint(y + own[y, x, 1]), 0, height - 1).astype(np.intp)
    before = np.zeros_like(mask)
    before[from_y, from_x] = 255
    before = cv2.morphologyEx(before, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    seen = cv2.remap(before, cv2.add(behind, grid), None, cv2.INTER_NEAREST)
    return cv2.dilate(seen & ~mask, MARGIN)
