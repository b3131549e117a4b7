"""What the folder of an unfinished item says, read back: whoever can write to the store can write
nonsense there, and files that are named there lie in that folder."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TypeVar

from ..clips.pieces import Plan
from ..errors import UsageError
from ..fields import fill
from ..media.journal import MOST_THREADS, Segment, plausible

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an item: pictures painted, and what a user should know."""

    frames: int
    notes: list[str]


def read(kind: type[Record], values: object) -> Record | None:
    """What `values` says of the fields of a dataclass; None if that makes no sense."""
    if not isinstance(values, dict):
        return None
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type] a dataclass
    own = {name: value for name, value in values.items() if name in names}
    try:
        return fill(kind, own, "it", "fact")
    except UsageError:
        return None


def read_plan(values: object) -> Plan | None:
    """A plan whose pieces follow one another; None if it is none."""
    plan = read(Plan, values)
    if plan is None or not plan.pieces or plan.pieces[0].first or plan.frames < 0:
        return None
    if not 0 <= plan.threads <= MOST_THREADS:
        return None
    joined = all(one.until == other.first for one, other in pairwise(plan.pieces))
    return plan if joined and plan.pieces[-1].until is None else None


def read_segments(values: object) -> list[Segment] | None:
    """The segments of a painted piece, each a file of plain name; None if they are none."""
    if not isinstance(values, list):
        return None
    found = [read(Segment, each) for each in values]
    good = [each for each in found if each is not None and plausible(each) and _plain(each.file)]
    return good if len(good) == len(found) else None


def read_tries(values: object) -> list[str]:
    """What went wrong so far."""
    if isinstance(values, list) and all(isinstance(each, str) for each in values):
        return values
    return []


def _plain(name: str) -> bool:
    return name.endswith(".seg") and not {*name} & {*"/\\\0"}
