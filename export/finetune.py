"""python -m export.finetune --checkpoint runs/starry/last.safetensors --output runs/starry-int8

Teaches a trained lean network to live with bytes, before it is exported with --precision int8: a
short run on photos in which weights and activations are rounded as in the int8 graph and the
pictures are held to those it painted before (training/methods/quantized.py). No painting and no
loss network are needed. The result is a checkpoint like any other; the clipping ranges that its
activations learned are part of the network from then on, in float as in bytes.

A second run on the result is worth its minutes: it is held to the network with these ranges, so
that nothing but rounding is left to learn.

  python -m export.finetune --checkpoint runs/starry-int8 --output runs/starry-int8b --set lr=5e-4

Of a network that knows several styles or domains, --set style=NAME teaches one, as a lean network
of its own.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.card import JsonObject
from runtime.cli import command_main, command_parser
from training.run import add_arguments, check_output, options_of, run_command_line

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint
    from training.config import Recipe

# Steps unless told otherwise, and their size at the beginning. `starry`, worst of five photos at
# 640x480, to its float form: after 3000 steps 39.9 dB, after 2000 more of a second run 42.2.
STEPS = 2000
RATE = 1e-3
# The same of a network without normalization, whose weights set the size of everything behind them:
# a StarGAN's drawings fell apart with 1e-3 and went from 30.2 to 34.0 dB with this.
BARE_RATE = 1e-4
# One large square a step instead of two small ones: its normalizations see statistics that are
# nearer to a whole frame's.
BATCH, CROP = 1, 192
# Photos the first ranges are measured on.
PHOTOS = 48


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="run folder or checkpoint")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<name>-int8)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default: {STEPS}")
    add_arguments(parser, objective=False)
    return parser


def finetuning_recipe(
    table: JsonObject,
    network: JsonObject,
    start: Path,
    steps: int,
    ranges: dict[str, list[float]],
    settings: list[str],
    style: str = "",
) -> "Recipe":
    """The recipe of a trained network, turned into that of its quantization-aware training.

    Args:
        table: the recipe it was trained by.
        network: its own settings.
        start: checkpoint to begin with.
        steps: of the run.
        ranges: of its activations.
        settings: "key=value" changes.
        style: which of its styles, if the checkpoint knows several; `network` is of this one.
    """
    from training.config import apply_setting, recipe_from_dict

    bare = network.get("normalization") == "none"
    changed = {
        **table,
        "name": f"{table.get('name') or 'run'}-int8",
        "method": "quantized",
        "steps": steps,
        "network": dict(network),
        "options": {"original": str(start), "ranges": ranges},
        "optimizer": {**table.get("optimizer", {}), "lr": BARE_RATE if bare else RATE},
        "batch": BATCH,
        "data": {**table.get("data", {}), "crop": CROP},
    }
    if style:
        changed["options"]["original_style"] = style
    for setting in settings:
        apply_setting(changed, setting)
    return recipe_from_dict(changed)


def first_ranges(checkpoint: "Checkpoint", content: Path) -> dict[str, list[float]]:
    """Ranges of a trained network's activations, which the run starts with: those of an earlier
    run if there was one, else measured on photos.

    The network is not balanced before (`export.int8.balance`): that makes some weights twenty times
    smaller, for which Adam's one step size is then too large. A run from balanced weights fell from
    33.3 to 30.6 dB in 250 steps of 1e-3.

    Args:
        checkpoint: the trained network.
        content: folder of photos.
    """
    from training.quantization.fake import RANGES

    from .int8.calibrate import calibrate
    from .int8.lean_layers import take_apart
    from .verify.photos import load_photos

    if learned := checkpoint.group(f"extra.{RANGES}"):
        return {name: [float(low), float(high)] for name, (low, high) in learned.items()}
    parts = take_apart(checkpoint.build_generator().float())
    calibration = calibrate(parts, load_photos(content, PHOTOS))
    return {name: [low, high] for name, (low, high) in calibration.whole_ranges().items()}


def run(args: argparse.Namespace) -> int:
    """Train; prints the run's checkpoint and the command that exports it."""
    from training.checkpoint import load_checkpoint, of_one_style
    from training.config import find_data, recipe_from_dict

    from .source import one_style

    path = args.checkpoint
    path = path / "last.safetensors" if path.is_dir() else path
    checkpoint = load_checkpoint(path)
    output = args.output or Path("runs") / f"{checkpoint.recipe.get('name') or 'run'}-int8"
    options = options_of(args, output)
    check_output(options)
    if options.resume:
        recipe = recipe_from_dict(load_checkpoint(options.checkpoint).recipe)
        return run_command_line(recipe, args, output, "--precision int8")
    style, settings = one_style(args.set)
    if style:
        checkpoint = of_one_style(checkpoint, style)
    trained = recipe_from_dict(checkpoint.recipe)
    content = args.content or find_data(trained.data.content, "content")
    ranges = {} if args.dry_run else first_ranges(checkpoint, content)
    recipe = finetuning_recipe(
        *(checkpoint.recipe, checkpoint.network, path, args.steps, ranges, settings), style
    )
    return run_command_line(recipe, args, output, "--precision int8")


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
