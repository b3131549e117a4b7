"""What the commands of this package share: flags, and where a result goes."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from runtime.cli import print_json, print_text, say
from runtime.errors import UsageError
from runtime.outputs import check_output

from .results import Document, Facts

Item = TypeVar("Item")


def positive(text: str) -> int:
    """An argparse type for a number of things of which there is at least one."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least 1')
    return int(text)


def check_once(flag: str, names: Sequence[str]) -> None:
    """Raise UsageError for a name that is given twice: rows go by it."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f'{flag} names "{twice}" twice; rows go by name, give it once')


def listed(kind: Callable[[str], Item]) -> Callable[[str], list[Item]]:
    """An argparse type for "a,b,c"; nothing twice, as rows go by what is listed."""

    def parse(text: str) -> list[Item]:
        parts = [part for part in text.split(",") if part]
        try:
            found = [kind(part) for part in parts]
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentTypeError(f'"{text}" in the list: {error}') from None
        for at, part in enumerate(parts):
            if found[at] in found[:at]:
                raise argparse.ArgumentTypeError(f'"{text}" lists {part} twice; give it once')
        return found

    return parse


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """How long to measure, in trtexec's words."""
    add = parser.add_argument
    add("--duration", type=float, default=60.0, metavar="S", help="budget for all rounds")
    add("--iterations", type=int, default=6, metavar="N", help="rounds at least, if they fit")
    add("--warm-up", type=int, default=1, metavar="N", help="untimed calls of each case")


def add_result_flags(parser: argparse.ArgumentParser) -> None:
    """Where the result goes."""
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the result file; without FILE print it on stdout",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")


def add_keep_flag(parser: argparse.ArgumentParser) -> None:
    """For figures that no machine changes: models that are measured anew, among others."""
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="JSON",
        help="take the rows of other models from this result, measured with the same settings",
    )


def earlier_result(args: argparse.Namespace) -> Document | None:
    """The result that --keep names, read before minutes are spent."""
    from . import results

    return None if args.keep is None else results.read(args.keep)


def check_result_file(args: argparse.Namespace) -> Path | None:
    """The file asked for, checked before minutes are spent; None for stdout."""
    if args.json in (None, "-"):
        return None
    return check_output(Path(args.json), overwrite=args.overwrite)


def read_report(path: Path, keys: set[str], flag: str, made_by: str) -> Facts:
    """The JSON object that another command printed.

    Args:
        path: of the file.
        keys: what it must have.
        flag: that named it.
        made_by: the command that makes such files.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag} {path}: {error}") from None
    if not isinstance(data, dict) or not keys <= data.keys():
        raise UsageError(f"{flag} {path}: not what {made_by} makes")
    return data


def deliver(args: argparse.Namespace, path: Path | None, data: Document) -> None:
    """Write the result file, or print JSON or a table on stdout."""
    from ..report.registry import usual_table
    from . import results

    if path is not None:
        results.write(path, data, overwrite=args.overwrite)
        say(f"wrote {path}", quiet=args.quiet)
    if args.json == "-":
        print_json(data)
    else:
        print_text(usual_table(data))
