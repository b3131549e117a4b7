"""Ten minutes of a stream: does anything darken, fade or creep?"""

from collections.abc import Callable

import numpy as np

from runtime import plugins, stabilizers
from runtime.frame import Image

from ..metrics._pictures import to_float
from ..metrics.global_drift import frame_statistics
from ..metrics.sharpness import mean_laplacian
from . import synthetic_clips

# Seconds over which statistics are averaged, and frames per second of the stream.
WINDOW_S, RATE = 10.0, 30
# The moving camera goes round a circle of this radius in pixels, once per window, so that every
# window sees the same places.
RADIUS = 12.0


def stream(photo: str, size: tuple[int, int], moving: bool, noise: float, seed: int = 0):
    """Endless frames of a still or circling camera with sensor noise, (H, W, 3) uint8."""
    height, width = size
    margin = int(RADIUS) + 4
    big = synthetic_clips.load_photo(photo, (height + 2 * margin, width + 2 * margin)).astype(
        np.float32
    )
    center = np.array([big.shape[1] - width, big.shape[0] - height]) / 2
    grid, rng, t = synthetic_clips.pixel_grid(height, width), np.random.default_rng(seed), 0
    turn = 2 * np.pi / (WINDOW_S * RATE)
    still = synthetic_clips.sample(big, grid + center)
    while True:
        offset = RADIUS * np.array([np.cos(turn * t), np.sin(turn * t)])
        clean = synthetic_clips.sample(big, grid + center + offset) if moving else still
        yield synthetic_clips.quantize(clean + noise * rng.standard_normal(clean.shape, np.float32))
        t += 1


def measure_drift(
    stylize: Callable[[Image], Image],
    stabilizer: str,
    strength: float,
    minutes: float,
    photo: str = synthetic_clips.BUNDLED[0],
    size: tuple[int, int] = (72, 128),
    moving: bool = False,
    noise: float = synthetic_clips.NOISE,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, float | list[float]]:
    """Run a stream for some minutes and compare its windows.

    Returns:
        `drift`: the largest change of a channel's mean or standard deviation between any window and
        the first, in 1/255; `drift_last` of the last window; `offset`: the largest difference of a
        window's channel means to the network's own frames (painted once per second); `sharpness`
        of the last window over the first; `flicker`: mean |O_t+1 - O_t| * 255 of a still camera in
        the last window; `brightness`: mean of every window, 1/255.
    """
    tool = plugins.load(stabilizers, stabilizer)(strength)
    count = round(minutes * 60 * RATE)
    per_window = round(WINDOW_S * RATE)
    windows, sums, offsets, edges, changes = [], [], [], [], []
    last: Image | None = None
    for t, frame in zip(range(count), stream(photo, size, moving, noise), strict=False):
        styled = stylize(tool.prepare(frame))
        shown = tool.step(frame, styled)
        sums.append(frame_statistics([shown])[0])
        edges.append(mean_laplacian(shown))
        if t % RATE == 0:
            offsets.append(sums[-1][:3] - frame_statistics([stylize(frame)])[0][:3])
        if last is not None and t >= count - per_window:
            changes.append(255 * float(np.abs(to_float(shown) - to_float(last)).mean()))
        last = shown
        if len(sums) == per_window:
            windows.append((np.mean(sums, axis=0), np.mean(edges), np.mean(offsets, axis=0)))
            sums, edges, offsets = [], [], []
        progress()
    means = np.array([w[0] for w in windows])
    apart = np.abs(means - means[0])
    return {
        "minutes": count / RATE / 60,
        "drift": float(apart.max()),
        "drift_last": float(apart[-1].max()),
        "offset": float(np.abs([w[2] for w in windows]).max()),
        "sharpness": float(windows[-1][1] / windows[0][1]),
        "flicker": float(np.mean(changes)),
        "brightness": [round(float(m[:3].mean()), 3) for m in means],
    }
