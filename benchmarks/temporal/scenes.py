"""What the temporal bench looks at: synthetic clips, ground-truth pairs, real clips."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import SourceError, UsageError
from runtime.fields import is_whole
from runtime.frame import Image
from runtime.sources import open_source
from training.data.checked_flow import CheckedFlow, inside

from ..metrics import Motion
from . import synthetic_clips

# First four bytes of a Middlebury .flo file, as a little-endian float.
FLO_MAGIC = 202021.25
# Motion boundaries of Sundaram et al. (as Ruder and Lai use them).
EDGE_SHARE, EDGE_CONSTANT = 0.01, 0.002


@dataclass(frozen=True)
class Scene:
    """Frames and what is known about their motion.

    Attributes:
        name: of the clip; photo: of the picture in it, or of the folder.
        frames: (H, W, 3) uint8 each.
        clean: the same without sensor noise (the frames themselves where that is unknown).
        motion: see `benchmarks.metrics`; steps: for which time differences it is defined.
        truth: "exact" (synthetic), "ground truth" (rendered), "estimated" (from the clip itself).
        uncovered: mask of what frame t shows and t-1 did not, or None.
        still: nothing moves but sensor noise; moving: it does, visibly.
    """

    name: str
    photo: str
    frames: list[Image]
    clean: list[Image]
    motion: Motion
    truth: str
    steps: tuple[int, ...] = (1, 5)
    uncovered: Callable[[int], np.ndarray] | None = None
    still: bool = False
    moving: bool = True
    notes: str = field(default="", compare=False)


def synthetic(kind: str, photo: str, other: str, size: tuple[int, int], **options) -> Scene:
    """A clip of `synthetic_clips`; `size` (height, width), options as for its `build`."""
    clip = synthetic_clips.build(kind, photo, other, size, **options)
    return Scene(
        kind,
        clip.photo_name,
        clip.frames,
        [synthetic_clips.quantize(clip.clean(t)) for t in range(len(clip))],
        cache(clip.flow),
        "exact",
        uncovered=cache(clip.uncovered) if len(clip.layers) > 1 and not clip.shots else None,
        still=clip.still,
        moving=not clip.still and kind != "ramp",
    )


def read_flo(path: Path) -> np.ndarray:
    """Flow (H, W, 2) float32 of a Middlebury .flo file. Raises SourceError when it is none."""
    data = path.read_bytes()
    magic, width, height = struct.unpack_from("<fii", data) if len(data) >= 12 else (0, 0, 0)
    if magic != FLO_MAGIC or len(data) < 12 + 8 * width * height:
        raise SourceError(f'"{path}" is not a .flo file')
    flow = np.frombuffer(data, "<f4", 2 * width * height, 12)
    return flow.reshape(height, width, 2).astype(np.float32)


def _read_flow(path: Path) -> np.ndarray:
    if path.suffix == ".flo":
        return read_flo(path)
    with np.load(path) as arrays:
        if "flow64" in arrays:  # 1/64 pixel
            return arrays["flow64"].astype(np.float32) / 64
        return arrays[arrays.files[0]].astype(np.float32)


def _read_picture(path: Path) -> Image:
    return synthetic_clips.load_photo(str(path), (1, 1))


def ground_truth(folder: Path, width: int = 512) -> list[Scene]:
    """Pairs of frames with rendered flow below `folder`: Sintel, FlyingChairs or our own layout.

    Each folder holds frame_A.png, frame_B.png and flow_A_to_B.npz (or .flo), with optional
    occlusion_A.png and invalid_A.png (white: not visible, not valid); or NAME_img1.ppm,
    NAME_img2.ppm and NAME_flow.flo. Pairs wider than `width` are reduced to it.

    Raises:
        UsageError: there is no flow file below `folder`.
    """
    found = [*sorted(folder.rglob("*.npz")), *sorted(folder.rglob("*.flo"))]
    scenes = [scene for path in found if (scene := _pair(path, width)) is not None]
    if not scenes:
        raise UsageError(f'no flow (.flo, .npz) with its two frames below "{folder}"')
    return scenes


def _pair(path: Path, width: int) -> Scene | None:
    stem, folder = path.stem, path.parent
    if stem.startswith("flow_") and "_to_" in stem:
        first, second = stem[5:].split("_to_")
        names = [folder / f"frame_{key}.png" for key in (first, second)]
        masks = [folder / f"occlusion_{first}.png", folder / f"invalid_{first}.png"]
    elif stem.endswith("_flow"):
        names = [folder / f"{stem[:-5]}_img{k}.ppm" for k in (1, 2)]
        masks = []
    else:
        number = int(stem[6:]) if stem.startswith("frame_") and is_whole(stem[6:]) else -1
        names = [folder / f"frame_{number + k:04d}.png" for k in (0, 1)]
        masks = []
    if not all(name.is_file() for name in names):
        return None
    hidden = [cv2.imread(str(m), cv2.IMREAD_GRAYSCALE) for m in masks if m.is_file()]
    frames, flow = [_read_picture(name) for name in names], _read_flow(path)
    scale = min(1.0, width / flow.shape[1])
    size = (round(flow.shape[1] * scale), round(flow.shape[0] * scale))
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    flow = cv2.resize(flow, size, interpolation=cv2.INTER_AREA) * np.float32(scale)
    valid = np.isfinite(flow).all(axis=2) & (np.abs(flow) < 1e9).all(axis=2)
    for mask in hidden:
        valid &= cv2.resize(mask, size, interpolation=cv2.INTER_AREA) == 0
    grid = synthetic_clips.pixel_grid(size[1], size[0]) + flow
    valid &= ((grid >= 1) & (grid <= np.array(size) - 2)).all(axis=2)
    return Scene(
        folder.name,
        stem,
        [*frames, frames[0]],
        [*frames, frames[0]],
        _there_and_back(flow, valid),
        "ground truth",
        steps=(1,),
        uncovered=lambda t: ~valid if t == 2 else np.zeros_like(valid),
    )


def _there_and_back(flow: np.ndarray, valid: np.ndarray) -> Motion:
    """Motion of the sequence A, B, A: known from 0 to 1, nowhere valid elsewhere.

    The return to A uncovers what B hides, so that ghosts can be seen with one flow field.
    """

    def motion(t: int, u: int) -> tuple[np.ndarray, np.ndarray]:
        return flow, valid if (t, u) == (0, 1) else np.zeros_like(valid)

    return motion


def real(spec: str, num_frames: int, width: int = 320) -> Scene:
    """The first frames of a clip, reduced to `width`, with motion estimated by DIS (medium)."""
    frames = []
    with open_source(spec) as source:
        for frame in source:
            height = round(frame.image.shape[0] * width / frame.image.shape[1])
            small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
            frames.append(small if frame.image.shape[1] > width else frame.image)
            if len(frames) >= num_frames:
                break
    name = Path(spec).stem
    return Scene(name, "", frames, frames, estimated_motion(frames), "estimated", steps=(1,))


def estimated_motion(frames: list[Image]) -> Motion:
    """Flow by DIS (medium) with the usual masks: forward-backward check and motion boundaries."""
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flow = CheckedFlow()

    @cache
    def motion(t: int, u: int) -> tuple[np.ndarray, np.ndarray]:
        there, places, valid = flow.measure(grays[t], grays[u])
        slopes = sum(
            np.square(cv2.Sobel(there[..., k], cv2.CV_32F, x, 1 - x, scale=0.125))
            for k in (0, 1)
            for x in (0, 1)
        )
        valid &= slopes <= EDGE_SHARE * np.square(there).sum(axis=2) + EDGE_CONSTANT
        return there, valid & inside(places, 1)

    return motion
