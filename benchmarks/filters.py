"""python -m benchmarks.filters --filter pencil.onnx=training.pairs.effects:pencil --photos photos/

How near filters come to the teachers they learned from, on photos that neither saw in training, and
how much faster they are: PSNR and LPIPS-squeezenet to the teacher's pictures, and processor time of
both for one picture, in turns, on one thread where the teacher allows it. The degenerate student,
the photo itself, is judged beside.
"""

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.cli import command_main, command_parser, parse_size, say
from runtime.errors import DONE, UsageError
from runtime.frame import Image
from runtime.model.session import StyleSession, open_session

from .measuring import results
from .measuring.command import (
    add_plan_flags,
    add_result_flags,
    check_result_file,
    deliver,
    positive,
)
from .measuring.rounds import Case, Plan, interleave, timed
from .measuring.statistics import median
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from training.teachers import Teacher

COLUMNS = (
    label("filter", "model"),
    label("teacher"),
    figure("PSNR, dB", "psnr_db"),
    figure("worst", "worst_psnr_db"),
    figure("LPIPS-squeezenet", "lpips_squeezenet"),
    figure("of the photo: PSNR, dB", "photo_psnr_db"),
    figure("LPIPS", "photo_lpips_squeezenet"),
    figure("teacher, ms", "teacher_cpu_p50_ms"),
    figure("filter, ms", "filter_cpu_p50_ms"),
    figure("times faster", "faster"),
)


def table_of(data: Document) -> str:
    """One row a filter."""
    return table(COLUMNS, data["rows"])


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add(
        "--filter",
        action="append",
        required=True,
        metavar="MODEL=TEACHER",
        help="a filter's file and its teacher, as --teacher of training.train has it",
    )
    add("--name", action="append", default=[], help="of each teacher, for the table")
    add("--photos", type=Path, required=True, metavar="DIR", help="photos to evaluate on")
    add("--count", type=positive, default=10, metavar="N", help="photos (default: 10)")
    add("--size", type=parse_size, default=(384, 384), metavar="WxH", help="default: 384x384")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Paint, time, write what was asked for."""
    from export.verify.photos import cover, load_photos
    from training.pairs.likeness import Likeness
    from training.teachers import open_teacher

    path = check_result_file(args)
    photos = [cover(photo, *args.size) for photo in load_photos(args.photos, args.count)]
    likeness, rows = Likeness(), []
    for number, text in enumerate(args.filter):
        model, separator, words = text.partition("=")
        if not separator:
            raise UsageError(f'--filter "{text}" is not MODEL=TEACHER')
        name = args.name[number] if number < len(args.name) else words
        with ExitStack() as stack:
            session = stack.enter_context(open_session(model, threads=1))
            teacher = stack.enter_context(closing(open_teacher([words])))
            metrics = {**nearness(session, teacher, photos, likeness)}
            plan = Plan(args.warm_up, args.iterations, args.duration)
            metrics |= speeds(session, teacher, photos[0], plan)
            labels = {"model": Path(model).stem, "teacher": name, "sha256": session.sha256}
        rows.append(results.row(labels, metrics, ["model", "teacher"]))
        say(f"{Path(model).stem}: {metrics['psnr_db']:.1f} dB", quiet=args.quiet)
    settings = {"photos": len(photos), "size": "{}x{}".format(*args.size)}
    deliver(args, path, results.document("filters", rows, settings))
    return DONE


def nearness(
    session: StyleSession, teacher: "Teacher", photos: list[Image], likeness
) -> dict[str, float]:
    """Mean (and worst) likeness to the teacher's pictures, of the filter's and of the photos."""
    from training.data.images import to_tensor

    found: dict[str, list[float]] = {}
    for photo in photos:
        wanted = to_tensor(teacher(photo))
        session.reset()
        for prefix, made in (("", session.stylize(photo)), ("photo_", photo)):
            for key, value in likeness(to_tensor(made), wanted).items():
                found.setdefault(prefix + key, []).append(value)
    means = {key: float(np.mean(values)) for key, values in found.items()}
    return {**means, "worst_psnr_db": min(found["psnr_db"])}


def speeds(session: StyleSession, teacher: "Teacher", photo: Image, plan: Plan) -> dict[str, float]:
    """Median processor time of both for one picture of a scene that goes on, and their ratio."""
    cases = [
        Case("teacher", timed(lambda: teacher(photo), time.process_time)),
        Case("filter", timed(lambda: session.stylize(photo), time.process_time)),
    ]
    rounds = interleave(cases, plan)
    first, second = (median(rounds.times(case.name)) for case in cases)
    return {
        "teacher_cpu_p50_ms": first,
        "filter_cpu_p50_ms": second,
        "faster": first / second,
    }


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
