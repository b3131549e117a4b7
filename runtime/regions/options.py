"""Which part of a picture a style paints, and what paints the other: plain values, and their flags.

--only person                           people in the style, the background as it was
--style-person A --style-background B   each in a style of its own
"""

import argparse
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..model.options import StylizeOptions
from . import Region


@dataclass(frozen=True, slots=True)
class Regions:
    """What is painted where.

    Attributes:
        region: where the style goes.
        beside: what paints the rest; None leaves it as the camera saw it.
    """

    region: Region = "all"
    beside: StylizeOptions | None = None


def add_region_flags(parser: argparse.ArgumentParser) -> None:
    """--only, --style-person and --style-background."""
    group = parser.add_argument_group("people and background")
    group.add_argument("--only", choices=("person", "background"), help="style that part alone")
    for part in ("person", "background"):
        group.add_argument(
            f"--style-{part}", metavar="FILE", help="model for that part, in place of --model"
        )


def take_models(args: argparse.Namespace) -> tuple[Region, str]:
    """Put the models of --style-person and --style-background where --model's stand, the one that
    is painted first in front.

    Returns:
        where the first model paints, and the model that paints the rest, "" for none.

    Raises:
        UsageError: --only beside them.
    """
    person, background = args.style_person, args.style_background
    if not person and not background:
        return args.only or "all", ""
    if args.only:
        raise UsageError("--only says where --model paints; --style-person says it, too: drop one")
    args.model = [person or background, *(args.model or ())]
    return ("person" if person else "background"), (background if person else "") or ""


def regions_of(region: Region, beside: str, style: StylizeOptions) -> Regions:
    """The regions that `take_models` found, with all other options of the first model."""
    other = replace(style, models=[(beside, 1.0)]) if beside else None
    return Regions(region, other)
