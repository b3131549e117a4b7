"""python -m training.sample --checkpoint runs/dcgan --output samples/ --count 16

Writes pictures that a generator (--recipe dcgan, stylegan2 or ddpm) makes out of noise, one per
seed, and all of them on one sheet: new style images for `--style` of AdaIN and of the trainer.
--walk 1,5,9 goes from one to the next, --mix 1,2 --with 3,4,5 takes the coarse layers of the first
and the fine ones of the others, --truncation 0.7 stays nearer to what is usual.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import (
    add_provenance_flag,
    command_main,
    command_parser,
    parse_fraction,
    print_text,
    say,
)
from runtime.errors import DONE, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from runtime.provenance import Provenance

    from .samplers import Sampler

MOST = 4096  # pictures of one call
SHEET_COLUMNS = 8


def seeds(text: str) -> list[int]:
    """An argparse type: numbers from 0 on, "3,7,12"."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no list of seeds like 3,7,12') from None
    if min(found) < 0:
        raise argparse.ArgumentTypeError(f"seed {min(found)}: seeds count from 0")
    return found


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, help="checkpoint, or run folder")
    add("--output", type=Path, required=True, help="folder for the pictures")
    add("--count", type=int, default=16, metavar="N", help="pictures (default 16)")
    add("--seed", type=int, default=0, help="of the first; the others follow (default 0)")
    add("--walk", type=seeds, metavar="A,B,...", help="go from seed to seed instead")
    add("--frames", type=int, default=24, metavar="N", help="of each part of --walk (default 24)")
    add("--mix", type=seeds, metavar="A,B,...", help="seeds of the coarse layers instead")
    add("--with", dest="fine", type=seeds, metavar="C,D,...", help="and of the fine ones")
    add("--crossover", type=int, metavar="N", help="coarse layers of --mix (default: half)")
    add(
        "--truncation",
        type=parse_fraction,
        default=1.0,
        metavar="0..1",
        help="distance kept to the mean style; less is more usual, less varied (default 1)",
    )
    add(
        "--evaluations",
        type=int,
        default=50,
        metavar="N",
        help="of a ddpm's network for each picture (default 50)",
    )
    add("--overwrite", action="store_true", help="replace existing pictures")
    add_provenance_flag(parser)
    add("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def check(args: argparse.Namespace) -> None:
    """Raise UsageError for flags that do not go together, before anything is loaded."""
    for name, low, high in (
        ("count", 1, MOST),
        ("frames", 1, MOST),
        ("evaluations", 1, 100_000),
        ("seed", 0, 2**63 - 1 - MOST),
    ):
        value = getattr(args, name)
        if not low <= value <= high:
            raise UsageError(f"--{name} is {value}, allowed is {low} to {high}")
    if args.walk and args.mix:
        raise UsageError("--walk and --mix are two things: call twice")
    if args.walk and len(args.walk) < 2:
        raise UsageError("--walk needs at least two seeds: --walk 1,5")
    if (args.mix is None) != (args.fine is None):
        raise UsageError("--mix and --with belong together: --mix 1,2 --with 3,4,5")
    if args.crossover is not None and not args.mix:
        raise UsageError("--crossover is of --mix")


def plan(args: argparse.Namespace, sampler: "Sampler") -> "tuple[dict[str, Tensor], int]":
    """(file's name -> style, columns of the sheet).

    Raises:
        UsageError: styles of this network cannot be mixed, or not there.
    """
    from .samplers import mix, walk

    if args.walk:
        way = walk(sampler, args.walk, args.frames)
        return {f"walk_{index:04d}": style for index, style in enumerate(way)}, SHEET_COLUMNS
    if not args.mix:
        numbers = range(args.seed, args.seed + args.count)
        return {f"seed_{n:04d}": sampler.style(n) for n in numbers}, SHEET_COLUMNS
    if sampler.layers < 2:
        raise UsageError("--mix: this generator has one layer of styles; stylegan2 has several")
    crossover = sampler.layers // 2 if args.crossover is None else args.crossover
    if not 0 < crossover < sampler.layers:
        raise UsageError(
            f"--crossover is {crossover}, allowed is 1 to {sampler.layers - 1} of this network"
        )
    found = {
        f"mix_{coarse:04d}_{fine:04d}": mix(sampler.style(coarse), sampler.style(fine), crossover)
        for coarse in args.mix
        for fine in args.fine
    }
    return found, len(args.fine)


def statement(checkpoint: Path) -> "Provenance":
    """What the pictures of a checkpoint, or of a run folder, say of themselves."""
    from runtime.checksum import sha256
    from runtime.provenance import GENERATED, provenance_of

    from ..checkpoint import checkpoint_of

    digest = sha256(checkpoint_of(checkpoint))
    return provenance_of([(checkpoint.resolve().name, digest)], GENERATED)


def run(args: argparse.Namespace) -> int:
    """Write the pictures and the sheet; prints the sheet's path."""
    check(args)
    from runtime.outputs import check_output
    from runtime.pictures import writing
    from runtime.pictures.reading import Picture

    from ..data.images import to_bytes
    from ..engine import contact_sheet
    from .samplers import open_sampler, paint_all

    sampler = open_sampler(args.checkpoint, args.truncation, args.evaluations)
    styles, columns = plan(args, sampler)
    paths = [args.output / f"{name}.png" for name in [*styles, "sheet"]]
    for path in paths:
        check_output(path, overwrite=args.overwrite)
    pictures = paint_all(sampler, list(styles.values()))
    rows = [pictures[first : first + columns] for first in range(0, len(pictures), columns)]
    images = [*(to_bytes(picture) for picture in pictures), contact_sheet(rows, gap=2)]
    made = statement(args.checkpoint) if args.provenance else None
    for path, image in zip(paths, map(Picture, images), strict=True):
        stated = image if made is None else writing.with_provenance(image, made)
        writing.write(path, [stated], overwrite=args.overwrite)
    say(f"{len(pictures)} pictures in {args.output}", quiet=args.quiet)
    print_text(paths[-1])
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
