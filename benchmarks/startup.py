"""python -m benchmarks.startup --models starry --sizes 1280x720

Time from asking the system for a process to its first styled frame, in fresh processes: Python,
imports, opening the model, the frame; the same for a live run up to its first shown frame; and,
beside them, importing numpy, OpenCV and ONNX Runtime alone. The disk cache is warm. Models and
sizes take turns; with --against, those of another checkout (`git worktree add ../old COMMIT`), too.
Needs no PyTorch.
"""

import argparse
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE, UsageError

from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.environment import HOME, commit_of
from .measuring.results import Metrics, Row
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from .measuring import cold

# The target for this class of core (AVX-512 VNNI, about 4 GHz): research goal 7.
TARGET_MS = 150.0


# Model, (width, height), engine.
Place = tuple[str, tuple[int, int], str]


@dataclass(slots=True)
class Times:
    """Of one place: starts, and milliseconds of live starts, round by round."""

    starts: "list[cold.Start]" = field(default_factory=list)
    lives: list[float] = field(default_factory=list)

    def take(self, model: Path, place: Place, threads: int, home: Path) -> None:
        """One round more, by the code of a checkout."""
        from .measuring import cold

        _, size, engine = place
        self.starts.append(cold.start(model, *size, engine=engine, threads=threads, home=home))
        self.lives.append(cold.live_start_ms(model, *size, engine=engine, home=home))

    def of(self, rounds: list[int]) -> "Times":
        """Those of some rounds."""
        return Times([self.starts[i] for i in rounds], [self.lives[i] for i in rounds])

    @property
    def totals(self) -> list[float]:
        """Milliseconds of the starts."""
        return [start.total_ms for start in self.starts]


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), required=True, metavar="A,B", help="files or names")
    add("--sizes", type=listed(parse_size), default=[(1280, 720)], metavar="WxH,WxH")
    add("--engines", type=listed(str), default=["onnxruntime"], metavar="A,B")
    add("--threads", type=int, default=0, metavar="N", help="of the engine; 0: its own choice")
    add("--starts", type=int, default=11, metavar="N", help="processes per row")
    add("--against", type=Path, metavar="FOLDER", help="a checkout to compare with, in turns")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Start processes in turns and take medians."""
    from runtime.model import store

    from .measuring import cold, opening, results, rounds
    from .measuring.calibration import Calibration, peaks

    path = check_result_file(args)
    if args.starts < 1 or args.threads < 0:
        raise UsageError("--starts must be at least 1 and --threads at least 0")
    if args.against is not None and not (args.against / "runtime").is_dir():
        raise UsageError(f"--against {args.against}: no checkout (it has no runtime/)")
    paths = {name: store.resolve(name) for name in args.models}
    places = list(product(paths, args.sizes, args.engines))
    homes = [HOME] if args.against is None else [HOME, args.against]
    taken = {(place, home): Times() for place in places for home in homes}
    alone: list[float] = []
    heat = Calibration()
    readings = [heat()]
    for place, home in taken:  # the first one only fills the caches
        Times().take(paths[place[0]], place, args.threads, home)
    with Progress(args.starts, "rounds", quiet=args.quiet) as progress:
        for _ in range(args.starts):
            alone.append(cold.imports_alone_ms())
            for (place, home), times in taken.items():
                times.take(paths[place[0]], place, args.threads, home)
            readings.append(heat())
            progress.update()
    heat.close()
    kept = rounds.clean_rounds(readings, args.starts)
    rows = [
        _row(
            paths[place[0]].stem,
            place,
            taken[place, HOME].of(kept),
            [alone[i] for i in kept],
            args.threads,
            None if args.against is None else taken[place, args.against].of(kept),
        )
        for place in places
    ]
    block = {
        "peak": {"t1": peaks(readings)},
        "readings": readings,
        "marked_rounds": sorted(rounds.marked_rounds(readings, args.starts)),
    }
    settings = {"starts": args.starts, "sha256": opening.checksums(paths.values())}
    if args.against is not None:
        settings["against"] = commit_of(args.against)
    deliver(args, path, results.document("startup", rows, settings, block))
    return DONE


def _row(
    model: str,
    place: Place,
    times: Times,
    alone: list[float],
    threads: int,
    against: Times | None,
) -> Row:
    from .measuring import cold, results, statistics

    _, (width, height), engine = place
    labels = {
        **{"model": model, "size": f"{width}x{height}", "engine": engine, "device": "cpu"},
        "threads": threads or None,
    }
    totals, lives = times.totals, times.lives
    metrics: Metrics = {
        **cold.metrics(times.starts),
        **statistics.summary(totals, "total"),
        "total_times_ms": [round(value, 1) for value in totals],
        "imports_alone_ms": round(statistics.median(alone), 1),
        "session_x_imports": _ratio(totals, alone),
        "live_ms": round(statistics.median(lives), 1),
        "live_x_imports": _ratio(lives, alone),
        "samples": len(totals),
        "aim_ms": TARGET_MS,
    }
    if against is not None:
        metrics |= {
            "against_ms": round(statistics.median(against.totals), 1),
            "x_against": _ratio(totals, against.totals),
            "against_live_ms": round(statistics.median(against.lives), 1),
            "live_x_against": _ratio(lives, against.lives),
        }
    return results.row(labels, metrics)


def _ratio(times: list[float], alone: list[float]) -> float:
    """Median of the rounds' own ratios: a busy moment slows both sides of one."""
    from .measuring import statistics

    return round(statistics.median([a / b for a, b in zip(times, alone, strict=True)]), 2)


COLUMNS = (
    label("model"),
    label("size"),
    figure("python ms", "cold_python_ms"),
    figure("imports ms", "cold_imports_ms"),
    figure("open ms", "cold_open_ms"),
    figure("first frame ms", "cold_frame_ms"),
    figure("all ms", "cold_start_ms"),
)
LIVE_COLUMNS = (
    figure("x imports alone", "session_x_imports"),
    figure("live ms", "live_ms"),
    figure("x imports alone", "live_x_imports"),
)
AGAINST_COLUMNS = (
    figure("before ms", "against_ms"),
    figure("x before", "x_against"),
    figure("live before ms", "against_live_ms"),
    figure("live x before", "live_x_against"),
)
TARGET_COLUMNS = (
    label("model"),
    label("size"),
    figure("first frame ms", "cold_start_ms"),
    figure("live ms", "live_ms"),
    figure("target ms", "aim_ms"),
)


def table_of(data: Document) -> str:
    """From process start to the first styled frame."""
    rows = data["rows"]
    live = LIVE_COLUMNS if any("live_ms" in row["metrics"] for row in rows) else ()
    against = AGAINST_COLUMNS if any("against_ms" in row["metrics"] for row in rows) else ()
    return table((*COLUMNS, *live, *against, figure("memory MiB", "peak_memory_mib")), rows)


def targets_of(data: Document) -> str:
    """Start-up times beside what they should be."""
    return table(TARGET_COLUMNS, data["rows"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
