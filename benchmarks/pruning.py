"""python -m benchmarks.pruning build/pruned/sweep.json --json pruning_starry.json

What `python -m export.prune --sweep` found, as a result file: with the machine (run it there), and
for the tables and plots of benchmarks.report. Measures nothing.
"""

import argparse
from pathlib import Path

from runtime.cli import command_main, command_parser
from runtime.errors import DONE

from .measuring.command import add_result_flags, check_result_file, deliver, read_report
from .measuring.results import Facts, Row
from .report.tables import Column, Document, figure, interval, label, table

# Of a sweep's report, kept as they are; and of each point, as numbers.
SETTINGS = ("checkpoint", "size", "rounds", "threads", "clock", "steps", "most_ratio", "verdict")
FIGURES = ("width", "blocks", "faster", "faster_low", "faster_high", "objective")


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    parser.add_argument("sweep", type=Path, metavar="JSON", help="sweep.json of export.prune")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert, print the table, write what was asked for."""
    from .measuring import results

    path = check_result_file(args)
    report = read_report(
        args.sweep,
        {"points", "pareto", "worth", "verdict"},
        "sweep",
        "python -m export.prune --sweep",
    )
    settings = {key: report.get(key) for key in SETTINGS}
    deliver(args, path, results.document("pruning", rows(report), settings))
    return DONE


def rows(report: Facts) -> list[Row]:
    """One row per size of the network; `on_front` and `worth` are 1 or 0."""
    from .measuring import results

    shared = {key: report[key] for key in ("target", "precision", "size", "device")}
    return [
        results.row(
            {"model": point["label"], **shared},
            {
                "total_p50_ms": point["ms"],
                **{key: point[key] for key in FIGURES},
                "objective_ratio": point["ratio"],
                "size_mb": point["bytes"] / 1e6,
                "on_front": int(point["label"] in report["pareto"]),
                "worth": int(point["label"] in report["worth"]),
            },
            ("model",),
        )
        for point in report["points"]
    ]


COLUMNS = (
    label("network", "model"),
    figure("ms", "total_p50_ms"),
    figure("x faster", "faster"),
    interval("95 % interval", "faster"),
    figure("objective, x the source's", "objective_ratio"),
    figure("MB", "size_mb"),
    Column("on the front", lambda row: "yes" if row["metrics"]["on_front"] else "no"),
    Column("worth it", lambda row: "yes" if row["metrics"]["worth"] else "no"),
)


def table_of(data: Document) -> str:
    """Every size of a network: time and objective; then where pruning stops paying."""
    words = str(data["settings"]["verdict"])
    return f"{table(COLUMNS, data['rows'])}\n\n{words[:1].upper()}{words[1:]}."


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
