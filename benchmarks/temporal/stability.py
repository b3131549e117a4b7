"""Runs a stabilizer over a scene and measures what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from runtime import plugins, stabilizers
from runtime.frame import Frame, Image

from ..metrics.excess_warping_error import excess_warping_error
from ..metrics.ghost import ghost
from ..metrics.global_drift import global_drift
from ..metrics.lag import lag
from ..metrics.palette import palette
from ..metrics.pop import pop
from ..metrics.sharpness import sharpness
from ..metrics.stability_error import stability_error
from ..metrics.static_flicker import static_flicker
from ..metrics.tile_edges import tile_edges
from ..metrics.warped_ssim import warped_ssim
from ..metrics.warping_error import warping_error
from .scenes import Scene

if TYPE_CHECKING:
    from runtime.stabilizers import ShotStabilizer

Stylize = Callable[[Image], Image]
# Frames at the start that are not timed: the first allocates the memory.
WARM_UP = 3
# Source excess below this is measurement noise, no ratio is made of it.
LEAST_EXCESS = 1e-6


@dataclass(frozen=True)
class Baseline:
    """What a stabilizer is compared with: the network alone on one scene.

    Attributes:
        painted: the network on the frames; clean: on the noise-free frames.
        warp, warp_long, excess: their E_warp at step 1, at step 5 (None where motion is not known
            that far), and the excess over the source's.
    """

    painted: list[Image]
    clean: list[Image]
    warp: float
    warp_long: float | None
    excess: float


def baseline(scene: Scene, stylize: Stylize, begin: Callable[[], None] = lambda: None) -> Baseline:
    """Paint a scene frame by frame; `begin` is called before each pass over it."""
    begin()
    painted = [stylize(frame) for frame in scene.frames]
    same = scene.clean is scene.frames
    if not same:
        begin()
    clean = painted if same else [stylize(frame) for frame in scene.clean]
    return Baseline(
        painted,
        clean,
        warping_error(painted, scene.motion),
        warping_error(painted, scene.motion, 5) if 5 in scene.steps else None,
        excess_warping_error(painted, scene.frames, scene.motion),
    )


def run_stabilizer(
    name: str, strength: float, frames: list[Image], stylize: Stylize
) -> tuple[list[Image], list[float]]:
    """Outputs, and milliseconds of this thread's processor time per frame without the network."""
    stabilizer = plugins.load(stabilizers, name)(strength)
    if isinstance(stabilizer, stabilizers.ShotStabilizer):
        return _run_whole(stabilizer, frames, stylize)
    outputs, costs = [], []
    for frame in frames:
        start = time.thread_time()
        given = stabilizer.prepare(frame)
        middle = time.thread_time()
        styled = stylize(given)
        resume = time.thread_time()
        outputs.append(stabilizer.step(frame, styled))
        costs.append(1000 * (time.thread_time() - resume + middle - start))
    return outputs, costs[WARM_UP:] or costs


def _run_whole(
    stabilizer: ShotStabilizer, frames: list[Image], stylize: Stylize
) -> tuple[list[Image], list[float]]:
    network = 0.0

    def timed(image: Image) -> Image:
        nonlocal network
        start = time.thread_time()
        styled = stylize(image)
        network += time.thread_time() - start
        return styled

    start = time.thread_time()
    source = (Frame(image, Fraction(t, 30), t) for t, image in enumerate(frames))
    outputs = [frame.image for frame in stabilizers.process(stabilizer, source, timed)]
    return outputs, [1000 * (time.thread_time() - start - network) / len(frames)]


def measure(
    scene: Scene, outputs: list[Image], base: Baseline, costs: list[float] | None = None
) -> dict[str, float | None]:
    """All temporal metrics of one run; None where a metric has no meaning on this scene."""
    warp = warping_error(outputs, scene.motion)
    long = warping_error(outputs, scene.motion, 5) if base.warp_long is not None else None
    excess = excess_warping_error(outputs, scene.frames, scene.motion)
    enough = len(outputs) > 6
    return {
        "warp": warp,
        "warp_long": long,
        "warp_source": warping_error(scene.frames, scene.motion),
        "warp_ratio": warp / base.warp if base.warp > 0 else None,
        "warp_long_ratio": long / base.warp_long if long is not None and base.warp_long else None,
        "excess": excess,
        "excess_ratio": excess / base.excess if base.excess > LEAST_EXCESS else None,
        "stab_rms": stability_error(outputs, scene.motion),
        "pop_p95": pop(outputs, scene.motion),
        "pop_max": pop(outputs, scene.motion, 100),
        "sharpness": sharpness(outputs, base.clean),
        "warped_ssim": warped_ssim(outputs, scene.motion),
        "palette": palette(outputs, base.clean),
        "tile_edges": tile_edges(outputs, base.painted),
        "lag_frames": lag(outputs, scene.frames) if scene.moving and enough else None,
        "flicker": static_flicker(outputs) if scene.still else None,
        "drift": global_drift(outputs) if scene.still else None,
        "ghost": ghost(outputs, base.clean, scene.uncovered) if scene.uncovered else None,
        "ghost_per_frame": (
            ghost(base.painted, base.clean, scene.uncovered) if scene.uncovered else None
        ),
        "cost_p50_ms": float(np.percentile(costs, 50)) if costs else None,
        "cost_p95_ms": float(np.percentile(costs, 95)) if costs else None,
    }


def summarize(rows: list[tuple[Scene, dict[str, float | None]]]) -> dict[str, float | None]:
    """Means over scenes; ratios and sharpness over the moving ones, flicker over the still ones.

    `lag_frames` is the largest in magnitude, costs and `style_ratio_worst` are the largest.
    """

    def values(key: str, moving: bool = False) -> list[float]:
        kept = [m.get(key) for scene, m in rows if scene.moving or not moving]
        return [v for v in kept if v is not None and np.isfinite(v)]

    moving = (
        "warp_ratio",
        "warp_long_ratio",
        "excess_ratio",
        "sharpness",
        "palette",
        "warped_ssim",
        "warped_lpips",
    )
    result = {key: _mean(values(key, moving=True)) for key in moving}
    for key in ("tile_edges", "flicker", "drift", "ghost", "ghost_per_frame", "style_ratio"):
        result[key] = _mean(values(key))
    lags = values("lag_frames")
    result["lag_frames"] = max(lags, key=abs) if lags else None
    for key in ("pop_p95", "cost_p50_ms", "cost_p95_ms"):
        result[key] = max(values(key), default=None)
    result["style_ratio_worst"] = max(values("style_ratio"), default=None)
    return result


def _mean(numbers: list[float]) -> float | None:
    return float(np.mean(numbers)) if numbers else None
