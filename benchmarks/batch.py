"""python -m benchmarks.batch --model starry --sizes 640x360,1920x1080 --jobs 1,2

What a batch on many machines costs besides painting: finding the shots of a clip, beginning a piece
of it, joining the pieces; and whether a throughput model made of these figures foretells how long
Ray takes with so many painters. Needs the extra `ray`.

    T(W) = start + frames * plan + (frames * paint(W) + pieces * piece(W)) / W + join

`paint` and `piece` are seconds of one of W painters that are at work on this machine, without Ray:
painters share cores, memory and caches. `start` is what a run of W painters on a clip of 64x64
pixels takes. The first size is the one that Ray paints, in pieces of a shot.
"""

import argparse
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE, StyleError

from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.environment import HOME
from .measuring.results import Metrics, Row
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from runtime.clips.pieces import Plan

SHOTS, SHOT_FRAMES = 4, 30
ROUNDS = 3
# Of the clip whose plan is timed: two pieces of the default length.
LONG_FRAMES = 1920


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
            costs = _costs(clip, args) | _plan_costs(clip, args)
            # Of an hour of video at 30 frames per second.
            hour = (costs["cpu_paint_ms"] + costs["cpu_plan_ms"]) * 30 / 1e3
            costs["core_hours"] = round(hour, 2)
            rows.append(_row(args, f"{width}x{height}", "alone", costs))
            progress.update()
            if number == 0:
                for row in _with_ray(clip, args):
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


def _long_clip(clip: Path, output: Path, frames: int) -> None:
    """The packets of a clip again and again, which begin with a whole picture each time."""
    import av

    with av.open(str(clip)) as read, av.open(str(output), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        packets = [packet for packet in read.demux(stream) if packet.size]
        own = [(packet.pts, packet.dts) for packet in packets]
        length = sum(packet.duration or 0 for packet in packets)
        for turn in range(-(-frames // len(packets))):
            for packet, (shown, decoded) in zip(packets, own, strict=True):
                packet.pts, packet.dts = shown + turn * length, decoded + turn * length
                packet.stream = copy
                written.mux(packet)


# Wall and processor seconds, by what took them.
Times = dict[str, list[tuple[float, float]]]
_barrier: "Barrier | None" = None


def _join_barrier(barrier: "Barrier") -> None:
    global _barrier
    _barrier = barrier


def _times(clip: Path, model: str, stabilizer: str, rounds: int) -> Times:
    """What planning, painting whole, painting in pieces and joining took, in turns, so that what
    else the machine does falls on all; together with the other processes of `_together`."""
    from runtime.clips import pieces
    from runtime.clips.options import ClipOptions
    from runtime.meter import Meter
    from runtime.model.options import StylizeOptions, open_stylizer

    options = ClipOptions(stabilizer=stabilizer)
    style = StylizeOptions([(model, 1.0)], device="cpu", threads=1)
    times: Times = {}

    def clocked(name: str, work: Callable[[], object]) -> None:
        if _barrier is not None:
            _barrier.wait()
        wall, processor = time.perf_counter(), time.process_time()
        work()
        spent = (time.perf_counter() - wall, time.process_time() - processor)
        times.setdefault(name, []).append(spent)

    with open_stylizer(style) as stylizer:

        def plan(target: int) -> pieces.Plan:
            return pieces.plan_pieces(clip, options, lambda: stylizer, target=target)

        def paint(plan: pieces.Plan, folder: Path) -> None:
            """As a worker does: closed segments go where others find them."""
            for number, piece in enumerate(plan.pieces):
                where = folder / str(number)
                where.mkdir()
                begun = pieces.Begun(
                    [], where, True, lambda _, file, __, to=where: shutil.copy(file, to)
                )
                output = where / "out.mp4"
                painted = pieces.paint_piece(
                    clip, piece, plan, output, [stylizer], options, Meter(), begun
                )
                made.extend(painted.segments)

        for _ in range(rounds):
            clocked("plan", lambda: plan(SHOT_FRAMES))
            for name, target in (("whole", 10**9), ("pieces", SHOT_FRAMES)):
                planned = plan(target)
                with tempfile.TemporaryDirectory() as folder:
                    made: list[pieces.Closed] = []
                    clocked(name, lambda p=planned, f=folder: paint(p, Path(f)))
                    output = Path(folder) / "out.mp4"
                    clocked(
                        "join",
                        lambda p=planned, m=made, o=output: pieces.join_pieces(
                            clip, p, m, o, options
                        ),
                    )
    return times


def _together(clip: Path, args: argparse.Namespace, jobs: int) -> list[Times]:
    """`_times` of so many processes at once."""
    if jobs == 1:
        return [_times(clip, args.model, args.stabilizer, args.rounds)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(jobs)
    with ProcessPoolExecutor(jobs, context, _join_barrier, (barrier,)) as pool:
        given = (clip, args.model, args.stabilizer, args.rounds)
        return [done.result() for done in [pool.submit(_times, *given) for _ in range(jobs)]]


def _costs(clip: Path, args: argparse.Namespace, jobs: int = 1) -> Metrics:
    """What the parts of a batch take with so many painters at once on this machine."""
    planned = _plan(clip, args, SHOT_FRAMES)
    frames, count = planned.frames, len(planned.pieces)
    each = _together(clip, args, jobs)
    found: Metrics = {"frames": frames, "pieces": count}
    for place, kind in enumerate(("", "cpu_")):
        spent = {
            name: [mean(times[name][turn][place] for times in each) for turn in range(args.rounds)]
            for name in ("plan", "whole", "pieces", "join")
        }
        extra = [
            divided - whole for divided, whole in zip(spent["pieces"], spent["whole"], strict=True)
        ]
        found |= {
            f"{kind}short_plan_ms": round(1e3 * median(spent["plan"]) / frames, 3),
            f"{kind}paint_ms": round(1e3 * median(spent["whole"]) / frames, 2),
            f"{kind}piece_ms": round(1e3 * median(extra) / max(1, count - 1), 1),
            f"{kind}join_ms": round(1e3 * median(spent["join"]), 1),
        }
    return found


def _plan(clip: Path, args: argparse.Namespace, target: int) -> "Plan":
    from runtime.clips.options import ClipOptions
    from runtime.clips.pieces import plan_pieces
    from runtime.model.options import StylizeOptions, open_stylizer

    options = ClipOptions(stabilizer=args.stabilizer)
    style = StylizeOptions([(args.model, 1.0)], device="cpu", threads=1)
    with ExitStack() as closing:
        opened = lambda: closing.enter_context(open_stylizer(style))  # noqa: E731
        return plan_pieces(clip, options, opened, target=target)


def _plan_costs(clip: Path, args: argparse.Namespace) -> Metrics:
    """What finding the pieces of a long clip takes for each frame."""
    from runtime.clips.pieces import PIECE_FRAMES

    frames = 0
    spent: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        _long_clip(clip, long, LONG_FRAMES)
        for _ in range(args.rounds):
            wall, processor = time.perf_counter(), time.process_time()
            frames = _plan(long, args, PIECE_FRAMES).frames
            spent.append((time.perf_counter() - wall, time.process_time() - processor))
    walls, processors = zip(*spent, strict=True)
    return {
        "plan_ms": round(1e3 * median(walls) / frames, 3),
        "cpu_plan_ms": round(1e3 * median(processors) / frames, 3),
    }


def predicted_s(costs: Metrics, start_s: float, jobs: int) -> float:
    """The throughput model of the module's text, in seconds."""
    frames, pieces = costs["frames"], costs["pieces"]
    work = frames * costs["paint_ms"] + pieces * costs["piece_ms"]
    return start_s + (frames * costs["short_plan_ms"] + work / jobs + costs["join_ms"]) / 1e3


def _with_ray(clip: Path, args: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="impasto-bench-") as folder:
        for jobs in args.jobs:
            # All but nothing to paint, by all painters: what remains is their start.
            small = Path(folder) / f"small{jobs}.mp4"
            write_clip(small, 64, 64, jobs)
            costs = _costs(clip, args, jobs)
            start_s = _batch(small, Path(folder) / f"start{jobs}", jobs, args)
            seconds = _batch(clip, Path(folder) / f"out{jobs}", jobs, args)
            foretold = predicted_s(costs, start_s, jobs)
            metrics: Metrics = costs | {
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
    figure("paint ms/frame of each", "paint_ms"),
    figure("a piece more, ms", "piece_ms"),
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
