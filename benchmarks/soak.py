"""python -m benchmarks.soak --models starry --sources synthetic:1280x720 --seconds 600

Live runs as a user starts them (`runtime.webcam --headless`), long enough to show whether memory
grows and latency drifts. Each run is a process of its own, one after the other; every ten seconds
it notes rate, latency and memory, and growth and drift are the slopes of straight lines through
these notes. Needs no PyTorch.
"""

import argparse
import json
import subprocess
import sys
from itertools import product
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser
from runtime.errors import DONE, StyleError, UsageError

from .end_to_end import cpu_seconds
from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.environment import HOME
from .measuring.results import Facts, Metrics, Row
from .report.tables import Column, Document, figure, label, table, text

SECONDS = 600.0
# What a run notes every ten seconds, and what it is called in a row.
NOTES = {
    "fps": "note_fps",
    "latency_p50_ms": "note_latency_p50_ms",
    "latency_p95_ms": "note_latency_p95_ms",
    "rss_mb": "note_memory_mb",
}
STAGES = ("decode", "style", "stabilize", "show")
# Seconds of the beginning that slopes leave out: the controller finds its size, the other files of
# the style are opened and measured, and the allocators fill.
SETTLING_S = 60.0


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), required=True, metavar="A,B", help="files or names")
    add(
        "--sources",
        type=listed(str),
        default=["synthetic"],
        metavar="A,B",
        help="synthetic:WxH, clips (looped), camera:N (default: synthetic)",
    )
    add("--target-fps", metavar="N", help="rate to hold (default: the source's)")
    add("--stabilizer", default="live", choices=("live", "off"))
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, metavar="S", help="of each run (default: 600)")
    length.add_argument("--frames", type=int, metavar="N", help="shown frames of each run instead")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """All runs, one after the other."""
    from .measuring import opening, results

    path = check_result_file(args)
    if any(value is not None and value <= 0 for value in (args.frames, args.seconds)):
        raise UsageError("--frames and --seconds must be above 0")
    places = list(product(args.models, args.sources))
    rows = []
    with Progress(len(places), "runs", quiet=args.quiet) as progress:
        for model, source in places:
            rows.append(_row(model, source, *_once(model, source, args)))
            progress.update()
    settings = {
        "seconds": None if args.frames else args.seconds or SECONDS,
        "frames": args.frames,
        "settling_s": SETTLING_S,
        "sha256": opening.checksums(args.models),
    }
    deliver(args, path, results.document("soak", rows, settings))
    return DONE


def _once(model: str, source: str, args: argparse.Namespace) -> tuple[Facts, float | None]:
    """What `--json` of one run says, and the processor seconds it took (None where unknown)."""
    command = [sys.executable, "-m", "runtime.webcam", "--headless", "--json", "--quiet"]
    command += ["--model", _absolute(model), "--source", _absolute(source)]
    command += ["--stabilizer", args.stabilizer]
    length = ["--frames", str(args.frames)] if args.frames else []
    command += length or ["--seconds", str(args.seconds or SECONDS)]
    if args.target_fps:
        command += ["--target-fps", args.target_fps]
    before = cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME)
    after = cpu_seconds()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StyleError(f"runtime.webcam failed on {source}: {last}")
    spent = None if before is None or after is None else after - before
    return json.loads(done.stdout.strip().splitlines()[-1]), spent


def _absolute(text: str) -> str:
    """The path of a file that is there, from anywhere; names and sources of other kinds as given.
    A style's bare name stays one, so that the run may choose among its files."""
    return str(Path(text).resolve()) if Path(text).is_file() else text


def _row(model: str, source: str, said: Facts, cpu_s: float | None) -> Row:
    from .measuring import results

    width, height = said["working_size"]
    labels = {
        "model": Path(model).stem,
        "source": Path(source).name if Path(source).is_file() else source,
        "size": f"{said['width']}x{said['height']}",
        "stabilizer": said["stabilizer"],
        "working": f"{width}x{height}",
        "file": said["model"],
        "every": said["every"],
        "threads": said["threads"],
        "engine": said["engine"],
        "device": said["device"],
        "held": said["held"],
    }
    notes = said.get("timeline", [])
    metrics: Metrics = {
        "frames_in": said["frames_in"],
        "frames_out": said["frames_out"],
        "dropped": said["dropped"],
        "carried": said["carried"],
        "not_carried": said["not_carried"],
        "target_fps": said["target_fps"],
        "fps": said["fps"],
        "first_frame_ms": round(1e3 * said["first_frame_s"], 1),
        "cpu_ms": None if cpu_s is None else round(1e3 * cpu_s / said["frames_out"], 2),
    }
    metrics |= {f"latency_{key}_ms": said["latency_ms"].get(key) for key in ("p50", "p95", "p99")}
    metrics |= {f"{stage}_p50_ms": said["stages_ms"].get(stage, {}).get("p50") for stage in STAGES}
    metrics |= drift(notes)
    metrics |= {name: [note[key] for note in notes] for key, name in NOTES.items()}
    return results.row(labels, metrics, ("model", "source", "stabilizer"))


def drift(notes: list[dict[str, float]]) -> dict[str, float | None]:
    """What changed from the first note behind `SETTLING_S` to the end of the run.

    Args:
        notes: the `timeline` of a run: "s", "latency_p50_ms", "rss_mb" of each.

    Returns:
        `memory_mb`, `memory_end_mb` (least and last of these notes), `memory_growth_mb_per_min`,
        `latency_drift_ms_per_min` (least squares); None with fewer than three notes.
    """
    import numpy as np

    names = ("memory_mb", "memory_end_mb", "memory_growth_mb_per_min", "latency_drift_ms_per_min")
    settled = [note for note in notes if note["s"] >= SETTLING_S]
    if len(settled) < 3:
        return dict.fromkeys(names)
    minutes = np.array([note["s"] for note in settled]) / 60
    memory = [note["rss_mb"] for note in settled]
    slopes = [
        float(np.polyfit(minutes, [note[key] for note in settled], 1)[0])
        for key in ("rss_mb", "latency_p50_ms")
    ]
    values = (min(memory), memory[-1], round(slopes[0], 3), round(slopes[1], 3))
    return dict(zip(names, values, strict=True))


COLUMNS = (
    label("model"),
    label("source"),
    label("size"),
    Column(
        "painted at px",
        lambda r: text(r, "working") + (", every 2nd" if r["labels"]["every"] > 1 else ""),
        words=True,
    ),
    figure("frames", "frames_out"),
    figure("dropped"),
    figure("fps"),
    figure("wished", "target_fps"),
    figure("latency p50 ms", "latency_p50_ms"),
    figure("p95 ms", "latency_p95_ms"),
    figure("drift ms/min", "latency_drift_ms_per_min"),
    figure("memory MB", "memory_end_mb"),
    figure("growth MB/min", "memory_growth_mb_per_min"),
)


def table_of(data: Document) -> str:
    """Long live runs: rate, latency, and what grew."""
    return table(COLUMNS, data["rows"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
