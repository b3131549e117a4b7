"""python -m benchmarks.targets --models build/starry --summary build/starry.json

Every artifact that one `python -m export --target all --json` made of a checkpoint: its size, how
near it is to PyTorch and to the training objective (from the reports), and the milliseconds of a
picture here, by the clock and of the processor. Each runs in a process of its own, in the
environment its engine lives in, and all take turns in rounds, on one thread. What was refused is in
the result, too.
"""

import argparse
import contextlib
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser, parse_size, say
from runtime.errors import DONE, UsageError

from ..measuring.command import (
    add_plan_flags,
    add_result_flags,
    check_result_file,
    deliver,
    read_report,
)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=Path, required=True, metavar="FOLDER", help="what --target all wrote")
    add("--summary", type=Path, required=True, metavar="JSON", help="what it printed with --json")
    add("--size", type=parse_size, default=(640, 480), metavar="WxH", help="default: 640x480")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write what was asked for."""
    from ..measuring import results
    from ..measuring import rounds as measure
    from . import rows as target_rows
    from .process import TargetProcess

    path = check_result_file(args)
    summary = read_report(
        args.summary,
        {"made", "skipped", "failed"},
        "--summary",
        "python -m export --target all --json",
    )
    plan = measure.Plan(args.warm_up, args.iterations, args.duration)
    with contextlib.ExitStack() as stack:
        running: dict[str, TargetProcess] = {}
        stopped: dict[str, str] = {}
        for report in summary["made"]:
            name = report["file"]
            process = TargetProcess(args.models / name, report["target"], args.size)
            stack.callback(process.close)
            if process.error:
                # The process is given whole paths; results hold none of this machine.
                reason = process.error.replace(str(args.models.resolve()), str(args.models))
                stopped[name] = reason
                say(f"{name}: not timed: {reason}", quiet=args.quiet)
            else:
                running[name] = process
        if not running:
            raise UsageError(f"--models: nothing of {args.summary} runs in {args.models}")
        cases = [measure.Case(name, process.call) for name, process in running.items()]
        with Progress(None, "rounds", quiet=args.quiet) as progress:
            rounds = measure.interleave(cases, plan, progress=lambda _: progress.update())
        engines = {name: process.engine for name, process in running.items()}
    size = "{}x{}".format(*args.size)
    rows = target_rows.made(summary["made"], size, rounds, engines, stopped)
    rows += target_rows.refused(summary)
    settings = {
        **{"rounds": len(rounds.order), "converged": rounds.converged, "threads": 1},
        "sha256": target_rows.sources(summary["made"]),
    }
    deliver(args, path, results.document("targets", rows, settings))
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
