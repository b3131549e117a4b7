"""python tests/tools/session.py --source clip.mkv --record session.mp4 --sheet session.jpg

Plays a minute of a live show as somebody at a desk would: styles, parts of the picture, split view,
a morph between two paintings, a held picture. Every frame is recorded and looked at for what a
viewer must never see: squares, bars, blur. Prints what was found; exit code 1 if anything was.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.metrics.sharpness import mean_laplacian
from benchmarks.metrics.tile_edges import tile_edges
from benchmarks.temporal.after_cut import OFF_GRID
from benchmarks.temporal.gates import TILE_LIMIT
from runtime.live.options import LiveOptions
from runtime.live.setup import open_run
from runtime.model.options import StylizeOptions
from runtime.sinks.file import FileSink
from runtime.sources import open_source

MODELS = ("starry-fast", "scream-fast", "many")
# (second of sixty, action): each stays long enough to be seen.
SCRIPT: Sequence[tuple[float, str]] = (
    (6, "style 2"),
    (12, "part person"),
    (17, "beside 1"),
    (22, "part background"),
    (26, "part all"),
    (28, "split on"),
    (31, "divider 0.25"),
    (34, "split off"),
    (36, "style 3"),
    *((40 + number, f"mix {number / 10:g}") for number in range(1, 11)),
    (52, "freeze on"),
    (54, "freeze off"),
    (55, "style 1"),
    (58, "strength 0.5"),
)
LENGTH_S = 60.0
# A frame may have this share of the camera's edges at least; painted ones have more of their own.
SHARPEST_LOSS = 0.8
# Pairs of frames whose squares are looked for together, and how much (mean, in levels) the two of a
# pair may differ: fewer, or a hand that moves fast, would let the picture's own edges count.
WINDOW, CALM = 32, 3.0
# A row or column of a bar differs less than this from its mean, in levels; black is allowed.
BAR_SPREAD, BAR_LEVEL = 1.5, 24


def play(
    source: str, models: Sequence[str], record: Path, seconds: float, size: tuple[int, int] | None
) -> int:
    """Run the show, its script stretched to so many seconds; the number of frames shown."""
    options = LiveOptions(
        style=StylizeOptions([(model, 1.0) for model in models], device="cpu"),
        source=source,
        seconds=seconds,
        size=size,
        window=False,
        record=record,
        overwrite=True,
        quiet=True,
    )
    with contextlib.ExitStack() as stack:
        live = open_run(options, stack, time.perf_counter())
        over = threading.Event()
        stack.callback(over.set)
        scale = seconds / LENGTH_S

        def press() -> None:
            start = time.perf_counter()
            for moment, action in SCRIPT:
                if over.wait(max(0.0, start + scale * moment - time.perf_counter())):
                    return
                live.show.parts.actions.put(action)

        threading.Thread(target=press, daemon=True).start()
        live.show.run()
        shown = live.show.parts.gauges.shown
    return shown


def judge(frames: Iterable[np.ndarray], camera: Sequence[np.ndarray]) -> list[str]:
    """What is wrong with the frames, one line each.

    Args:
        frames: as shown, (H, W, 3) uint8 RGB.
        camera: some frames of what was painted, of the same size.
    """
    found: list[str] = []
    least = SHARPEST_LOSS * min(mean_laplacian(picture) for picture in camera)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    last: np.ndarray | None = None
    for index, frame in enumerate(frames):
        found += [f"frame {index}: a {side} bar" for side in bars(frame)]
        if (edges := mean_laplacian(frame)) < least:
            found.append(f"frame {index}: blur, {edges:.4f} edges where the camera has {least:.4f}")
        if last is not None and cv2.absdiff(frame, last).mean() < CALM:
            pairs.append((frame, last))
        last = frame
        if len(pairs) == WINDOW:
            if (value := squares(pairs)) > TILE_LIMIT:
                found.append(f"frames to {index}: squares of {value:.1f} levels")
            pairs = []
    return found


def squares(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Offsets of squares between each frame and the one before, in levels: paint that is exchanged
    square by square. Camera and strokes move without knowing the grid; the recording's codec knows
    it, and the camera's clip may be one: `off_grid` moves that one's away."""
    return tile_edges([frame for frame, _ in pairs], [before for _, before in pairs])


def off_grid(source: str, target: Path) -> Path:
    """A copy of a clip without loss, OFF_GRID pixels less at the left and at the top: what its
    codec exchanged square by square no longer lies on the squares that are looked for."""
    with open_source(source) as clip:
        width, height = clip.info.width - OFF_GRID, clip.info.height - OFF_GRID
        info = replace(clip.info, width=width, height=height)
        with contextlib.closing(FileSink(target, info, codec="ffv1", overwrite=True)) as sink:
            for frame in clip:
                inside = np.ascontiguousarray(frame.image[OFF_GRID:, OFF_GRID:])
                sink.write(replace(frame, image=inside))
    return target


def bars(frame: np.ndarray) -> list[str]:
    """Sides along which the outermost lines are all of one color that is not black."""
    sides = {"left": frame[:, :3], "right": frame[:, -3:], "upper": frame[:3], "lower": frame[-3:]}
    return [
        name
        for name, strip in sides.items()
        if strip.reshape(-1, 3).std(axis=0).max() < BAR_SPREAD and strip.mean() > BAR_LEVEL
    ]


def sheet(frames: Sequence[np.ndarray], columns: int = 4, width: int = 320) -> np.ndarray:
    """Frames side by side, small."""
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    small += [np.zeros_like(small[0])] * (-len(small) % columns)
    rows = [np.hstack(small[k : k + columns]) for k in range(0, len(small), columns)]
    return np.vstack(rows)


def main() -> int:
    """Play, record, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--seconds", type=float, default=LENGTH_S)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = off_grid(args.source, Path(folder) / "camera.mkv")
        shown = play(str(clip), MODELS, args.record, args.seconds, None)
    with open_source(args.source) as source:
        camera = [frame.image for frame, _ in zip(source, range(60), strict=False)]
    with open_source(args.record) as source:
        frames = [(float(frame.time), frame.image) for frame in source]
    found = judge((image for _, image in frames), camera[::10])
    print(f"{shown} frames shown, {len(frames)} recorded, {len(found)} faults")
    print("\n".join(found))
    if args.sheet is not None:
        wanted = [
            args.seconds / LENGTH_S * second
            for second in (5, 11, 16, 21, 25, 30, 33, 39, 45, 50, 53, 59)
        ]
        picked = [min(frames, key=lambda pair: abs(pair[0] - moment))[1] for moment in wanted]
        picture = cv2.cvtColor(sheet(picked), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(args.sheet), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
