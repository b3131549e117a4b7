"""python -m benchmarks.latency --models starry --sizes 640x480,1280x720 --threads 1,2

Time a model per frame: the graph alone, what surrounds it, and both together; all combinations
interleaved round by round, so that a busy moment slows all alike and ratios stay true. Each row
also says cold start, memory, multiply-adds and how much of the core's own measured peak is used.
The scene is still; what models do at cuts shows in benchmarks.end_to_end.
Add --peers build/peers to run the networks everyone knows in the same rounds. Needs no PyTorch:
pip install -e '.[benchmarks]'.
"""

import argparse
from typing import TYPE_CHECKING

from runtime import engines, plugins
from runtime.cli import Progress, command_main, command_parser, parse_size, say
from runtime.errors import DONE, UsageError

from .measuring.command import (
    add_plan_flags,
    add_result_flags,
    check_result_file,
    deliver,
    listed,
)
from .measuring.results import Facts, Metrics, Row

if TYPE_CHECKING:
    from .measuring.calibration import Calibration
    from .measuring.rounds import Rounds
    from .measuring.subjects import Subject

# Load to its rate; part of a start to its milliseconds.
Reading = dict[str, float]
ColdStart = dict[str, float | None]
ROW_ID = ("model", "size", "engine", "device", "threads")


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), required=True, metavar="A,B", help="files or names")
    add("--peers", type=listed(str), default=[], metavar="A,B", help="files or folders of others")
    sizes = listed(parse_size)
    add("--sizes", type=sizes, default=[(640, 480), (1280, 720)], metavar="WxH,WxH")
    add("--peer-sizes", type=sizes, metavar="WxH,WxH", help="default: those of --sizes")
    add(
        "--engines",
        type=listed(str),
        default=["auto"],
        metavar="A,B",
        help="auto, or any of these, with a precision hint if it takes one (openvino:bf16): "
        + ", ".join(plugins.names(engines)),
    )
    add("--devices", type=listed(str), default=["cpu"], metavar="cpu,cuda")
    add("--threads", type=listed(int), default=[1], metavar="1,2", help="of the engine, on a CPU")
    add("--precisions", type=listed(str), default=[], metavar="A,B", help="only such models")
    add("--range", default="", metavar="0..1", help="of models without a card, if it must be told")
    add("--baseline", metavar="MODEL", help="whom the others are compared with (default: a peer)")
    add("--fit", action="store_true", help="fit time and memory over pixels, time over threads")
    add_plan_flags(parser)
    add("--cold-starts", type=int, default=3, metavar="N", help="processes per row; 0: none")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure all combinations."""
    from .measuring import results, scaling, subjects
    from .measuring import rounds as measure
    from .measuring.calibration import Calibration

    path = check_result_file(args)
    _check(args)
    skipped: list[str] = []
    axes = subjects.Axes(
        *(args.models, subjects.find_peers(args.peers), args.sizes),
        *(args.peer_sizes or args.sizes, args.engines, args.devices, args.threads),
        *(args.precisions, args.range),
    )
    chosen = subjects.open_subjects(axes, skipped)
    for sentence in dict.fromkeys(skipped):
        say(f"skipped: {sentence}", quiet=args.quiet)
    cold = _cold_starts(chosen, args.cold_starts, args.range)
    plan = measure.Plan(args.warm_up, args.iterations, args.duration)
    wide = {threads: Calibration(threads) for threads in sorted({1, *args.threads})}
    before = {threads: heat() for threads, heat in wide.items()}
    with Progress(None, "rounds", quiet=args.quiet) as progress:
        rounds = measure.interleave(
            [subject.case for subject in chosen],
            plan,
            calibration=wide[1],
            progress=lambda _: progress.update(),
        )
    heat = _heat(rounds, wide, before)
    rows = [_row(s, rounds, heat["peak"], cold.get(s.case.name, {})) for s in chosen]
    baseline = args.baseline or next((s.model for s in chosen if s.role == "peer"), None)
    _speedups(chosen, rows, rounds, baseline)
    if args.fit:
        rows += scaling.fit_rows(rows)
    settings = {
        "rounds": len(rounds.order),
        "converged": rounds.converged,
        "duration_s": args.duration,
        "baseline": baseline,
        "skipped": list(dict.fromkeys(skipped)),
    }
    subjects.close(chosen)
    deliver(args, path, results.document("latency", rows, settings, heat))
    return DONE


def _check(args: argparse.Namespace) -> None:
    from .measuring import subjects

    if min(args.threads) < 1 or args.duration <= 0 or args.iterations < 1 or args.cold_starts < 0:
        raise UsageError(
            "--threads and --iterations must be at least 1, --duration above 0, --cold-starts at "
            "least 0"
        )
    for engine in args.engines:
        subjects.check_engine(engine)


def _cold_starts(chosen: "list[Subject]", count: int, values: str) -> dict[str, ColdStart]:
    """Fresh processes per subject, by its name."""
    from .measuring import cold

    found = {}
    for subject in chosen if count else []:
        width, height = subject.size
        session = subject.session
        # A peer's start is told by one process and one frame: some need seconds for each.
        ours = subject.role == "ours"
        starts = [
            cold.start(
                *(subject.path, width, height),
                engine=subject.labels["engine"],
                device=session.device,
                threads=subject.threads,
                frames=3 if ours else 1,
                values=values,
            )
            for _ in range(count if ours else 1)
        ]
        found[subject.case.name] = cold.metrics(starts)
    return found


def _heat(
    rounds: "Rounds", wide: "dict[int, Calibration]", before: dict[int, dict[str, float]]
) -> Facts:
    """Machine calibration of the result; peaks by thread count: two cores have twice one's."""
    from .measuring.calibration import peaks

    readings = {threads: [before[threads], heat()] for threads, heat in wide.items()}
    readings[1] += rounds.readings
    for heat in wide.values():
        heat.close()
    return {
        "peak": {f"t{threads}": peaks(values) for threads, values in readings.items()},
        "readings": rounds.readings,
        "marked_rounds": sorted(rounds.marked()),
    }


def _row(
    subject: "Subject",
    rounds: "Rounds",
    peaks: dict[str, dict[str, float]],
    cold: dict[str, float | None],
) -> Row:
    """Times, rates and sizes of one subject."""
    from .measuring import onnx_counts, results, statistics, subjects

    name, card = subject.case.name, subject.session.card
    times = {part: rounds.times(name, part) for part in rounds.parts(name)}
    metrics: Metrics = {}
    for part, values in times.items():
        metrics |= statistics.summary(values, part)
    height, width = subject.session.padded_size(subject.size[1], subject.size[0])
    macs = onnx_counts.counter(subject.path, card.to_json()).at(height, width)
    rate = None if macs is None else 2 * macs / metrics["model_p50_ms"] / 1e6
    peak = peaks.get(f"t{subject.threads}", {}).get(
        "conv_gops" if card.precision == "int8" else "gemm_gflops"
    )
    pixels = subject.size[0] * subject.size[1]
    metrics |= {
        "fps": round(1e3 / metrics["total_p50_ms"], 2),
        "pixels": pixels,
        "parameters": onnx_counts.count_parameters(subject.path),
        "file_mib": round(subjects.size_of(subject.path) / 2**20, 3),
        "gmacs": None if macs is None else round(macs / 1e9, 4),
        "kmacs_per_pixel": None if macs is None else round(macs / pixels / 1e3, 3),
        "rate_gops": None if rate is None else round(rate, 1),
        "peak_share_percent": round(100 * rate / peak, 1) if rate and peak else None,
        **cold,
        "samples": len(times["total"]),
        "total_times_ms": [round(value, 3) for value in times["total"]],
        "model_times_ms": [round(value, 3) for value in times["model"]],
    }
    return results.row(subject.labels, metrics, ROW_ID)


def _speedups(
    chosen: "list[Subject]", rows: list[Row], rounds: "Rounds", baseline: str | None
) -> None:
    """Add `speedup`, with its interval, against the baseline at the same size, device and threads.

    Both complete, pictures in and out, paired round by round. On one thread `speedup_cpu` compares
    processor times as well: that clock stands still while another process has the core, so the
    figure survives a busy machine (more threads spin while they wait, which counts as work).
    """
    from .measuring.statistics import paired_ratio

    def place(subject: "Subject") -> tuple[object, ...]:
        return subject.size, subject.session.device, subject.threads

    theirs = {place(s): s.case.name for s in chosen if s.model == baseline}
    for subject, row in zip(chosen, rows, strict=True):
        if place(subject) not in theirs:
            continue
        pair = subject.case.name, theirs[place(subject)]
        parts = {"total": "speedup"} | ({"cpu": "speedup_cpu"} if subject.threads == 1 else {})
        for part, key in parts.items():
            ratio = paired_ratio(*(rounds.by_round(name, part) for name in pair))
            row["metrics"] |= {
                key + end: None if value is None else round(value, 3)
                for end, value in zip(("", "_low", "_high"), ratio, strict=True)
            }


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
