"""python -m benchmarks.scoreboard --published FOLDER --json benchmarks/results/scoreboard.json

What a viewer chooses by, in numbers: how near a model's pictures are to the painting (texture, the
same four times coarser, forms), how much of the photo is left (content, detail), and what betrays a
network: texture that does not move with the picture (EQ) or repeats with its grid. Smaller is
better, but for a network that does nothing. Of models that learned input noise also with as much
as `impasto image` gives them. Pictures that other people's networks made of the same
photos get the same figures: --published FOLDER, with photo_NAME.jpg and PAINTING_NAME.jpg in it, in
place of --photos. Numbers do not replace looking.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from runtime.cli import Progress, command_main, command_parser, parse_fraction
from runtime.errors import DONE
from runtime.input_noise import USUAL

from ..measuring.command import (
    add_keep_flag,
    add_result_flags,
    check_result_file,
    deliver,
    earlier_result,
    listed,
    positive,
)

STARRY = ("starry", "starry-fast", "starry-quality")
MODELS = (
    *STARRY,
    "scream",
    "scream-fast",
    "great_wave",
    "udnie",
    "mondrian",
    "composition",
    "wheat",
    "night_cafe",
    "water_lilies",
    "metzinger_portrait",
)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add(
        "--models",
        type=listed(str),
        default=list(MODELS),
        metavar="A,B",
        help="names, files, checkpoints; many:udnie for one painting of several",
    )
    photos = parser.add_mutually_exclusive_group(required=True)
    photos.add_argument("--photos", type=Path, metavar="FOLDER", help="photos to evaluate on")
    photos.add_argument(
        "--published", type=Path, metavar="FOLDER", help="photos, and what others made of them"
    )
    add(
        "--count",
        type=positive,
        default=10,
        metavar="N",
        help="evenly spread (default: 10)",
    )
    add(
        "--noise",
        type=parse_fraction,
        default=USUAL,
        metavar="0..1",
        help="also with this much input noise, where it was learned; 0: without "
        "(default: %(default)s)",
    )
    add("--weights", type=Path, help="folder of the loss network's weights")
    add_keep_flag(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Paint, measure, print the table, write what was asked for."""
    from training.data.images import load_image, to_bytes

    from ..measuring import results
    from ..quality.__main__ import pick_photos
    from . import rows as scoreboard_rows
    from .rows import PHOTO
    from .yardstick import BACKBONE, STYLE_SIZE

    path, earlier = check_result_file(args), earlier_result(args)
    prefix = PHOTO if args.published else ""
    found = pick_photos(args.published or args.photos, args.count, prefix)
    photos = {photo.stem: to_bytes(load_image(photo)) for photo in found}
    with ExitStack() as stack:
        opened = [
            stack.enter_context(scoreboard_rows.open_contestant(name)) for name in args.models
        ]
        with Progress(len(opened) * len(photos), "pictures", quiet=args.quiet) as progress:
            rows = scoreboard_rows.rows(
                *(opened, photos, args.published, progress.update, args.weights, args.noise)
            )
    settings = {
        "photos": list(photos),
        "backbone": BACKBONE,
        "style_size_px": STYLE_SIZE,
        "published": args.published is not None,
        "noise": args.noise,
    }
    deliver(args, path, results.joined(results.document("scoreboard", rows, settings), earlier))
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
