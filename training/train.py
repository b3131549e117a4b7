"""python -m training.train --recipe starry --output runs/starry

Trains a generator by a recipe. Needs photos (--content), a painting (--style) and the weights of
the loss network (python -m training.fetch_weights brings them); what is not given is looked up in
the folders that IMPASTO_DATA and IMPASTO_WEIGHTS name. Stop it with Ctrl-C at any time: --resume
takes the recipe from the run and goes on where it was, bit for bit; with --steps, for longer.
Watch it in index.html of the run folder. On several GPUs: torchrun --nproc-per-node 2 -m
training.train, and the flags as ever. To train and export at once: python -m export.train.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import command_main, command_parser
from runtime.errors import UsageError

from .run import add_arguments, default_folder, resumed_recipe, run_command_line

if TYPE_CHECKING:
    from .config import Recipe


def build_parser(text: str | None = __doc__) -> argparse.ArgumentParser:
    """The command line; `text` describes another command that takes the same flags."""
    parser = command_parser(text)
    parser.add_argument(
        "--recipe", help="bundled recipe, or a TOML file; --resume has the one of the run"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="length of the run (--set steps=N)")
    parser.add_argument(
        "--teacher",
        action="append",
        metavar="PAIRS|FILE.onnx|package.module:function|COMMAND",
        help="what a filter is learned from; repeat for a chain (--set options.teacher)",
    )
    parser.add_argument("--clip", metavar="FILE", help="whose keyframes are painted")
    parser.add_argument(
        "--keys", nargs="+", metavar="PICTURE", help="painted frames, named by their number from 0"
    )
    parser.add_argument("--title", help="of the painting (default: what its file is called)")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<recipe name>)")
    add_arguments(parser)
    return parser


def read_recipe(args: argparse.Namespace) -> "tuple[Recipe, Path]":
    """The recipe that the flags name, or the one of the run to resume, and the run's folder.

    Raises:
        UsageError: as `config.load_recipe`; neither --recipe nor a run to resume.
    """
    from .config import load_recipe, with_painting

    settings = [
        *_option_settings(args),
        *args.set,
        *([f"steps={args.steps}"] if args.steps is not None else []),
    ]
    if args.title:
        settings.append(f"style.title={json.dumps(args.title)}")
    if args.resume and (args.output or args.recipe):
        output = args.output or default_folder(load_recipe(args.recipe))
        return resumed_recipe(output, args.recipe, args.style, settings), output
    if not args.recipe:
        raise UsageError(
            "name a recipe: --recipe starry, or the run to go on: --output RUN --resume"
        )
    recipe = load_recipe(args.recipe, settings)
    if args.style and args.style.is_file():
        recipe = with_painting(recipe, args.recipe, args.style)
    return recipe, args.output or default_folder(recipe)


def _option_settings(args: argparse.Namespace) -> list[str]:
    """The flags that stand for options of a method, as settings; methods refuse what is not
    theirs."""
    given = {"teacher": args.teacher, "clip": args.clip, "keys": args.keys}
    return [f"options.{name}={json.dumps(value)}" for name, value in given.items() if value]


def run(args: argparse.Namespace) -> int:
    """Train; prints the run's checkpoint and the command that exports it."""
    if args.export:
        raise UsageError(
            "--export: exporting is not part of training; python -m export.train takes the same "
            "flags and does both"
        )
    recipe, output = read_recipe(args)
    return run_command_line(recipe, args, output, "--target onnx")


def _parser() -> argparse.ArgumentParser:
    parser = build_parser()
    parser.add_argument("--export", help=argparse.SUPPRESS)  # moved to export.train
    return parser


main = command_main(_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
