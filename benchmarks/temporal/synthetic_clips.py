"""Synthetic clips with exact motion and visibility, made from photographs.

Every pixel's path is known in closed form, so temporal metrics measure the stylizer and not an
estimator. Nothing is downloaded: the photographs come with scikit-image, or from any folder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import SourceError, UsageError
from runtime.frame import Image

# Photographs inside the scikit-image wheel: rocket launch, cat, coffee cup, portrait.
BUNDLED = ("rocket", "chelsea", "coffee", "astronaut")
# Sensor noise of a webcam indoors, in 1/255, as measured.
NOISE = 3.0
# Frame borders and seams of layers, in pixels, where the sampling kernel mixes two surfaces.
MARGIN = 2.0


@dataclass(frozen=True)
class Layer:
    """One rigid picture in motion.

    Attributes:
        photo: (H, W, 3) uint8.
        matrices: per frame a (2, 3) float64 affine map from frame pixels to photo pixels.
        mask: (H, W) float32 coverage 0..1 of the photo, or None for all of it.
    """

    photo: Image
    matrices: tuple[np.ndarray, ...]
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """A short clip whose motion is known.

    Attributes:
        name: what moves.
        size: (height, width).
        layers: back to front; each layer hides those before it.
        gains: brightness factor per frame.
        noise: standard deviation of the sensor noise, in 1/255; new in every frame.
        still: the scene and the light do not move; only noise changes.
        shots: first frame of every shot after the first.
        seed: of the noise.
    """

    name: str
    size: tuple[int, int]
    layers: tuple[Layer, ...]
    gains: tuple[float, ...]
    noise: float = NOISE
    still: bool = False
    shots: tuple[int, ...] = ()
    seed: int = 0
    photo_name: str = field(default="", compare=False)

    def __len__(self) -> int:
        return len(self.gains)

    @cached_property
    def frames(self) -> list[Image]:
        """All frames, (H, W, 3) uint8 RGB, noise included."""
        rng = np.random.default_rng(self.seed)
        clean = [self.clean(t) for t in range(len(self))]
        return [quantize(c + rng.normal(0, self.noise, c.shape)) for c in clean]

    def clean(self, t: int) -> np.ndarray:
        """Frame t without noise: (H, W, 3) float32, 0..255, not rounded."""
        height, width = self.size
        picture = np.zeros((height, width, 3), np.float32)
        for layer in self.layers:
            where = _affine(layer.matrices[t], pixel_grid(*self.size))
            paint = sample(layer.photo.astype(np.float32), where)
            if layer.mask is None:
                picture = paint
            else:
                alpha = _covered(layer.mask, _affine(layer.matrices[t], pixel_grid(*self.size)))
                picture += alpha[..., None] * (paint - picture)
        return np.clip(picture, 0, 255) * np.float32(self.gains[t])

    def denoised(self) -> "Clip":
        """The same clip without sensor noise."""
        return replace(self, noise=0.0)

    def flow(self, t: int, u: int, margin: float = MARGIN) -> tuple[np.ndarray, np.ndarray]:
        """Exact motion from frame t to frame u.

        Returns:
            (H, W, 2) float32 F, pixel p of t is at p + F(p) in u; and (H, W) bool: the point is
            visible in both frames, `margin` pixels from borders and seams, and in one shot.
        """
        height, width = self.size
        grid = pixel_grid(height, width)
        flow = np.zeros((height, width, 2), np.float32)
        valid = np.zeros((height, width), bool)
        for index, layer in enumerate(self.layers):
            here = _affine(layer.matrices[t], grid)
            there = _affine(_invert(layer.matrices[u]), here)
            seen = self._owner(index, t, grid, margin) & self._owner(index, u, there, margin)
            inside = (there >= margin) & (there <= np.array([width, height]) - 1 - margin)
            mine = self._owner(index, t, grid, 0.0)
            flow[mine] = (there - grid)[mine]
            valid[mine] = (seen & inside.all(axis=2))[mine]
        if any(min(t, u) < cut <= max(t, u) for cut in self.shots):
            valid[:] = False
        return flow, valid

    def uncovered(self, t: int) -> np.ndarray:
        """Pixels of frame t whose point frame t-1 did not show: (H, W) bool."""
        return ~self.flow(t, t - 1, margin=0.0)[1]

    def _owner(self, index: int, t: int, points: np.ndarray, margin: float) -> np.ndarray:
        """Whether layer `index` is what is seen at `points` (..., 2) of frame t, seams excluded."""
        own = self.layers[index]
        result = np.ones(points.shape[:2], bool)
        if own.mask is not None:
            result &= _at(own, t, points, margin, inner=True)
        for other in self.layers[index + 1 :]:
            result &= ~_at(other, t, points, margin, inner=False)
        return result


def quantize(picture: np.ndarray) -> Image:
    """Round 0..255 floats to bytes."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def pixel_grid(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float64: every pixel's own (x, y)."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return np.dstack([x, y])


def _affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def _invert(matrix: np.ndarray) -> np.ndarray:
    return cv2.invertAffineTransform(matrix)


def _covered(mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """`mask` at `where`, 0 outside of it."""
    points = where.astype(np.float32)
    return cv2.remap(mask, points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def sample(picture: np.ndarray, where: np.ndarray, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    """`picture` (H, W) or (H, W, C) float32 at `where` (h, w, 2), mirrored outside."""
    return cv2.remap(picture, where.astype(np.float32), None, how, borderMode=cv2.BORDER_REFLECT101)


def _at(layer: Layer, t: int, points: np.ndarray, margin: float, inner: bool) -> np.ndarray:
    """Whether a masked layer covers points; shrunk (inner) or grown by `margin` pixels."""
    assert layer.mask is not None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(margin) + 1,) * 2)
    change = cv2.erode if inner else cv2.dilate
    mask = change(layer.mask, kernel) if margin else layer.mask
    covered = _covered(mask, _affine(layer.matrices[t], points))
    return covered > (0.99 if inner and margin else 0.01 if margin else 0.5)


def _path(
    photo: Image,
    size: tuple[int, int],
    num_frames: int,
    velocity: tuple[float, float] = (0.0, 0.0),
    zoom: float = 0.0,
    rotation: float = 0.0,
) -> tuple[np.ndarray, ...]:
    """Affine maps frame -> photo: the camera moves `velocity` px, zooms and turns per frame.

    The middle frame is centered on the photo; `zoom` 0.006 is 0.6 % per frame, `rotation` degrees.
    """
    height, width = size
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    home = np.array([(photo.shape[1] - 1) / 2, (photo.shape[0] - 1) / 2])
    maps = []
    for t in range(num_frames):
        k = t - (num_frames - 1) / 2
        angle, scale = np.deg2rad(rotation * k), np.exp(-zoom * k)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = home + k * np.array(velocity) - turn @ center
        maps.append(np.hstack([turn, shift[:, None]]))
    return tuple(maps)


def _disc(photo: Image, radius: float) -> np.ndarray:
    """A soft disc over the middle of the photo: (H, W) float32, 0..1."""
    height, width = photo.shape[:2]
    grid = pixel_grid(height, width) - [(width - 1) / 2, (height - 1) / 2]
    distance = np.hypot(grid[..., 0], grid[..., 1])
    return np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)


def _moving(**motion) -> Callable[..., Clip]:
    def build(name: str, photo: Image, other: Image, size: tuple[int, int], n: int) -> Clip:
        return Clip(name, size, (Layer(photo, _path(photo, size, n, **motion)),), (1.0,) * n)

    return build


def _parallax(name: str, photo: Image, other: Image, size: tuple[int, int], n: int) -> Clip:
    back = Layer(photo, _path(photo, size, n, velocity=(1.0, 0.3)))
    front = Layer(other, _path(other, size, n, velocity=(-2.1, 0.4)), _disc(other, 0.4 * min(size)))
    return Clip(name, size, (back, front), (1.0,) * n)


def _still(name: str, photo: Image, other: Image, size: tuple[int, int], n: int) -> Clip:
    return Clip(name, size, (Layer(photo, _path(photo, size, n)),), (1.0,) * n, still=True)


def _ramp(name: str, photo: Image, other: Image, size: tuple[int, int], n: int) -> Clip:
    gains = tuple(np.linspace(1.0, 0.6, n))
    return Clip(name, size, (Layer(photo, _path(photo, size, n)),), gains)


def _cut(name: str, photo: Image, other: Image, size: tuple[int, int], n: int) -> Clip:
    half = n // 2
    # One layer per shot; the mask of the second is all or nothing, frame by frame.
    first = Layer(photo, _path(photo, size, n, velocity=(1.3, 0.4)))
    away = np.array([[1.0, 0.0, 1e6], [0.0, 1.0, 1e6]])
    maps = _path(other, size, n, velocity=(-0.9, 0.5))
    second = Layer(
        other,
        tuple(away if t < half else maps[t] for t in range(n)),
        np.ones(other.shape[:2], np.float32),
    )
    return Clip(name, size, (first, second), (1.0,) * n, shots=(half,))


# Speeds in pixels (degrees, share) per frame; "camera" is the clip of the research note.
KINDS: dict[str, Callable[..., Clip]] = {
    "pan": _moving(velocity=(2.0, 1.0)),
    "subpixel": _moving(velocity=(0.37, 0.21)),
    "zoom": _moving(zoom=0.006),
    "rotation": _moving(rotation=0.25),
    "camera": _moving(velocity=(1.8, 0.4), zoom=0.006, rotation=0.25),
    "parallax": _parallax,
    "still": _still,
    "ramp": _ramp,
    "cut": _cut,
}


@lru_cache(maxsize=16)
def load_photo(name: str, least: tuple[int, int]) -> Image:
    """A photograph, enlarged if needed so that a frame of `least` (height, width) can move in it.

    Args:
        name: one of BUNDLED, or the path of a picture.
        least: smallest height and width.

    Raises:
        EngineUnavailable: scikit-image is not installed.
        SourceError: the file is not a picture.
    """
    if name in BUNDLED:
        from export.verify.photos import bundled

        (photo,) = bundled([name])
    else:
        raw = np.fromfile(name, np.uint8) if Path(name).is_file() else np.empty(0, np.uint8)
        decoded = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
        if decoded is None:
            raise SourceError(f'"{name}" is not a picture OpenCV can read')
        photo = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    factor = max(1.0, least[0] / photo.shape[0], least[1] / photo.shape[1])
    if factor == 1.0:
        return photo
    size = (round(photo.shape[1] * factor), round(photo.shape[0] * factor))
    return cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)


def build(
    kind: str,
    photo: str = BUNDLED[0],
    other: str = BUNDLED[1],
    size: tuple[int, int] = (180, 320),
    num_frames: int = 24,
    noise: float = NOISE,
    seed: int = 0,
) -> Clip:
    """One clip.

    Args:
        kind: a key of KINDS.
        photo: photograph in the back; see `load_photo`.
        other: photograph in front (parallax) or after the cut.
        size: (height, width) in pixels.
        num_frames: length.
        noise: sensor noise, standard deviation in 1/255.
        seed: of the noise.
    """
    if kind not in KINDS:
        raise UsageError(f'no clip "{kind}"; available: {", ".join(KINDS)}')
    # Room for 2.1 px/frame of motion on both sides, and for the corners of a turning frame.
    room = tuple(round(1.15 * side + 2.1 * num_frames) for side in size)
    a, b = load_photo(photo, room), load_photo(other, room)
    clip = KINDS[kind](kind, a, b, size, num_frames)
    return replace(clip, noise=noise, seed=seed, photo_name=Path(photo).stem)
