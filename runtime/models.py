"""python -m runtime.models

List the styles there are: those that come with Impasto, those in the working directory and in the
folders of $IMPASTO_MODELS, and those that were fetched. What is printed in the first column can be
given to --model. With --pull owner/name: bring the models of a repository of the Hugging Face Hub
here, once its license has been shown and agreed to.
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import cli
from .errors import DONE, UsageError

if TYPE_CHECKING:
    from .card import ModelCard

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Style:
    """The files of one style.

    Attributes:
        name: as typed after `--model`.
        title, artist: of the painting; "" where the card says nothing.
        takes: what must be given besides the picture: "", "--style FILE" or "--style NAME".
        paintings: the names that `--style NAME` may be.
        files: (path, speed class, precision) of each.
        license: of the weights.
    """

    name: str
    title: str
    artist: str
    takes: str
    paintings: tuple[str, ...]
    files: tuple[tuple[Path, str, str], ...]
    license: str

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "title": self.title,
            "artist": self.artist,
            "takes": self.takes,
            "paintings": list(self.paintings),
            "license": self.license,
            "files": [
                {
                    "file": str(path),
                    "bytes": path.stat().st_size,
                    "speed": speed,
                    "precision": precision,
                }
                for path, speed, precision in self.files
            ],
        }


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.new_parser("models", __doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument(
        "--pull", metavar="OWNER/NAME", help="fetch the ONNX files of a repository of the Hub"
    )
    parser.add_argument("--yes", "-y", action="store_true", help="--pull: do not ask")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="--pull: where to (default: your own folder)"
    )
    parser.add_argument("--overwrite", action="store_true", help="--pull: replace existing files")
    return parser


def pull(args: argparse.Namespace) -> int:
    """Show a repository's license, ask, and fetch its models; prints their paths.

    Raises:
        UsageError: nobody can be asked and --yes is not given.
    """
    from .model import hub, store

    offer = hub.look_up(args.pull)
    folder = args.output or store.own_folder()
    cli.say(f"{offer.repository}, commit {offer.revision[:12]}: {', '.join(offer.files)}")
    cli.say(f"license: {offer.license or 'its page names none: ask the owner'}")
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("to fetch without being asked, agree to the license with --yes")
        if input(cli.printable(f"fetch into {folder}? [y/N] ")).strip().lower() not in ("y", "yes"):
            cli.say("nothing was fetched")
            return DONE
    for path in hub.fetch(offer, folder, overwrite=args.overwrite):
        cli.print_text(path)
    return DONE


def styles() -> list[Style]:
    """All styles that a bare name finds, by name; the files of one lie in one folder."""
    from .model import store, zoo
    from .model.variants import variant_of

    paths = [store.resolve(name) for name in store.available()]
    cards = {path: zoo.read_card(path) for path in paths}
    companions = {
        path.parent / port.companion
        for path, card in cards.items()
        for port in (card.inputs if card else ())
        if port.companion
    }
    groups: dict[str, list[Path]] = {}
    for path in paths:
        if path not in companions and not _masks(cards[path]):
            groups.setdefault(variant_of(path, cards[path]).style, []).append(path)
    found = []
    for name, members in sorted(groups.items()):
        card = cards[members[0]]
        facts = card.style if card else {}
        codes = [port for port in card.inputs if port.role in ("style", "code")] if card else []
        paintings = tuple(name for port in codes for name in port.names)
        variants = [variant_of(path, cards[path]) for path in members]
        found.append(
            Style(
                name,
                facts.get("title", ""),
                facts.get("artist", ""),
                ("--style NAME" if paintings else "--style FILE") if codes else "",
                paintings,
                tuple((v.path, v.grade, v.precision) for v in variants),
                card.license if card else "",
            )
        )
    return found


def _masks(card: "ModelCard | None") -> bool:
    """Whether the model says where something is, and paints nothing."""
    return card is not None and all(port.role == "mask" for port in card.outputs)


def describe(style: Style) -> list[str]:
    """The lines of one style: its name and painting, then a line for each file."""
    painting = ", ".join(part for part in (style.title, style.artist) if part)
    if style.paintings:
        painting = f"{len(style.paintings)} paintings: {style.takes}"
    elif style.takes:
        painting = f"any painting: {style.takes}"
    lines = [f"{style.name}  {painting}".rstrip()]
    lines += textwrap.wrap(
        ", ".join(style.paintings), 98, initial_indent="  ", subsequent_indent="  "
    )
    for path, speed, precision in style.files:
        size = path.stat().st_size / MEGABYTE
        lines.append(f"  {path.name:<26} {size:5.1f} MB  {speed:<8} {precision}")
    return lines


def run(args: argparse.Namespace) -> int:
    """Print what there is."""
    from .model import store

    if args.pull:
        return pull(args)
    found = styles()
    if args.json:
        folders = [str(folder) for folder in store.folders()]
        cli.print_json({"styles": [style.to_dict() for style in found], "folders": folders})
        return DONE
    for style in found:
        cli.print_text("\n".join(describe(style)))
    cli.print_text(f"looked in {', '.join(str(folder) for folder in store.folders())}")
    return DONE


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
