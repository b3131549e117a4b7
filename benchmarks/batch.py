"""python -m benchmarks.batch --model starry --sizes 640x360,1920x1080 --jobs 1,2

What a batch on many machines costs besides painting: finding the shots of a clip, beginning a piece
of it, joining the pieces; and whether a throughput model made of these figures foretells how long
Ray takes with so many painters. Needs the extra `ray`.

    T(W) = start + frames * plan + (frames * paint + pieces * piece) / W + join

`start` is what a run of Ray on one small picture takes. The first size is the one that Ray paints.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE, StyleError

from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.environment import HOME
from .measuring.results import Metrics, Row
from .report.tables import Document, figure, label, table

SHOTS, SHOT_FRAMES = 4, 30
ROUNDS = 3


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, help="file or name")
    add("--sizes", type=listed(parse_size), default=[(640, 360)], metavar="WxH,WxH")
    add("--jobs", type=listed(int), default=[1, 2], metavar="N,N", help="painters (default: 1,2)")
    add("--shots", type=int, default=SHOTS, metavar="N", help=f"of {SHOT_FRAMES} frames each")
    add("--stabilizer", default="best", choices=("best", "live", "off"))
    add("--rounds", type=int, default=ROUNDS, metavar="N", help="of each measurement")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Costs at every size, then Ray at the first."""
    from .measuring import opening, results

    path = check_result_file(args)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="impasto-bench-") as folder,
        Progress(None, "measurements", quiet=args.quiet) as progress,
    ):
        for number, (width, height) in enumerate(args.sizes):
            clip = Path(folder) / f"{width}x{height}.mp4"
            write_clip(clip, width, height, args.shots)
            costs = _costs(clip, args)
            rows.append(_row(args, f"{width}x{height}", "alone", costs))
            progress.update()
            if number == 0:
                for row in _with_ray(clip, costs, args):
                    rows.append(row)
                    progress.update()
    settings = {
        "shots": args.shots,
        "shot_frames": SHOT_FRAMES,
        "rounds": args.rounds,
        "sha256": opening.checksums([args.model]),
    }
    deliver(args, path, results.document("batch", rows, settings))
    return DONE


def write_clip(path: Path, width: int, height: int, shots: int = SHOTS) -> None:
    """Shots of soft waves in different colors, each moving: cuts that everybody finds."""
    import av

    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(shots * SHOT_FRAMES):
            shot, step = divmod(number, SHOT_FRAMES)
            shot %= SHOTS
            wave = np.sin(columns / (20 + 9 * shot) + step / 5) + np.cos(rows / (17 + 5 * shot))
            colors = np.roll(np.array([90, 30, 10]), shot)
            light = 40 + 45 * shot + colors * wave[..., None]
            picture = np.clip(light, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def _costs(clip: Path, args: argparse.Namespace) -> Metrics:
    """Seconds of wall and of processors; whole and in pieces in turns, so that what else the
    machine does falls on both."""
    from runtime.clips import pieces
    from runtime.clips.options import ClipOptions
    from runtime.meter import Meter
    from runtime.model.options import StylizeOptions, open_stylizer

    options = ClipOptions(stabilizer=args.stabilizer)
    style = StylizeOptions([(args.model, 1.0)], device="cpu", threads=1)
    times: dict[str, list[tuple[float, float]]] = {}

    def clocked(name: str, start: tuple[float, float]) -> None:
        wall, processor = start
        spent = (time.perf_counter() - wall, time.process_time() - processor)
        times.setdefault(name, []).append(spent)

    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    with open_stylizer(style) as stylizer:
        plans = {
            "whole": pieces.plan_pieces(clip, options, lambda: stylizer, target=10**9),
            "pieces": pieces.plan_pieces(clip, options, lambda: stylizer, target=SHOT_FRAMES),
        }
        for _ in range(args.rounds):
            start = now()
            pieces.plan_pieces(clip, options, lambda: stylizer, target=SHOT_FRAMES)
            clocked("plan", start)
            for name, plan in plans.items():
                with tempfile.TemporaryDirectory() as folder:
                    made = []
                    start = now()
                    for number, piece in enumerate(plan.pieces):
                        where = Path(folder) / str(number)
                        where.mkdir()
                        made += pieces.paint_piece(
                            clip, piece, plan, where / "out.mp4", [stylizer], options, Meter()
                        )
                    clocked(name, start)
                    start = now()
                    pieces.join_pieces(clip, plan, made, Path(folder) / "out.mp4", options)
                    clocked("join", start)
    frames, count = plans["whole"].frames, len(plans["pieces"].pieces)
    found: Metrics = {"frames": frames, "pieces": count}
    for place, kind in enumerate(("", "cpu_")):
        middle = {name: median(entry[place] for entry in spent) for name, spent in times.items()}
        extra = [
            divided[place] - whole[place]
            for divided, whole in zip(times["pieces"], times["whole"], strict=True)
        ]
        found |= {
            f"{kind}plan_ms": round(1e3 * middle["plan"] / frames, 3),
            f"{kind}paint_ms": round(1e3 * middle["whole"] / frames, 2),
            f"{kind}piece_ms": round(1e3 * median(extra) / max(1, count - 1), 1),
            f"{kind}join_ms": round(1e3 * middle["join"], 1),
        }
    # Of an hour of video at 30 frames per second.
    found["core_hours"] = round((found["cpu_paint_ms"] + found["cpu_plan_ms"]) * 30 / 1e3, 2)
    return found


def predicted_s(costs: Metrics, start_s: float, jobs: int) -> float:
    """The throughput model of the module's text, in seconds."""
    frames, pieces = costs["frames"], costs["pieces"]
    work = frames * costs["paint_ms"] + pieces * costs["piece_ms"]
    return start_s + (frames * costs["plan_ms"] + work / jobs + costs["join_ms"]) / 1e3


def _with_ray(clip: Path, costs: Metrics, args: argparse.Namespace) -> Iterator[Row]:
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="impasto-bench-") as folder:
        picture = Path(folder) / "small.png"
        Image.new("RGB", (64, 64), (90, 120, 40)).save(picture)
        for jobs in args.jobs:
            start_s = _batch(picture, Path(folder) / f"start{jobs}", jobs, args)
            seconds = _batch(clip, Path(folder) / f"out{jobs}", jobs, args)
            foretold = predicted_s(costs, start_s, jobs)
            metrics: Metrics = {
                "frames": costs["frames"],
                "pieces": costs["pieces"],
                "start_s": round(start_s, 2),
                "run_s": round(seconds, 2),
                "predicted_s": round(foretold, 2),
                "off_percent": round(100 * (seconds / foretold - 1), 1),
            }
            yield _row(args, clip.stem, f"{jobs}", metrics)


def _batch(path: Path, output: Path, jobs: int, args: argparse.Namespace) -> float:
    """Seconds of the command, from its start to its end."""
    words = ["--input", str(path), "--output", str(output), "--model", args.model]
    words += ["--jobs", str(jobs), "--piece", str(SHOT_FRAMES), "--stabilizer", args.stabilizer]
    command = [
        sys.executable,
        "-m",
        "runtime.batch",
        *words,
        "--device",
        "cpu",
        "--json",
        "--quiet",
    ]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StyleError(f"runtime.batch failed: {last}")
    assert json.loads(done.stdout.strip().splitlines()[-1])["painted"] == 1
    return seconds


def _row(args: argparse.Namespace, size: str, painters: str, metrics: Metrics) -> Row:
    from .measuring import results

    labels = {
        "model": Path(args.model).stem,
        "size": size,
        "stabilizer": args.stabilizer,
        "painters": painters,
    }
    return results.row(labels, metrics, ("model", "size", "painters"))


COSTS = (
    label("model"),
    label("size"),
    label("stabilizer"),
    figure("paint ms/frame", "cpu_paint_ms"),
    figure("plan ms/frame", "cpu_plan_ms"),
    figure("a piece more, ms", "cpu_piece_ms"),
    figure("join ms", "cpu_join_ms"),
    figure("core-hours per hour at 30 fps", "core_hours"),
)
RUNS = (
    label("model"),
    label("size"),
    label("painters"),
    figure("Ray and models start, s", "start_s"),
    figure("foretold s", "predicted_s"),
    figure("took s", "run_s"),
    figure("off %", "off_percent"),
)


def table_of(data: Document) -> str:
    """What the parts of a batch cost, by processor time."""
    return table(COSTS, [row for row in data["rows"] if row["labels"]["painters"] == "alone"])


def runs_of(data: Document) -> str:
    """What the throughput model foretold, and what Ray took."""
    return table(RUNS, [row for row in data["rows"] if row["labels"]["painters"] != "alone"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
