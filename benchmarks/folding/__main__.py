"""python -m benchmarks.folding --model starry-int8 --float starry --style painting.jpg

What per-scene normalization folding costs and keeps: an int8 file against the float network with
live instance normalization, on the scene it was folded for, while the camera pans by a quarter of
the width, across a cut, and on a still scene with sensor noise; milliseconds per fold and per
measurement. The style ratio needs --style, torch and the loss network.
"""

import argparse
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser, parse_size, say
from runtime.errors import DONE, GATE_REFUSED, UsageError

from ..measuring.command import add_plan_flags, add_result_flags, check_result_file, deliver, listed
from ..measuring.results import Row

# What a folded scene is held to (the project's target): least PSNR, largest style relative to
# floats.
LEAST_PSNR, LARGEST_STYLE = 32.0, 1.05


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="int8 file, folded for scenes")
    add("--float", required=True, metavar="FILE", help="fp32 file of the same network")
    add("--style", metavar="PICTURE", help="the painting, for the style ratio")
    add("--weights", type=Path, metavar="FOLDER", help="loss network (default: $IMPASTO_WEIGHTS)")
    add("--photos", type=listed(str), metavar="A,B", help="bundled photographs or picture files")
    add("--size", type=parse_size, default=(640, 480), metavar="WxH", help="default: 640x480")
    sizes = listed(parse_size)
    add("--cost-sizes", type=sizes, default=[(640, 480), (1280, 720)], metavar="WxH,WxH")
    add("--threads", type=int, default=1, metavar="N", help="of the engine (default: 1)")
    add("--check", action="store_true", help="exit 4 if a folded still misses its targets")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write what was asked for."""
    from ..measuring import results, rounds
    from ..temporal import synthetic_clips
    from . import rows as folding_rows

    path = check_result_file(args)
    photos = args.photos or list(synthetic_clips.BUNDLED)
    if not photos or min(args.size) < 16 or args.threads < 1:
        raise UsageError("--photos must name a photo, --size be 16x16 or more, --threads 1 or more")
    size = args.size[::-1]
    subject = folding_rows.Subject.open(
        args.model, args.float, args.style, args.weights, args.threads
    )
    note = "measured" if subject.style_loss else f"not measured: {subject.style_note}"
    say(f"{subject.name}: style {note}", quiet=args.quiet)
    plan = rounds.Plan(args.warm_up, args.iterations, args.duration)
    rows: list[Row] = []
    flickers: list[Row] = []
    costs: list[Row] = []
    try:
        with Progress(2 * len(photos) + len(args.cost_sizes), "runs", quiet=args.quiet) as progress:
            for number, photo in enumerate(photos):
                other = photos[(number + 1) % len(photos)]
                rows += folding_rows.measure_photo(subject, photo, other, size)
                progress.update()
                flickers.append(folding_rows.measure_flicker(subject, photo, size))
                progress.update()
            for cost_size in args.cost_sizes:
                costs.append(folding_rows.measure_costs(subject, photos[0], cost_size[::-1], plan))
                progress.update()
        settings = {
            "model": Path(args.model).name,
            "float": Path(args.float).name,
            "sha256": {
                "model": subject.live.sha256,
                "float": subject.exact.sha256,
            },
            "photos": [Path(photo).stem for photo in photos],
            "style": note,
        }
    finally:
        subject.close()
    means = folding_rows.mean_rows([*rows, *flickers])
    data = results.document("folding", [*means, *rows, *flickers, *costs], settings)
    deliver(args, path, data)
    return GATE_REFUSED if args.check and not _good(means) else DONE


def _good(means: list[Row]) -> bool:
    """Whether stills meet their targets; a style that was not measured cannot fail."""
    still = next(row["metrics"] for row in means if row["labels"]["what"] == "still")
    style = still["style_ratio"]
    return still["worst_psnr_db"] >= LEAST_PSNR and (style is None or style <= LARGEST_STYLE)


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
