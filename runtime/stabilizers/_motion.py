"""Camera motion plus local motion: dense flow that does not boil where there is nothing to see.

Dense inverse search (DIS) follows moving objects, but in flat or dark areas it follows the sensor
noise. One affine motion fitted to the whole picture is accurate to a few hundredths of a pixel and
silent; it is used wherever it explains the frame as well as the dense flow does. What it does not
explain gets a second affine motion, and what neither explains the dense flow.
"""

import cv2
import numpy as np

from . import _flow

# Points of the affine fit: every FIT_STEP-th pixel in x and y (920 of 320x180).
FIT_STEP = 8
# Robust scales: flow further than this from the fit (pixels), gray further than this from the
# reference (0..255), count little: Geman-McClure weights 1 / (1 + (r / scale)^2)^2.
FLOW_SCALE, GRAY_SCALE = 0.5, 8.0
# Every REFINE_STEP-th half-size pixel takes part: enough for six numbers.
REFINE_STEP = 2
FIT_ROUNDS, REFINE_ROUNDS = 3, 2
# Noise biases a linear sampler toward half pixels: a blur of the half-size pictures, in pixels.
BLUR = 1.0
# The camera is taken as fixed when the fitted motion is below this many pixels in all corners.
STILL_PX = 0.06
# ... or when it does not lower the squared difference to this share: on a blank wall any motion
# explains the noise a little, because sampling between pixels averages it.
GAIN = 0.85
# Dense flow is believed where its residual is lower by MARGIN gray levels and by MARGIN_SHARE of
# the affine one: the best of many patches explains pure noise better than the truth does. Mean over
# a window (half-size pixels), so that an object's flat inside is decided by its contours.
MARGIN, MARGIN_SHARE, CHOICE_WINDOW, CHOICE_BLUR = 0.3, 0.1, (11, 11), (3, 3)
# Gaps this large (half-size pixels) inside a thing that moves by itself are taken to move with it.
FILL = (51, 51)
# Points that a thing moving by itself must cover to get an affine motion of its own (1 % of them).
LEAST_POINTS = 10


class Motion:
    """Estimates the flow from a frame to a reference, both (h, w) uint8 gray.

    Attributes:
        grid: (h, w, 2) float32, every pixel's own (x, y).
        moved: see `estimate`.
    """

    def __init__(self, height: int, width: int, preset: str = "fast"):
        self.grid = _flow.grid(height, width)
        self.moved = (0, 0, width, height)
        self._dis = _flow.open_dis(preset)
        self._points = _design(self.grid[::FIT_STEP, ::FIT_STEP], width, height)
        self._corners = _design(self.grid[:: height - 1, :: width - 1], width, height)
        self._plane = _design(self.grid, width, height)
        self._half = (max(8, width // 2), max(8, height // 2))
        self._half_grid = _flow.grid(self._half[1], self._half[0])
        self._half_points = _design(self._half_grid, *self._half)
        self._half_scale = np.array([self._half[0] / width, self._half[1] / height], np.float32)

    def estimate(self, gray: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Flow F, (h, w, 2) float32: pixel p of `gray` is at p + F(p) in `reference`.

        Sets `moved`: x, y, width and height of the area outside of which F is exactly 0.
        """
        dense = self._dis.calc(gray, reference, None)
        now, then = self._smooth_half(gray), self._smooth_half(reference)
        affine = self._refine(self._fit(dense), now, then)
        flow = (self._plane @ affine).reshape(dense.shape)
        self.moved = (0, 0, gray.shape[1], gray.shape[0])
        if np.abs(self._corners @ affine).max() < STILL_PX or not self._explains(now, then, flow):
            flow, self.moved = np.zeros_like(dense), (0, 0, 0, 0)
        error = self._error(now, then, flow)
        dense_error = self._error(now, then, dense)
        trust = _trust(error, dense_error)
        if trust is None:
            return flow
        parts = [(dense, dense_error)]
        rigid = self._second(dense, now, then, trust)
        if rigid is not None:
            parts.insert(0, (rigid, self._error(now, then, rigid)))
        touched = np.zeros(gray.shape, np.float32)
        for part, part_error in parts:
            trust = _trust(error, part_error)
            if trust is None:
                continue
            if part is rigid:
                trust = _filled(trust, error, part_error)
            error = cv2.min(error, part_error)
            trust = cv2.resize(trust, gray.shape[::-1], interpolation=cv2.INTER_LINEAR)
            touched = cv2.max(touched, trust)
            flow = flow + trust[..., None] * (part - flow)
        if not self.moved[2]:
            self.moved = cv2.boundingRect(cv2.compare(touched, 0, cv2.CMP_GT))
        return flow

    def _second(
        self, dense: np.ndarray, now: np.ndarray, then: np.ndarray, trust: np.ndarray
    ) -> np.ndarray | None:
        """Flow of the largest thing that moves by itself, as one affine motion; None if small."""
        full = cv2.resize(trust, dense.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        member = full[::FIT_STEP, ::FIT_STEP].reshape(-1) > 0.5
        if member.sum() < LEAST_POINTS:
            return None
        affine = self._refine(self._fit(dense, member), now, then, trust)
        return (self._plane @ affine).reshape(dense.shape)

    def estimate_shift(self, gray: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """The camera's mean motion alone, (2,) float32 in pixels, as `estimate` defines it."""
        dense = self._dis.calc(gray, reference, None)
        now, then = self._smooth_half(gray), self._smooth_half(reference)
        return self._refine(self._fit(dense), now, then)[0].astype(np.float32)

    def _fit(self, dense: np.ndarray, member: np.ndarray | None = None) -> np.ndarray:
        """Robust affine fit of a dense flow, or of some of its points: (3, 2), of (1, x, y)."""
        target, points = dense[::FIT_STEP, ::FIT_STEP].reshape(-1, 2), self._points
        if member is not None:
            target, points = target[member], points[member]
        affine = np.zeros((3, 2), np.float32)
        affine[0] = np.median(target, axis=0)
        for _ in range(FIT_ROUNDS):
            distance = np.square(target - points @ affine).sum(axis=1)
            weighted = points / np.square(1 + distance / FLOW_SCALE**2)[:, None]
            # The ridge keeps the last answer where the weights leave nothing to fit.
            normal = weighted.T @ points + 1e-3 * np.eye(3, dtype=np.float32)
            right = weighted.T @ target + 1e-3 * affine
            affine = np.linalg.solve(normal, right)
        return affine

    def _refine(
        self, affine: np.ndarray, now: np.ndarray, then: np.ndarray, area: np.ndarray | None = None
    ) -> np.ndarray:
        """Gauss-Newton on the half-size pictures themselves: hundredths of a pixel.

        `area`, (h / 2, w / 2) float32 in 0..1, says how much each pixel counts; None: all of it.
        """
        width, height = self._half
        scale = self._half_scale
        points = self._half_points.reshape(height, width, 3)[::REFINE_STEP, ::REFINE_STEP]
        points = points.reshape(-1, 3)
        for _ in range(REFINE_ROUNDS):
            flow = (self._half_points @ (affine * scale)).reshape(height, width, 2)
            moved = cv2.remap(
                then, self._half_grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
            )
            error = now - moved
            slope = cv2.addWeighted(now, 0.5, moved, 0.5, 0)
            dx = cv2.Sobel(slope, cv2.CV_32F, 1, 0, scale=0.125)
            dy = cv2.Sobel(slope, cv2.CV_32F, 0, 1, scale=0.125)
            weight = 1 / np.square(1 + np.square(error / GRAY_SCALE))
            weight[moved == 0] = 0
            if area is not None:
                weight *= area
            gx, gy, e, m = (
                p[::REFINE_STEP, ::REFINE_STEP].reshape(-1, 1) for p in (dx, dy, error, weight)
            )
            jacobian = np.hstack([gx * points, gy * points])
            weighted = jacobian * m
            normal = weighted.T @ jacobian
            normal[np.diag_indices(6)] += 1e-3 * np.trace(normal) / 6 + 1e-6
            step = np.linalg.solve(normal, weighted.T @ e[:, 0])
            affine = affine + step.reshape(2, 3).T / scale
        return affine

    def _smooth_half(self, picture: np.ndarray) -> np.ndarray:
        half = cv2.resize(picture, self._half, interpolation=cv2.INTER_AREA).astype(np.float32)
        return cv2.GaussianBlur(half, (5, 5), BLUR)

    def _explains(self, now: np.ndarray, then: np.ndarray, camera: np.ndarray) -> bool:
        """Whether the camera's motion explains the frame better than standing still does."""
        standing = cv2.norm(now, then, cv2.NORM_L2SQR)
        return cv2.norm(now, self._moved(then, camera), cv2.NORM_L2SQR) < GAIN * standing

    def _moved(self, then: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """The half-size reference seen along a flow of full size."""
        half = cv2.resize(flow, self._half, interpolation=cv2.INTER_LINEAR) * self._half_scale
        where = cv2.add(half, self._half_grid)
        return cv2.remap(then, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _error(self, now: np.ndarray, then: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """Mean absolute difference under a flow, over a window: (h / 2, w / 2) float32."""
        return cv2.blur(cv2.absdiff(now, self._moved(then, flow)), CHOICE_WINDOW)


def _trust(error: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Weight 0..1 of a flow of error `other` over one of `error`, None where it is 0 everywhere."""
    gain = cv2.addWeighted(error, (1 - MARGIN_SHARE) / MARGIN, other, -1 / MARGIN, -1)
    trust = np.clip(gain, 0, 1)
    return cv2.blur(trust, CHOICE_BLUR) if trust.any() else None


def _filled(trust: np.ndarray, error: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`trust`, and 1 in its gaps where the flow of error `other` is no worse: a flat inside moves
    with its contours."""
    sure = cv2.compare(trust, 0.5, cv2.CMP_GT)
    closed = cv2.morphologyEx(sure, cv2.MORPH_CLOSE, np.ones(FILL, np.uint8))
    good = cv2.compare(
        other, cv2.addWeighted(error, 1 + MARGIN_SHARE, error, 0, MARGIN), cv2.CMP_LE
    )
    gap = cv2.bitwise_and(closed, good).astype(np.float32) / 255
    return cv2.max(trust, cv2.blur(gap, CHOICE_BLUR))


def _design(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(N, 3) float32 rows (1, x, y), x and y scaled to -1..1."""
    unit = points.reshape(-1, 2) / np.array([width - 1, height - 1], np.float32) * 2 - 1
    return np.hstack([np.ones((len(unit), 1), np.float32), unit]).astype(np.float32)
