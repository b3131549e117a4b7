"""python -m export.train --recipe adapt --style mine.jpg

Trains by a recipe with the flags of training.train and writes the model as ONNX at the end, also
when Ctrl-C ends the run early: --export FILE, or <painting>.onnx in the run folder.
"""

import argparse
from pathlib import Path

from runtime.cli import command_main, say
from runtime.errors import DONE
from training.run import options_of, show, train
from training.train import build_parser as training_parser
from training.train import read_recipe

from .targets.onnx import OnnxTarget


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = training_parser(__doc__)
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="model to write (default: <painting>.onnx in the run folder)",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Train and export; prints the model's path."""
    recipe, output = read_recipe(args)
    if args.dry_run:
        return show(recipe)
    options = options_of(args, output)
    name = options.style.stem if options.style else recipe.name
    model = args.export or options.output / f"{name}.onnx"

    def finish(checkpoint: Path) -> None:
        from .artifact import Request, export
        from .verify.delivery import check_place

        path = check_place(model, OnnxTarget, overwrite=True)
        request = Request("onnx", path, path.stem, checkpoint)
        export(request, lambda text: say(text, quiet=options.quiet))

    if train(recipe, options, finish) is not None:
        print(model)
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
