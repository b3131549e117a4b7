"""Input noise for clips and cameras: it stays with the scene while the camera moves."""

import cv2
import numpy as np

from ..frame import Image
from ..stabilizers._motion import Motion
from ..state import State, keep, put_back
from . import CELL_PX, SIGMA
from .flat import flatness

# The noise is a tile without seams of so many cells each way: 2048 px.
TILE_CELLS = 128
# Noise of 16-px cells is smooth: a value for every fourth pixel is enough.
STEP_PX = 4
# Short side of the pictures in which the camera's motion is found: 1 ms; what it errs by is a
# hundredth of a cell.
MOTION_SIDE = 90
LEAST_SIDE = 32  # ... and what `Motion` needs at least
# Share by which the weights of the cells follow the picture from frame to frame: what jumps
# (sensor noise, compression) is spread over a quarter of a second.
FOLLOW = 0.15
# A motion beyond these is none: a cut, a flash, a hand before the camera.
MOST_SHIFT = 0.25  # of the picture
MOST_ZOOM = 1.25
# The noise begins anew when its cells have been stretched or shrunk by more than this.
MOST_STRETCH = 2.0
# The byte that stands for no noise.
MIDDLE = 128
_KEPT = ("_place", "_before", "_weights", "_last")


class SceneNoise:
    """Adds noise to the flat areas of frames, one after another.

    What is added to pixel p of frame t is flat_t(p) * n(A_1 ... A_t p): n the noise, A_t p the
    place of p in the frame before, by the camera's motion alone (affine, robust), flat as in
    `flatness`, smoothed in time. What moves before the camera does not take its noise along.

    Args:
        amount: 0..1, times 0.2 = deviation of the noise.
        seed: same seed, same strokes.
    """

    def __init__(self, amount: float, seed: int = 0) -> None:
        self.amount = amount
        self._tile = _tile(seed)
        self._motion: Motion | None = None
        self.reset()

    def reset(self) -> None:
        """Begin a scene: the noise lies where it lay at first."""
        self._place = np.eye(3)
        self._before = np.zeros((0, 0), np.uint8)
        self._weights = np.zeros((0, 0), np.float32)
        self._last = np.zeros((3, 2), np.float32)

    def state(self) -> State:
        """All that it remembers between two frames."""
        return keep(self, *_KEPT)

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        put_back(self, state, *_KEPT)

    def add(self, image: Image) -> Image:
        """The next frame as the network is to see it, (H, W, 3) uint8; the frame itself if the
        amount is 0."""
        if self.amount <= 0.0:
            self.reset()
            return image
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        self._follow(gray)
        weights = flatness(gray)
        if self._weights.shape == weights.shape:
            weights = cv2.addWeighted(weights, FOLLOW, self._weights, 1.0 - FOLLOW, 0.0)
        self._weights = weights
        return _added(image, self._field(*gray.shape))

    def _follow(self, gray: np.ndarray) -> None:
        """Move the noise as the camera moved since the frame before."""
        height, width = gray.shape
        shrink = max(1.0, min(height, width) / MOTION_SIDE)
        size = tuple(max(LEAST_SIDE, round(side / shrink)) for side in (width, height))
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        before, self._before = self._before, small
        cells = (-(-height // CELL_PX), -(-width // CELL_PX))
        if before.shape != small.shape or self._weights.shape != cells:
            self._place, self._motion = np.eye(3), None
            self._last = np.zeros((3, 2), np.float32)
            return
        self._motion = self._motion or Motion(*small.shape)
        self._motion.last = self._last
        affine = self._motion.camera(self._motion.search(small, before))
        moved = np.vstack([self._motion.in_pixels(affine), (0.0, 0.0, 1.0)])
        self._last = self._motion.last
        if not _plausible(moved, small.shape):
            return
        scale = np.diag([size[0] / width, size[1] / height, 1.0])
        self._place = self._place @ np.linalg.inv(scale) @ moved @ scale
        stretch = np.sqrt(abs(np.linalg.det(self._place[:2, :2])))
        if not 1.0 / MOST_STRETCH < stretch < MOST_STRETCH:
            self._place = np.eye(3)

    def _field(self, height: int, width: int) -> np.ndarray:
        """The noise of every STEP_PX-th pixel, (ceil(H / 4), ceil(W / 4), 3) float32, of 255."""
        rows, columns = -(-height // STEP_PX), -(-width // STEP_PX)
        # Value i stands for the middle of its pixels, i * STEP_PX + (STEP_PX - 1) / 2, here as in
        # the tile.
        middle = (STEP_PX - 1) / 2
        spread = np.array([[STEP_PX, 0, middle], [0, STEP_PX, middle], [0, 0, 1]])
        where = (np.linalg.inv(spread) @ self._place @ spread)[:2]
        field = cv2.warpAffine(
            self._tile,
            where,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
        full = tuple(count * CELL_PX // STEP_PX for count in self._weights.shape[::-1])
        weights = cv2.resize(self._weights, full, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        return field * (weights * np.float32(255.0 * SIGMA * self.amount))[..., None]


def _tile(seed: int) -> np.ndarray:
    """Noise of deviation 1 before smoothing, for every STEP_PX-th pixel, (512, 512, 3) float32;
    its right edge goes on at its left one, its lower at its upper."""
    cells = np.random.default_rng(seed).standard_normal((TILE_CELLS, TILE_CELLS, 3))
    rim = 2  # bicubic interpolation reaches two cells far
    wrapped = np.pad(cells.astype(np.float32), ((rim, rim), (rim, rim), (0, 0)), mode="wrap")
    times = CELL_PX // STEP_PX
    size = tuple(side * times for side in wrapped.shape[1::-1])
    smooth = cv2.resize(wrapped, size, interpolation=cv2.INTER_CUBIC)
    inner = slice(rim * times, -rim * times)
    return np.ascontiguousarray(smooth[inner, inner])


def _plausible(moved: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a camera moves like this from one frame to the next."""
    height, width = shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    shift = np.abs((moved @ middle - middle)[:2]) / (width, height)
    zoom = np.sqrt(max(0.0, np.linalg.det(moved[:2, :2])))
    return bool(shift.max() <= MOST_SHIFT and 1.0 / MOST_ZOOM <= zoom <= MOST_ZOOM)


def _added(image: Image, field: np.ndarray) -> Image:
    """The picture with the field, enlarged, on it: in bytes, which costs a third of floats."""
    height, width = image.shape[:2]
    rows, columns = (-(-side // STEP_PX) * STEP_PX for side in (height, width))
    lifted = np.clip(field + np.float32(MIDDLE + 0.5), 0, 255).astype(np.uint8)
    noise = cv2.resize(lifted, (columns, rows), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return cv2.addWeighted(image, 1.0, noise, 1.0, -MIDDLE)
