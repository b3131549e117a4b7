"""python -m benchmarks.vote ours/ theirs/ --output vote.html

A user study in one file: a page that shows pictures of the same name from two or more folders in
pairs, blind, on random sides, and takes answers by keys; it needs no network and no server. What
voters save as votes.json is scored by --scores votes.json [more.json ...]: Bradley-Terry strengths
with intervals, of all voters together.
"""

import argparse
import json
from pathlib import Path

from runtime.card import JsonObject
from runtime.cli import command_main, command_parser, print_json, print_text, say
from runtime.errors import DONE, UsageError
from runtime.inputs import check_file
from runtime.outputs import check_output, replacing

from . import page
from .scores import Score, Vote, scores

FORMAT = 1
MOST = 64  # names that are compared; the fit of more takes long


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="of pictures, two or more")
    parser.add_argument("--output", type=Path, metavar="FILE", help="page to write")
    parser.add_argument("--scores", nargs="+", type=Path, metavar="VOTES", help="score answers")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the sides")
    parser.add_argument("--json", action="store_true", help="scores as JSON")
    parser.add_argument("--overwrite", action="store_true")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the page, or score answers."""
    if args.scores:
        if args.folders or args.output:
            raise UsageError("--scores takes no folders and no --output: it makes no page")
        if len({path.resolve() for path in args.scores}) < len(args.scores):
            raise UsageError("--scores names a file twice: nobody votes twice")
        found = scores(_comparable([vote for path in args.scores for vote in read_votes(path)]))
        if args.json:
            print_json({"voters": len(args.scores), "scores": [vars(score) for score in found]})
        else:
            say(f"{len(args.scores)} voters" if len(args.scores) > 1 else "1 voter")
            print_text(table(found))
        return DONE
    if args.output is None:
        raise UsageError("--output FILE is missing: the page to write")
    path = check_output(args.output, overwrite=args.overwrite)
    folders = {folder.resolve().name: folder for folder in args.folders}
    if len(folders) < len(args.folders):
        raise UsageError("two folders have the same name; results go by name")
    names, left_out = page.common_pictures(list(folders.values()))
    if left_out:
        shown = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        say(
            f"pictures compared: {len(names)}; left out, as not every folder holds them: "
            f"{len(left_out)} ({shown})"
        )
    text = page.make_page(folders, names, args.seed)
    with replacing(path, overwrite=args.overwrite) as made:
        made.write_text(text, encoding="utf-8")
    print_text(path)
    return DONE


def read_votes(path: Path) -> list[Vote]:
    """Answers of one voter.

    Raises:
        UsageError: no such file, or none that the page saved.
    """
    check_file(path, what="file of votes")
    try:
        data: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        known = data["format"]
        votes = [Vote(v["left"], v["right"], v["preferred"]) for v in data["votes"]]
    except OSError as error:
        raise UsageError(f'cannot read "{path}": {error.strerror}') from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f'"{path}" is no file of votes that the page saved') from None
    if known != FORMAT:
        raise UsageError(f'"{path}" has format {known!r:.40}, known is {FORMAT}')
    if not votes:
        raise UsageError(f'"{path}" holds no votes')
    if not all(_is_vote(vote) for vote in votes):
        raise UsageError(f'"{path}" holds votes that are none: the one preferred is one of two')
    if len({name for vote in votes for name in (vote.left, vote.right)}) > MOST:
        raise UsageError(f'"{path}" compares more than {MOST} names')
    return votes


def _comparable(votes: list[Vote]) -> list[Vote]:
    """The votes, if a chain of comparisons leads from every name to every other one."""
    names = {name for vote in votes for name in (vote.left, vote.right)}
    reached, grown = {votes[0].left}, True
    while grown:
        linked = {
            name
            for vote in votes
            if {vote.left, vote.right} & reached
            for name in (vote.left, vote.right)
        }
        reached, grown = reached | linked, not linked <= reached
    if reached < names:
        raise UsageError(
            f'nobody compared "{min(reached)}" with "{min(names - reached)}", not even by way of '
            "others: these are files of different studies, score them apart"
        )
    return votes


def _is_vote(vote: Vote) -> bool:
    words = (vote.left, vote.right, vote.preferred)
    texts = all(isinstance(word, str) for word in words)
    return texts and vote.left != vote.right and vote.preferred in (vote.left, vote.right, "")


def table(found: list[Score]) -> str:
    """For people."""
    lines = ["| | strength | 95 % | preferred |", "| --- | ---: | --- | ---: |"]
    for score in found:
        share = 100 * score.wins / score.votes
        interval = f"{score.low:+.2f}..{score.high:+.2f}"
        cells = [_cell(score.name), f"{score.strength:+.2f}", interval]
        lines.append(f"| {' | '.join(cells)} | {share:.0f} % of {score.votes} |")
    return "\n".join(lines)


def _cell(name: str) -> str:
    """A name within a table's row."""
    return name.replace("|", "\\|").replace("\n", " ")


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
