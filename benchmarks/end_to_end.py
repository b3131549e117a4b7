"""python -m benchmarks.end_to_end --models starry --sizes 1280x720 --cores 1,2

Frames per second of the whole path on a clip: decode, style, stabilize, encode, as the command
`runtime.video` does it, pinned to one core, two cores, ... Combinations take turns, round by round.
The clips are the runtime's synthetic picture as H.264, made anew at each size, and each --input.
A stage has a median, a mean and a 95th percentile of wall time, and the mean processor time of its
own thread; what follows the first two seconds is told apart (`settled`). With --against, the code
of another checkout (`git worktree add ../old COMMIT`) takes turns with it. Needs no PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE, StyleError, UsageError

from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.environment import HOME, commit_of
from .measuring.results import Facts, Metrics, Row
from .report.tables import Document, figure, label, table

STAGES = ("decode", "style", "stabilize", "encode")
# What a run writes to, and with which flags: a file as the command makes it, one with the fastest
# encoder, or nothing (frames are dropped after the last stage, as in a preview without display).
OUTPUTS: dict[str, tuple[str, list[str]]] = {
    "encode": ("out.mp4", []),
    "fast-encode": ("out.mp4", ["--preset", "ultrafast"]),
    "none": ("null", []),
}
# What is kept of every stage's times, as `runtime.meter` names them.
FIGURES = ("p50", "p95", "mean", "cpu_mean", "settled_mean", "settled_cpu_mean")
RATE = 30


@dataclass(slots=True)
class Combination:
    """One row: a model on a clip with a stabilizer, an output and so many cores."""

    path: Path
    size: str
    clip: Path
    name: str
    stabilizer: str
    output: str
    cores: int
    target_fps: float | None
    runs: list[Facts] = field(default_factory=list)
    # Those of the other checkout, round by round.
    against: list[Facts] = field(default_factory=list)


def parse_target(text: str) -> tuple[str, str, int, float]:
    """Read "starry@1280x720/2=45" as (model, size, cores, frames per second)."""
    try:
        rest, rate = text.rsplit("=", 1)
        rest, cores = rest.rsplit("/", 1)
        model, size = rest.rsplit("@", 1)
        width, height = parse_size(size)
        return model, f"{width}x{height}", int(cores), float(rate)
    except (ValueError, argparse.ArgumentTypeError):
        raise ValueError(f'target "{text}" is not MODEL@WIDTHxHEIGHT/CORES=FPS') from None


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), required=True, metavar="A,B", help="files or names")
    add("--sizes", type=listed(parse_size), metavar="WxH,WxH", help="of made clips (1280x720)")
    add("--input", action="append", default=[], metavar="CLIP", help="at its own size; repeatable")
    add("--frames", type=int, default=150, metavar="N", help="length of the made clip")
    add("--stabilizers", type=listed(str), default=["live"], metavar="A,B", help="off, live, best")
    add("--outputs", type=listed(str), default=["encode"], metavar="A,B", help=", ".join(OUTPUTS))
    add("--cores", type=listed(int), default=[1, 2], metavar="1,2", help="cores it is pinned to")
    add("--engine", default="auto", metavar="NAME")
    add("--device", default="auto", metavar="NAME")
    add("--rounds", type=int, default=3, metavar="N", help="runs per combination")
    add("--against", type=Path, metavar="FOLDER", help="a checkout to compare with, in turns")
    add(
        "--targets",
        "--aims",
        type=listed(parse_target),
        default=[],
        metavar="MODEL@WxH/CORES=FPS,...",
    )
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run all combinations in turns."""
    from .measuring import opening, results, rounds
    from .measuring.calibration import Calibration, peaks

    path = check_result_file(args)
    _check(args)
    heat = Calibration()
    readings = [heat()]
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        chosen = _combinations(args, Path(folder))
        total = args.rounds * len(chosen) * (1 if args.against is None else 2)
        with Progress(total, "runs", quiet=args.quiet) as progress:
            for _ in range(args.rounds):
                for combination in chosen:
                    combination.runs.append(_once(combination, args, Path(folder), HOME))
                    progress.update()
                    if args.against is not None:
                        other = _once(combination, args, Path(folder), args.against)
                        combination.against.append(other)
                        progress.update()
                readings.append(heat())
    heat.close()
    kept = rounds.clean_rounds(readings, args.rounds)
    for combination in chosen:
        combination.runs = [combination.runs[number] for number in kept]
        if combination.against:
            combination.against = [combination.against[number] for number in kept]
    rows = [_row(combination) for combination in chosen]
    settings = {
        "frames": rows[0]["metrics"]["frames"],
        "rounds": args.rounds,
        "clip": ", ".join(dict.fromkeys(row["labels"]["clip"] for row in rows)),
        "sha256": opening.checksums(args.models),
    }
    if args.against is not None:
        settings["against"] = commit_of(args.against)
    block = {
        "peak": {"t1": peaks(readings)},
        "readings": readings,
        "marked_rounds": sorted(rounds.marked_rounds(readings, args.rounds)),
    }
    deliver(args, path, results.document("end_to_end", rows, settings, block))
    return DONE


def _check(args: argparse.Namespace) -> None:
    from runtime import plugins, stabilizers

    if args.against is not None and not (args.against / "runtime").is_dir():
        raise UsageError(f"--against {args.against}: no checkout (it has no runtime/)")
    for name in args.outputs:
        if name not in OUTPUTS:
            raise UsageError(f'output "{name}" is unknown, allowed are {", ".join(OUTPUTS)}')
    for name in args.stabilizers:
        if name not in plugins.names(stabilizers):
            known = ", ".join(plugins.names(stabilizers))
            raise UsageError(f'no stabilizer "{name}", allowed are {known}')
    if args.frames < 2 or args.rounds < 1 or min(args.cores) < 1:
        raise UsageError("--frames must be at least 2, --rounds and --cores at least 1")
    allowed = len(usable_cores())
    if max(args.cores) > allowed:
        raise UsageError(f"--cores {max(args.cores)}: this process may use {allowed}")


def usable_cores() -> list[int]:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _combinations(args: argparse.Namespace, folder: Path) -> list[Combination]:
    from runtime.model import store
    from runtime.sources import open_source

    clips: list[tuple[str, str, Path]] = []
    for path in args.input:
        with open_source(path) as source:
            size = f"{source.info.width}x{source.info.height}"
        clips.append((Path(path).name, size, Path(path)))
    sizes = args.sizes if args.sizes is not None or clips else [(1280, 720)]
    for w, h in sizes or ():
        clips.append(("synthetic", f"{w}x{h}", make_clip((w, h), args.frames, folder)))
    targets = {(model, size, cores): rate for model, size, cores, rate in args.targets}
    found = []
    for name, (clip, size, file) in product(args.models, clips):
        path = store.resolve(name)
        for stabilizer, output, cores in product(args.stabilizers, args.outputs, args.cores):
            # A target is for the complete path: stabilized and encoded.
            complete = output != "none" and stabilizer != "off"
            target = targets.get((path.stem, size, cores)) if complete else None
            found.append(Combination(path, size, file, clip, stabilizer, output, cores, target))
    return found


def make_clip(size: tuple[int, int], num_frames: int, folder: Path) -> Path:
    """The synthetic picture as H.264 (veryfast, crf 23), 30 frames per second."""
    from .frame_costs import Encoder
    from .measuring.subjects import frames

    pictures = frames(size, num_frames)
    encoder = Encoder(pictures, "veryfast")
    for _ in pictures:
        encoder()
    path = folder / f"clip-{size[0]}x{size[1]}.mp4"
    path.write_bytes(encoder.finish().getvalue())
    return path


def _once(combination: Combination, args: argparse.Namespace, folder: Path, home: Path) -> Facts:
    """One run of `runtime.video` in a process of its own, pinned, by the code of a checkout; what
    its --json says."""
    output, flags = OUTPUTS[combination.output]
    target = output if output == "null" else str(folder / output)
    command = [sys.executable, "-m", "runtime.video", "--model", str(combination.path.resolve())]
    command += ["--input", str(combination.clip.resolve()), "--output", target]
    command += ["--stabilizer", combination.stabilizer, "--engine", args.engine]
    command += ["--device", args.device, "--json", "--quiet", "--overwrite", *flags]
    before, start = cpu_seconds(), time.perf_counter()
    with pinned(combination.cores):
        done = subprocess.run(command, capture_output=True, text=True, cwd=home)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StyleError(f"runtime.video failed on {combination.path.name}: {last}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    after = cpu_seconds()
    said["cpu_s"] = None if before is None or after is None else after - before
    said["process_s"] = time.perf_counter() - start
    said["bytes"] = (folder / output).stat().st_size if output != "null" else None
    return said


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Keep this thread, and the processes it starts, on its first `cores` cores.

    Where the system knows no such thing (macOS, Windows) nothing is pinned, so the caller must not
    claim it: `_row` says "all".
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, usable_cores()[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds() -> float | None:
    """Processor time of all finished child processes."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(combination: Combination) -> Row:
    from .measuring import results
    from .measuring.statistics import median

    runs = combination.runs
    labels = {
        "model": combination.path.stem,
        "sha256": runs[0]["model_sha256"],
        "clip": combination.name,
        "size": combination.size,
        "stabilizer": combination.stabilizer,
        "output": combination.output,
        "cores": combination.cores if hasattr(os, "sched_setaffinity") else "all",
        "engine": runs[0]["engine"],
        "device": runs[0]["device"],
    }
    rates = [run["fps"] for run in runs]
    metrics: Metrics = {"fps": round(median(rates), 2), "fps_low": round(min(rates), 2)}
    metrics["aim_fps"] = combination.target_fps
    for stage, key in product(STAGES, FIGURES):
        values = [run["stages_ms"].get(stage, {}).get(key) for run in runs]
        known = [value for value in values if value is not None]
        metrics[f"{stage}_{key}_ms"] = round(median(known), 3) if known else None
    settled = [_settled_rate(run["stages_ms"]["encode"]) for run in runs]
    known = [rate for rate in settled if rate is not None]
    metrics["settled_fps"] = round(median(known), 2) if known else None
    # The processor time includes starting the process: half a second over the whole clip.
    spent = [run["cpu_s"] / run["frames_out"] for run in runs if run["cpu_s"] is not None]
    metrics |= {
        "cpu_ms": round(1e3 * median(spent), 2) if spent else None,
        "busy_pct": _busy(runs, combination.cores),
        "kib_per_frame": _size(runs),
        "frame_p50_ms": round(1e3 / median(rates), 3),
        "frame_times_ms": [round(1e3 / rate, 3) for rate in rates],
        "frames": runs[0]["frames_out"],
        "samples": len(runs),
    }
    if combination.against:
        metrics |= _compared(runs, combination.against)
    return results.row(labels, metrics, ("model", "clip", "size", "stabilizer", "output", "cores"))


def _compared(runs: list[Facts], against: list[Facts]) -> Metrics:
    """Medians of the rounds' own ratios: a busy moment slows both sides of one."""
    from .measuring.statistics import median

    pairs = list(zip(runs, against, strict=True))
    spent = [(a["cpu_s"], b["cpu_s"]) for a, b in pairs if a["cpu_s"] and b["cpu_s"]]
    walls = [a["seconds"] / b["seconds"] for a, b in pairs]
    return {
        "x_against_wall": round(median(walls), 3),
        "x_against_wall_times": [round(ratio, 3) for ratio in walls],
        "x_against_cpu": round(median([a / b for a, b in spent]), 3) if spent else None,
        "against_cpu_ms": round(1e3 * median([b / runs[0]["frames_out"] for _, b in spent]), 2)
        if spent
        else None,
    }


def _settled_rate(written: dict[str, float]) -> float | None:
    """Frames per second after the first two seconds; None for shorter runs."""
    seconds = written.get("settled_s", 0.0)
    return written["settled_count"] / seconds if seconds > 0 else None


def _busy(runs: list[Facts], cores: int) -> float | None:
    """Share of the cores' time that was used, in percent, from the first run's start to its end."""
    from .measuring.statistics import median

    shares = [run["cpu_s"] / run["process_s"] for run in runs if run["cpu_s"] is not None]
    return round(100 * median(shares) / cores, 1) if shares else None


def _size(runs: list[Facts]) -> float | None:
    """Of the output, in KiB per frame."""
    size = runs[0]["bytes"]
    return None if size is None else round(size / 1024 / runs[0]["frames_out"], 1)


COLUMNS = (
    *(label(name) for name in ("model", "clip", "size", "stabilizer", "output", "cores")),
    *(
        figure(f"{stage}{key}", f"{stage}_{name}_ms")
        for stage in STAGES
        for key, name in ((" ms", "p50"), (" mean", "mean"))
    ),
    figure("cpu ms a frame", "cpu_ms"),
    figure("busy %", "busy_pct"),
    figure("KiB a frame", "kib_per_frame"),
    figure("fps"),
    figure("after 2 s", "settled_fps"),
    figure("lowest", "fps_low"),
)


AGAINST = (
    figure("x before, wall", "x_against_wall"),
    figure("processor time", "x_against_cpu"),
)


def table_of(data: Document) -> str:
    """Whole clips: stages and frames per second."""
    against = AGAINST if any("x_against_wall" in row["metrics"] for row in data["rows"]) else ()
    return table((*COLUMNS, *against), data["rows"])


COSTS = (
    *(label(name) for name in ("model", "clip", "size", "stabilizer")),
    figure("processor ms a frame", "cpu_ms"),
    figure("KiB a frame", "kib_per_frame"),
)


def costs_of(data: Document) -> str:
    """What does not depend on who else was working on the machine."""
    return table(COSTS, data["rows"])


COMPARED = (
    *(label(name) for name in ("model", "clip", "size", "stabilizer", "cores")),
    figure("processor ms a frame", "cpu_ms"),
    figure("before", "against_cpu_ms"),
    figure("x before", "x_against_cpu"),
    figure("wall, x before", "x_against_wall"),
    figure("lowest", "x_against_wall_low"),
    figure("highest", "x_against_wall_high"),
)


def compared_of(data: Document) -> str:
    """Against another checkout, round by round."""
    rows = list[Row]()
    for row in data["rows"]:
        ratios = row["metrics"]["x_against_wall_times"]
        ends = {"x_against_wall_low": min(ratios), "x_against_wall_high": max(ratios)}
        rows.append({**row, "metrics": {**row["metrics"], **ends}})
    return table(COMPARED, rows)


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
