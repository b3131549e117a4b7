"""python -m export.finetune --checkpoint runs/starry/last.safetensors --output runs/starry-int8

Teaches a trained lean network to live with bytes, before it is exported with --precision int8: a
short run by its own recipe in which weights and activations are rounded as in the int8 graph
(training/methods/quantized.py). The result is a checkpoint like any other; the ranges it learned
are in it, and the exporter uses them.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.cli import run_command

from . import training_run

# Steps unless told otherwise, and the step size they begin with: a third of training's own.
STEPS = 2000
RATE = 3e-4
# Photos the first ranges are measured on.
PHOTOS = 48
# The network the run begins with, in its folder.
START = "start.safetensors"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="run folder or checkpoint")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<name>-int8)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default: {STEPS}")
    training_run.add_arguments(parser)
    return parser


def finetuning_recipe(
    table: dict[str, Any],
    network: dict[str, Any],
    start: Path,
    steps: int,
    ranges: dict[str, list[float]],
    settings: list[str],
) -> Any:
    """The recipe of a trained network, turned into its fine-tuning's.

    Args:
        table: the recipe it was trained by.
        network: its own settings.
        start: checkpoint to begin with.
        steps: of the run.
        ranges: of its activations.
        settings: "key=value" changes.
    """
    from training.config import apply_setting, recipe_from_dict
    from training.methods.distill import options_of
    from training.methods.perceptual import Options

    options = options_of(Options, table.get("options", {}))
    options.pop("start", None)  # it starts from itself
    # The terms that ramp in while a network is young are there from the first step.
    options |= {"teacher": str(start), "ranges": ranges, "ramp_start": 0.0, "ramp_end": 0.0}
    changed = {
        **table,
        "name": f"{table.get('name') or 'run'}-int8",
        "method": "quantized",
        "steps": steps,
        "network": dict(network),
        "options": options,
        "optimizer": {**table.get("optimizer", {}), "lr": RATE},
    }
    for setting in settings:
        apply_setting(changed, setting)
    return recipe_from_dict(changed)


def begin(checkpoint: Any, output: Path, content: Path) -> dict[str, list[float]]:
    """Balance the network and write it as the run's start; returns its ranges.

    Args:
        checkpoint: the trained network.
        output: run folder.
        content: photos to measure ranges on.
    """
    from training.checkpoint import save_checkpoint

    from .balance import balance
    from .calibrate import calibrate
    from .integer_graph import whole_ranges
    from .lean_layers import take_apart
    from .photos import load_photos

    generator = checkpoint.build_generator().float()
    calibration = calibrate(take_apart(generator), load_photos(content, PHOTOS))
    balanced, calibration = balance(generator, calibration)
    tensors = {f"generator.{key}": value for key, value in balanced.state_dict().items()}
    save_checkpoint(replace(checkpoint, tensors=tensors, state={}), output / START)
    return {name: [low, high] for name, (low, high) in whole_ranges(calibration).items()}


def run(args: argparse.Namespace) -> int:
    """Fine-tune; prints the run's checkpoint and the command that exports it."""
    from training.checkpoint import load_checkpoint
    from training.config import find_data, recipe_from_dict

    path = args.checkpoint
    checkpoint = load_checkpoint(path / "last.safetensors" if path.is_dir() else path)
    output = args.output or Path("runs") / f"{checkpoint.recipe.get('name') or 'run'}-int8"
    last = training_run.place(output, args)
    if args.resume:
        recipe = recipe_from_dict(load_checkpoint(last).recipe)
        return training_run.train(recipe, output, args)
    trained = recipe_from_dict(checkpoint.recipe)
    content = args.content or find_data(trained.data.content, "content")
    ranges = {} if args.dry_run else begin(checkpoint, output, content)
    recipe = finetuning_recipe(
        checkpoint.recipe, checkpoint.network, output / START, args.steps, ranges, args.set
    )
    return training_run.train(recipe, output, args)


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
