"""Camera motion plus local motion: dense flow that does not boil where there is nothing to see.

Dense inverse search (DIS) follows everything that moves, but in flat or dark areas it follows the
sensor noise. One affine motion fitted to the whole picture is accurate to a few hundredths of a
pixel and silent; it is used wherever it explains the frame as well as the dense flow does, measured
in units of the noise that the better of the two leaves over.
"""

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from . import _flow, _layers

# Points of the affine fit: about so many in x and in y.
FIT_COLUMNS, FIT_ROWS = 27, 18
# Robust scales: flow further than this from the fit (pixels), gray further than this from the
# reference (0..255), count little: Geman-McClure weights 1 / (1 + (r / scale)^2)^2.
FLOW_SCALE, GRAY_SCALE = 0.3, 8.0
# ... and so do pixels whose dense flow is further than this from the fit, in searched pixels.
MEMBER_PX = 1.0
FIT_ROUNDS, REFINE_ROUNDS = 3, 2
# The affine motion is refined on every REFINE_STEP-th pixel of full size: enough for six numbers.
REFINE_STEP = 4
# Noise biases a linear sampler toward half pixels: a blur of the pictures, in pixels.
BLUR = 1.0
# The camera is taken as fixed when the fitted motion is below this many pixels in all corners.
STILL_PX = 0.03
# ... or when it does not lower the squared difference to this share: on a blank wall any motion
# explains the noise a little, because sampling between pixels averages it.
GAIN = 0.6
# By how much dense flow explains a pixel better is counted in units of the noise, the median of the
# mean square over WINDOW of what neither explains, at every NOISE_STEP-th pixel; NOISE_LEAST is
# that of rounding to bytes. One pixel counts no more than MOST: the edges of an object alone would
# outvote all that is around them.
WINDOW, NOISE_STEP, NOISE_LEAST, MOST = (21, 21), 4, 0.05, 20.0
# ... and only departures of more than this many searched pixels count: the fit is not better.
LEAST_PX = 0.08
# Slopes of noise alone, mean square over WINDOW, in units of it: 0.4 to 0.9. Below SIGNAL nothing
# can be followed but noise: on a flat wall dense flow explains that, too.
SIGNAL = 1.0
# Departures from the camera's motion are smoothed over so many pixels.
SMOOTH = (5, 5)


@dataclass(frozen=True)
class Search:
    """How thoroughly dense flow is searched.

    Attributes:
        shrink: pixels of the flow per pixel of the pictures that are searched.
        preset: of DIS, with these values changed: stride between patches, in pixels; rounds of
            descent per patch; rounds of variational refinement.
    """

    shrink: int
    preset: str
    stride: int
    rounds: int
    refinement: int

    def open(self) -> cv2.DISOpticalFlow:
        """An estimator; the finest pictures are searched, too (OpenCV's presets stop before)."""
        dis = _flow.open_dis(self.preset)
        dis.setFinestScale(0)
        dis.setPatchStride(self.stride)
        dis.setGradientDescentIterations(self.rounds)
        dis.setVariationalRefinementIterations(self.refinement)
        return dis


# 1 ms of one core at 320x180: a search of the half-size picture down to its finest scale leaves
# half the error of OpenCV's "fast", which searches a quarter, at less than its price.
QUICK = Search(2, "ultrafast", 6, 6, 0)


@dataclass(frozen=True)
class Searched:
    """A frame and its reference, and what is known of the way between them by themselves.

    Attributes:
        gray: the frame, (h, w) uint8.
        now, then: both smoothed, as they are searched: (sh, sw) float32.
        dense: (sh, sw, 2) float32, flow of the searched pictures.
        slopes: of `now` in x and in y, (sh, sw) float32.
        here, dx, dy: the frame and its slopes at the points of the refinement: (N,) and (N, 1).
        reference: smoothed, at full size: (h, w) float32.
    """

    gray: np.ndarray
    now: np.ndarray
    then: np.ndarray
    dense: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray]
    here: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Found:
    """What moved between a frame and its reference.

    Attributes:
        flow: (h, w, 2) float32: pixel p of the frame is at p + flow(p) in the reference.
        moved: x, y, width and height of the area outside of which it is exactly 0.
        local: whether anything moved otherwise than the camera.
        own: (h, w) uint8, 255 where it is; None if nothing did.
        uncovered: (h, w) uint8, 255 where it hid what is seen now; None if nothing did.
    """

    flow: np.ndarray
    moved: tuple[int, int, int, int]
    local: bool = False
    own: np.ndarray | None = None
    uncovered: np.ndarray | None = None


class Motion:
    """Estimates the flow from a frame to a reference, both (h, w) uint8 gray.

    In three steps: `search`, `camera`, `find`. The camera's motion begins with that of the pair
    before, so `camera` is called for one pair after the other; the rest may be in any thread.

    Attributes:
        grid: (h, w, 2) float32, every pixel's own (x, y).
        moved, local, own, uncovered: see `Found`; of the last `estimate`.
    """

    def __init__(self, height: int, width: int, search: Search | None = None):
        search = search or QUICK
        self.grid = _flow.grid(height, width)
        self.moved = (0, 0, width, height)
        self.local = False
        self.own: np.ndarray | None = None
        self.uncovered: np.ndarray | None = None
        self._last = np.zeros((3, 2), np.float32)
        self._size = (width, height)
        self._open, self._threads = search.open, threading.local()
        # The pictures that are searched, and how much smaller than the flow they are, in x and y.
        w, h = (max(_flow.LEAST_SEARCH, side // search.shrink) for side in (width, height))
        self._search_size = (w, h)
        self._scale = np.array([w / width, h / height], np.float32)
        self._search_grid = _flow.grid(h, w)
        self._steps = (max(1, h // FIT_ROWS), max(1, w // FIT_COLUMNS))
        rows, columns = self._steps
        self._points = _design(self._search_grid[::rows, ::columns], w, h)
        self._corners = _design(self._search_grid[:: h - 1, :: w - 1], w, h)
        inner = self.grid[::REFINE_STEP, ::REFINE_STEP]
        self._refine_grid = np.ascontiguousarray(inner)
        self._refine_points = _design(inner, width, height)
        self._searched = (
            np.arange(0, height, REFINE_STEP)[:, None] * h // height,
            np.arange(0, width, REFINE_STEP)[None, :] * w // width,
        )

    @property
    def last(self) -> np.ndarray:
        """(3, 2) float32, the camera's motion in the last estimate: where the next one begins."""
        return self._last

    @last.setter
    def last(self, motion: np.ndarray) -> None:
        self._last = motion

    def estimate(self, gray: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Flow F, (h, w, 2) float32: pixel p of `gray` is at p + F(p) in `reference`.

        Sets `moved` and what else is told of it.
        """
        searched = self.search(gray, reference)
        found = self.find(searched, self.camera(searched))
        self.moved, self.local = found.moved, found.local
        self.own, self.uncovered = found.own, found.uncovered
        return found.flow

    def search(self, gray: np.ndarray, reference: np.ndarray) -> Searched:
        """What depends on no other pair."""
        small, other = self._shrink(gray), self._shrink(reference)
        now, then = self._smooth(small), self._smooth(other)
        dense = np.asarray(self._dis().calc(small, other, None))
        slopes = _slopes(now)
        # Where nothing was shrunk these are the same pictures.
        whole = small is gray
        fine = now if whole else self._smooth(gray)
        every = (slice(None, None, REFINE_STEP),) * 2
        dx, dy = (part[every].reshape(-1, 1) for part in (slopes if whole else _slopes(fine)))
        return Searched(
            gray,
            now,
            then,
            dense,
            slopes,
            fine[every].reshape(-1),
            dx,
            dy,
            then if whole else self._smooth(reference),
        )

    def find(self, searched: Searched, affine: np.ndarray) -> Found:
        """What moved, given the camera's motion, (3, 2)."""
        dense = searched.dense
        moving = bool(affine.any())
        camera = self._plane_flow(affine) if moving else np.zeros_like(dense)
        width, height = self._size
        moved = (0, 0, width, height) if moving else (0, 0, 0, 0)
        found = _layers.find_object(self._evidence(searched, camera))
        if found is None:
            return Found(self._full_plane(affine), moved)
        own = _layers.fit(found, searched.now, searched.gray)
        hidden = _layers.uncovered(found, dense, camera, self._search_grid)
        uncovered = cv2.resize(hidden, self._size, interpolation=cv2.INTER_NEAREST)
        departure = cv2.blur(cv2.subtract(dense, camera), SMOOTH)
        flow = cv2.resize(departure, self._size, interpolation=cv2.INTER_LINEAR)
        flow = cv2.divide(flow, (*(float(s) for s in self._scale), 1, 1))
        flow = cv2.copyTo(flow, own)
        if moving:
            flow = cv2.add(self._full_plane(affine), flow)
        else:
            moved = cv2.boundingRect(own)
        return Found(flow, moved, True, own, uncovered)

    def in_pixels(self, affine: np.ndarray) -> np.ndarray:
        """Where the pixels of a frame are in its reference by the camera's motion alone.

        Args:
            affine: (3, 2), as `camera` finds it.

        Returns:
            (2, 3), of (x, y, 1) in pixels.
        """
        return np.eye(2, 3) + _in_pixels(affine / self._scale, self._size)

    def _dis(self) -> cv2.DISOpticalFlow:
        """The estimator of this thread."""
        if not hasattr(self._threads, "dis"):
            self._threads.dis = self._open()
        return self._threads.dis

    def _fit(self, dense: np.ndarray) -> np.ndarray:
        """Robust affine fit of a dense flow: (3, 2), of (1, x, y)."""
        rows, columns = self._steps
        target, points = dense[::rows, ::columns].reshape(-1, 2), self._points
        middle = np.zeros((3, 2), np.float32)
        middle[0] = np.partition(target, len(target) // 2, axis=0)[len(target) // 2]
        # Cameras move on, or rest; where the picture is divided, the same part stays the ground.
        starts = (middle, self._last, np.zeros_like(middle))
        fits = [self._settle(start, target) for start in starts]
        return max(fits, key=lambda affine: _agreement(target - points @ affine))

    def _settle(self, affine: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The fit to `target`, (N, 2), that is reached from `affine`."""
        points = self._points
        for _ in range(FIT_ROUNDS):
            rest = target - points @ affine
            weight = 1 + np.einsum("ij,ij->i", rest, rest) * np.float32(1 / FLOW_SCALE**2)
            weighted = points / (weight * weight)[:, None]
            # The ridge keeps the last answer where the weights leave nothing to fit.
            step = _solve(weighted.T @ points, weighted.T @ rest, 1e-3)
            affine = affine + step
        return affine

    def camera(self, searched: Searched) -> np.ndarray:
        """The camera's motion, (3, 2), to hundredths of a pixel; 0 where there is none to see.

        Gauss-Newton on the pictures, at the pixels whose dense flow agrees with the fit: others
        belong to something else, however large and colorful that is.
        """
        dense, then, here = searched.dense, searched.reference, searched.here
        affine = self._fit(dense) / self._scale
        shape = self._refine_grid.shape
        dx, dy = searched.dx, searched.dy
        jacobian = np.hstack([dx * self._refine_points, dy * self._refine_points])
        away = dense[self._searched].reshape(-1, 2) / self._scale - self._refine_points @ affine
        away *= self._scale
        member = 1 / np.square(1 + np.einsum("ij,ij->i", away, away) / MEMBER_PX**2)

        def compare(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Differences that a motion leaves, and the weights of the pixels."""
            where = self._refine_grid + (self._refine_points @ affine).reshape(shape)
            moved = cv2.remap(
                then, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1
            ).reshape(-1)
            error = here - moved
            weight = member / np.square(1 + np.square(error / GRAY_SCALE))
            weight[moved < 0] = 0
            return error, weight

        for _ in range(REFINE_ROUNDS):
            error, weight = compare(affine)
            weighted = jacobian * weight[:, None]
            normal = weighted.T @ jacobian
            ridge = 1e-3 * float(np.trace(normal)) / 6 + 1e-6
            affine = affine + _solve(normal, weighted.T @ error[:, None], ridge).reshape(2, 3).T
        affine = (affine * self._scale).astype(np.float32)
        self._last = affine
        if np.abs(self._corners @ affine).max() < STILL_PX:
            return np.zeros_like(affine)
        # Where there is a slope a motion can be seen; the same pixels judge both.
        error, weight = compare(affine / self._scale)
        weight *= np.square(dx[:, 0]) + np.square(dy[:, 0])
        standing = here - then[::REFINE_STEP, ::REFINE_STEP].reshape(-1)
        kept = weight @ np.square(error) < GAIN * (weight @ np.square(standing))
        return affine if kept else np.zeros_like(affine)

    def _evidence(self, searched: Searched, camera: np.ndarray) -> np.ndarray:
        """By how much dense flow explains each pixel better, in units of the noise: (sh, sw)."""
        now, then, dense = searched.now, searched.then, searched.dense
        rest, other = (self._difference(now, then, flow) for flow in (camera, dense))
        rest, other = cv2.multiply(rest, rest), cv2.multiply(other, other)
        some = cv2.blur(cv2.min(rest, other), WINDOW)[::NOISE_STEP, ::NOISE_STEP]
        middle = some.size // 2
        noise = max(NOISE_LEAST, float(np.partition(some, middle, axis=None)[middle]))
        most = MOST * noise
        gain = cv2.min(cv2.max(cv2.subtract(rest, other), -most), most)
        dx, dy = searched.slopes
        slope = cv2.add(cv2.multiply(dx, dx), cv2.multiply(dy, dy))
        gain = cv2.scaleAdd(slope, -(LEAST_PX**2), gain)
        seen = cv2.compare(cv2.blur(slope, WINDOW), SIGNAL * noise, cv2.CMP_GT)
        return cv2.multiply(cv2.copyTo(gain, seen), 1 / noise)

    def _shrink(self, picture: np.ndarray) -> np.ndarray:
        if picture.shape[::-1] == self._search_size:
            return picture
        return cv2.resize(picture, self._search_size, interpolation=cv2.INTER_AREA)

    def _smooth(self, picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture.astype(np.float32), (5, 5), BLUR)

    def _plane_flow(self, affine: np.ndarray) -> np.ndarray:
        """An affine motion as flow of the searched pictures."""
        return cv2.transform(self._search_grid, _in_pixels(affine, self._search_size))

    def _full_plane(self, affine: np.ndarray) -> np.ndarray:
        """An affine motion of the searched pictures as flow of full size."""
        return cv2.transform(self.grid, _in_pixels(affine / self._scale, self._size))

    def _difference(self, now: np.ndarray, then: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """What a flow does not explain: (sh, sw) float32."""
        where = cv2.add(flow, self._search_grid)
        moved = cv2.remap(then, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cv2.subtract(now, moved)


def _slopes(now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes in x and in y, float32."""
    return (
        cv2.Sobel(now, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(now, cv2.CV_32F, 0, 1, scale=0.125),
    )


def _agreement(rest: np.ndarray) -> float:
    """How many points a motion fits, of which `rest`, (N, 2), remains."""
    return float((1 / (1 + np.einsum("ij,ij->i", rest, rest) / FLOW_SCALE**2)).sum())


def _solve(normal: np.ndarray, right: np.ndarray, ridge: float) -> np.ndarray:
    """Solve for x: (normal + ridge) x = right, float32."""
    normal.flat[:: len(normal) + 1] += ridge
    _, found = cv2.solve(normal, right, flags=cv2.DECOMP_LU)
    return found


def _design(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(N, 3) float32 rows (1, x, y), x and y scaled to -1..1."""
    unit = points.reshape(-1, 2) / np.array([width - 1, height - 1], np.float32) * 2 - 1
    return np.hstack([np.ones((len(unit), 1), np.float32), unit]).astype(np.float32)


def _in_pixels(affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(3, 2), of (1, x, y) in -1..1, as cv2.transform takes it: (2, 3), of (x, y, 1) in pixels."""
    slope = affine[1:] * 2 / (np.array(size, np.float32)[:, None] - 1)
    return np.column_stack([slope.T, affine[0] - affine[1] - affine[2]]).astype(np.float32)
