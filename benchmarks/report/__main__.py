"""python -m benchmarks.report benchmarks/results/latency.json

Turn result files into Markdown tables and SVG plots. Measures nothing: every number comes from the
JSON files, so a report can be made anywhere and a test can compare pages with them.

  --write PAGE ...       fill the blocks `<!-- benchmarks:NAME begin -->` ... `end -->` of Markdown
                         files; of a folder, of all in it
  --check PAGE ...       exit 4 if --write would change one
  --plots FOLDER         write every plot the files have enough for
  --compare A B          ratios B / A with intervals; exit 4 if something became slower
  --publish FOLDER       one folder (JSON, plots, tables, environment) to attach to an issue
"""

import argparse
import re
import shutil
from pathlib import Path

from runtime.cli import command_main, command_parser, print_json, print_text, say
from runtime.errors import DONE, GATE_REFUSED, OutputExists, UsageError

from ..measuring import results
from ..measuring.environment import HOME
from ..measuring.results import Document
from . import bundled, compare, plots, provenance
from .machine import machine
from .registry import BLOCKS, usual_table

RESULTS = HOME / "benchmarks" / "results"
MODELS = HOME / "models"
BLOCK = re.compile(
    r"(<!-- benchmarks:(?P<name>[\w-]+) begin -->\n)(?P<body>.*?)"
    r"(<!-- benchmarks:(?P=name) end -->)",
    re.DOTALL,
)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("files", nargs="*", metavar="JSON", help="result files (default: benchmarks/results/*)")
    add("--results", default=str(RESULTS), metavar="FOLDER", help="where --write finds its files")
    add("--models", default=str(MODELS), metavar="FOLDER", help="the bundled models")
    add("--write", nargs="+", metavar="PAGE", help="fill the blocks of Markdown files or folders")
    add("--check", nargs="+", metavar="PAGE", help="say whether --write would change them")
    add("--plots", metavar="FOLDER", help="write the plots here")
    add("--compare", nargs=2, metavar=("A", "B"), help="two result files, older first")
    add(
        "--tolerance", type=float, default=5.0, metavar="%%", help="slower by less is no regression"
    )
    add("--relative-to", metavar="MODEL", help="compare each model's ratio to this one, not its ms")
    add("--publish", metavar="FOLDER", help="write a bundle")
    add("--json", action="store_true", help="print one JSON object on stdout")
    add("--overwrite", action="store_true", help="replace existing files")
    add("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def render(text: str, folder: Path, models: Path = MODELS) -> str:
    """The text with every known block filled from the result files in `folder`, each followed by a
    sentence that says which model files it is about; a block whose file does not exist says so.

    Raises:
        UsageError: a block of unknown name, or its result file is broken.
    """
    known, graphs = provenance.bundled(models), provenance.structures(models)

    def fill(block: re.Match[str]) -> str:
        name = block["name"]
        if name == "models":
            speed = _optional(folder / "students.json")
            quality = _optional(folder / "quality.json")
            return f"{block[1]}{bundled.table(models, speed, quality)}\n{block[4]}"
        if name not in BLOCKS:
            allowed = ", ".join(("models", *BLOCKS))
            raise UsageError(f'no benchmark block "{name}", allowed are {allowed}')
        files, make = BLOCKS[name]
        found = [_optional(folder / f"{file}.json") for file in files]
        if found[0] is None:
            made = f"*Not measured yet: there is no `{files[0]}.json`.*"
        else:
            made = make(*found)
            if name != "machine":
                made += f"\n\n{provenance.sentence(found[0], known, graphs)}"
        return f"{block[1]}{made}\n{block[4]}"

    return BLOCK.sub(fill, text)


def _optional(path: Path) -> Document | None:
    return results.read(path) if path.is_file() else None


def write_plots(
    files: list[Path], folder: Path, overwrite: bool, quality: Document | None = None
) -> list[Path]:
    """Write every plot of every file as `<file>-<plot>.svg`; the paths written.

    Raises:
        OutputExists: one of them is there and `overwrite` is false; then none is written.
    """
    drawn = {
        folder / f"{file.stem}-{name.replace('_', '-')}.svg": svg
        for file in files
        for name, svg in plots.draw(results.read(file), quality).items()
    }
    there = [path for path in drawn if path.exists()]
    if there and not overwrite:
        raise OutputExists(f"{there[0]} exists; give another folder, or --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    for path, svg in drawn.items():
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(svg, encoding="utf-8")
        partial.replace(path)
    return list(drawn)


def publish(files: list[Path], folder: Path, overwrite: bool) -> list[Path]:
    """A folder to attach to an issue: the JSON files, their plots and a README with the tables.

    The files hold no user or host name and no path but those typed on the command line, which the
    README shows, so that they can be read before they are sent.
    """
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise OutputExists(f"{folder} is not empty; give another folder, or --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    written, text = [], ["# Impasto benchmark\n"]
    for file in files:
        data = results.read(file)
        shutil.copyfile(file, folder / file.name)
        text += [f"## {file.stem}\n", machine(data) + "\n", f"    {data['command']}\n"]
        pictures = write_plots([file], folder, True)
        text += [usual_table(data) + "\n", *(f"![{path.stem}]({path.name})\n" for path in pictures)]
        written += [folder / file.name, *pictures]
    page = folder / "README.md"
    page.write_text("\n".join(text), encoding="utf-8")
    return [*written, page]


def run(args: argparse.Namespace) -> int:
    """Do what the flags ask."""
    folder = Path(args.results)
    if args.compare:
        return _compare(args)
    if args.write or args.check:
        pages = _pages(args.write or args.check)
        return max(_write(page, folder, args) for page in pages)
    files = [Path(name) for name in args.files] or sorted(folder.glob("*.json"))
    if not files:
        raise UsageError(f"no result files in {folder}; make one with python -m benchmarks.latency")
    if args.publish:
        written = publish(files, Path(args.publish), args.overwrite)
    elif args.plots:
        quality = _optional(folder / "quality.json")
        written = write_plots(files, Path(args.plots), args.overwrite, quality)
    else:
        for file in files:
            data = results.read(file)
            print_text(f"## {file.stem}\n\n{machine(data)}\n\n{usual_table(data)}\n")
        return DONE
    for path in written:
        say(f"wrote {path}", quiet=args.quiet)
    if args.json:
        print_json({"files": [str(path) for path in written]})
    return DONE


def _pages(names: list[str]) -> list[Path]:
    """The Markdown files, those of folders included that have a block."""
    pages = []
    for path in map(Path, names):
        found = sorted(path.rglob("*.md")) if path.is_dir() else [path]
        pages += [p for p in found if p == path or BLOCK.search(p.read_text(encoding="utf-8"))]
    if not pages:
        raise UsageError(f"no page with a benchmark block in {', '.join(names)}")
    return pages


def _write(path: Path, folder: Path, args: argparse.Namespace) -> int:
    """Fill one page, or say whether it is up to date."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})") from None
    blocks = len(BLOCK.findall(text))
    made = render(text, folder, Path(args.models))
    if not args.write:
        same = made == text
        say(f"{path}: {blocks} blocks, {'up to date' if same else 'STALE'}", quiet=args.quiet)
        return DONE if same else GATE_REFUSED
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(made, encoding="utf-8")
    partial.replace(path)
    say(f"filled {blocks} blocks of {path}", quiet=args.quiet)
    return DONE


def _compare(args: argparse.Namespace) -> int:
    older, newer = (results.read(Path(name)) for name in args.compare)
    found = compare.compare(older, newer, args.tolerance, args.relative_to)
    if args.json:
        print_json({"rows": [row.to_json() for row in found]})
    else:
        print_text(compare.table(found))
    for sentence in compare.warnings(older, newer, args.relative_to):
        say(sentence, quiet=args.quiet)
    slower = [row for row in found if row.verdict == "slower"]
    say(f"{len(slower)} of {len(found)} became slower", quiet=args.quiet)
    return GATE_REFUSED if slower else DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
