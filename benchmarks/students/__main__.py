"""python -m benchmarks.students --photos photos/ --quality benchmarks/results/quality.json

Every student beside its teacher and its targets: the training objective of the int8 file and of
its fp32 counterpart, L-BFGS equivalents (from the file given, nothing is computed again), texture
glued to the network's grid (EQ, flat periodicity), a frame along the border, how near int8 is to
fp32, and the processor's milliseconds, all models in turns. The teacher of a style is the best
grade among the models given. With --peers johnson.onnx, speed is a ratio, too, which survives a
busy machine. With --latency nothing is timed: times belong to a graph, whatever its weights, and
those of the same graph are taken from that file.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser, parse_size, say
from runtime.errors import DONE, GATE_REFUSED, UsageError
from runtime.model import store

from ..measuring.command import (
    add_plan_flags,
    add_result_flags,
    check_result_file,
    deliver,
    listed,
    positive,
)
from ..measuring.results import Facts, Metrics

MODELS = "starry-quality,starry,starry-fast,scream,scream-fast,composition,wheat"


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), default=MODELS.split(","), metavar="A,B", help="names, files")
    add(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photos to evaluate on (default: scikit-image's)",
    )
    add(
        "--count",
        type=positive,
        default=8,
        metavar="N",
        help="evenly spread (default: 8)",
    )
    add("--quality", type=Path, metavar="JSON", help="from benchmarks.quality, for the equivalents")
    add("--size", type=parse_size, default=(1280, 720), metavar="WxH", help="of the pictures timed")
    add("--latency", type=Path, metavar="JSON", help="from benchmarks.latency, for the times")
    add("--peers", type=listed(str), default=[], metavar="FILE", help="johnson.onnx: the baseline")
    add("--check", action="store_true", help="exit 4 if a target is missed")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write what was asked for."""
    from export.verify.photos import load_photos

    from ..measuring import opening, results
    from ..quality.table import objectives
    from . import rows as student_rows

    path = check_result_file(args)
    quality = None if args.quality is None else results.read(args.quality)
    if args.latency is not None and args.peers:
        raise UsageError("--latency has the times already: give either it or --peers")
    latency = None if args.latency is None else results.read(args.latency)
    photos = load_photos(args.photos, args.count)
    files = [store.resolve(name) for name in args.models]
    with ExitStack() as stack:
        students = [stack.enter_context(student_rows.open_student(file)) for file in files]
        with Progress(len(students) * len(photos), "photos", quiet=args.quiet) as progress:
            found = student_rows.evaluate_all(students, photos, progress.update)
        if latency is None or args.latency is None:
            times, settings, heat = _times(args)
        else:
            times, heat = student_rows.times_from(latency, files, args.size), None
            settings = {"baseline": latency["settings"]["baseline"], "latency": args.latency.name}
        judged = objectives(quality, opening.checksums(args.models))
        rows = student_rows.rows(students, found, times, judged)
    settings |= {"photos": len(photos), "size": "{}x{}".format(*args.size), "threads": 1}
    settings["quality"] = None if args.quality is None else args.quality.name
    deliver(args, path, results.document("students", rows, settings, heat))
    missed = student_rows.missed(rows)
    for sentence in missed:
        say(f"missed: {sentence}", quiet=args.quiet)
    return GATE_REFUSED if args.check and missed else DONE


def _times(args: argparse.Namespace) -> tuple[dict[str, Metrics], Facts, Facts]:
    """Times of the int8 files by their sha256, settings, and the machine calibration."""
    from ..measuring import rounds as measure
    from ..measuring import subjects
    from ..measuring.calibration import Calibration, peaks
    from . import rows as student_rows

    axes = subjects.Axes(
        *(args.models, subjects.find_peers(args.peers), [args.size], [args.size]),
        *(["auto"], ["cpu"], [1], []),
    )
    chosen = subjects.open_subjects(axes, [])
    heat = Calibration(1)
    try:
        with Progress(None, "rounds", quiet=args.quiet) as progress:
            rounds = measure.interleave(
                [subject.case for subject in chosen],
                measure.Plan(args.warm_up, args.iterations, args.duration),
                calibration=heat,
                progress=lambda _: progress.update(),
            )
        times = student_rows.times_of(chosen, rounds)
    finally:
        heat.close()
        subjects.close(chosen)
    block = {
        "peak": {"t1": peaks(rounds.readings)},
        "readings": rounds.readings,
        "marked_rounds": sorted(rounds.marked()),
    }
    peers = [subject.model for subject in chosen if subject.role == "peer"]
    settings = {"rounds": len(rounds.order), "converged": rounds.converged}
    return times, {**settings, "baseline": peers[0] if peers else None}, block


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
