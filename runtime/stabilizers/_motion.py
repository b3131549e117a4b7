"""Camera motion plus local motion: dense flow that does not boil where there is nothing to see.

Dense inverse search (DIS) follows moving objects, but in flat or dark areas it follows the sensor
noise. One affine motion fitted to the whole picture is accurate to about a hundredth of a pixel and
silent; it is used wherever it explains the frame as well as the dense flow does.
"""

import cv2
import numpy as np

from . import _flow

# Points of the affine fit: every FIT_STEP-th pixel in x and y (3600 of 320x180).
FIT_STEP = 4
# Robust scales: flow further than this from the fit (pixels), gray further than this from the
# reference (0..255), count little: Geman-McClure weights 1 / (1 + (r / scale)^2)^2.
FLOW_SCALE, GRAY_SCALE = 0.5, 8.0
FIT_ROUNDS, REFINE_ROUNDS = 3, 2
# The camera is taken as fixed when the fitted motion is below this many pixels everywhere.
STILL_PX = 0.04
SG=1.0
SB=0.8
MB=7
MW=15
# Dense flow is believed where its 5x5 residual is better by MARGIN levels and by MARGIN_SHARE of the
# affine one: choosing the best of many patches, DIS explains pure noise 10-20 % better than truth.
MARGIN, MARGIN_SHARE = 0.4, 0.1


class Motion:
    """Estimates the flow from a frame to a reference, both (h, w) uint8 gray."""

    def __init__(self, height: int, width: int, preset: str = "fast"):
        self.grid = _flow.grid(height, width)
        self._dis = _flow.open_dis(preset)
        self._half = (max(8, width // 2), max(8, height // 2))
        self._points = _design(self.grid[::FIT_STEP, ::FIT_STEP].reshape(-1, 2), width, height)
        self._plane = _design(self.grid.reshape(-1, 2), width, height)
        half_grid = _flow.grid(self._half[1], self._half[0])
        self._half_grid = half_grid
        self._half_points = _design(half_grid.reshape(-1, 2), *self._half)

    def estimate(self, gray: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Flow F, (h, w, 2) float32: pixel p of `gray` is at p + F(p) in `reference`."""
        dense = self._dis.calc(gray, reference, None)
        affine = self._refine(self._fit(dense), gray, reference)
        camera = (self._plane @ affine).reshape(dense.shape)
        if np.abs(camera[:: dense.shape[0] - 1, :: dense.shape[1] - 1]).max() < STILL_PX:
            camera = np.zeros_like(dense)
        return self._choose(gray, reference, camera, dense)

    def _fit(self, dense: np.ndarray) -> np.ndarray:
        """Robust affine fit of a dense flow: (3, 2) coefficients of (1, x, y)."""
        target = dense[::FIT_STEP, ::FIT_STEP].reshape(-1, 2)
        affine = np.zeros((3, 2), np.float32)
        affine[0] = np.median(target, axis=0)
        for _ in range(FIT_ROUNDS):
            distance = ((target - self._points @ affine) ** 2).sum(axis=1)
            weight = 1 / (1 + distance / FLOW_SCALE**2) ** 2
            affine = _solve(self._points, weight, target, affine)
        return affine

    def _refine(self, affine: np.ndarray, gray: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Gauss-Newton on the pictures themselves, at half size: hundredths of a pixel."""
        now, then = (
            cv2.GaussianBlur(cv2.resize(p, self._half, interpolation=cv2.INTER_AREA).astype(np.float32), (0, 0), SG)
            for p in (gray, reference)
        )
        scale = np.float32([self._half[0] / gray.shape[1], self._half[1] / gray.shape[0]])
        points, shape = self._half_points, (self._half[1], self._half[0])
        for _ in range(REFINE_ROUNDS):
            flow = (points @ (affine * scale)).reshape(*shape, 2)
            moved = cv2.remap(
                then, self._half_grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
            )
            error = now - moved
            slope = (now + moved) * 0.5
            dx = cv2.Sobel(slope, cv2.CV_32F, 1, 0, scale=0.125)
            dy = cv2.Sobel(slope, cv2.CV_32F, 0, 1, scale=0.125)
            weight = 1 / (1 + (error / GRAY_SCALE) ** 2) ** 2
            weight[moved == 0] = 0
            jacobian = np.hstack([dx.reshape(-1, 1) * points, dy.reshape(-1, 1) * points])
            weighted = jacobian * weight.reshape(-1, 1)
            normal = weighted.T @ jacobian
            normal[np.diag_indices(6)] += 1e-3 * np.trace(normal) / 6 + 1e-6
            step = np.linalg.solve(normal, weighted.T @ error.reshape(-1))
            affine = affine + step.reshape(2, 3).T.astype(np.float32) / scale
        return affine

    def _choose(
        self, gray: np.ndarray, reference: np.ndarray, camera: np.ndarray, dense: np.ndarray
    ) -> np.ndarray:
        """The camera's motion, and the dense flow where that explains the frame clearly better."""
        errors = []
        if SB: gray,reference=cv2.GaussianBlur(gray,(0,0),SB),cv2.GaussianBlur(reference,(0,0),SB)
        for flow in (camera, dense):
            moved = cv2.remap(
                reference, self.grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            errors.append(cv2.boxFilter(cv2.absdiff(gray, moved), cv2.CV_32F, (MW, MW)))
        better = (errors[0] * (1 - MARGIN_SHARE) - errors[1]) / MARGIN - 1
        trust = cv2.blur(np.clip(better, 0, 1), (MB, MB))
        return camera + trust[..., None] * (dense - camera)


def _design(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(N, 3) float32 rows (1, x, y), x and y scaled to -1..1."""
    unit = points / np.float32([width - 1, height - 1]) * 2 - 1
    return np.hstack([np.ones((len(points), 1), np.float32), unit]).astype(np.float32)


def _solve(
    points: np.ndarray, weight: np.ndarray, target: np.ndarray, fallback: np.ndarray
) -> np.ndarray:
    weighted = points * weight[:, None]
    normal = weighted.T @ points
    try:
        return np.linalg.solve(normal, weighted.T @ target).astype(np.float32)
    except np.linalg.LinAlgError:
        return fallback
