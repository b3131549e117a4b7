"""What the commands of this package share: flags, and where a result goes."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runtime.cli import print_json, print_text, say
from runtime.outputs import check_output

from .results import Document

Item = TypeVar("Item")


def listed(kind: Callable[[str], Item]) -> Callable[[str], list[Item]]:
    """An argparse type for "a,b,c"."""

    def parse(text: str) -> list[Item]:
        try:
            return [kind(part) for part in text.split(",") if part]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f'"{text}" in the list: {error}') from None

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


def check_result_file(args: argparse.Namespace) -> Path | None:
    """The file asked for, checked before minutes are spent; None for stdout."""
    if args.json in (None, "-"):
        return None
    return check_output(Path(args.json), overwrite=args.overwrite)


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
