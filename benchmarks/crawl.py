"""python -m benchmarks.crawl --content photos --start models/starry.safetensors --json crawl.json

What keeps a network's texture from crawling over a moving picture, and what does each part cost?
Two families are trained alike but for one thing: a finished lean network, trained on from `--start`
with and without the terms "motion", "periodicity" and "phase_roughness"; and a small Johnson
network, from nothing, with and without anti-aliased sampling, "motion" and "ccpl" (contrastive
coherence; at the weight of its paper, and as strong as the content). Scored on photos that no
training saw.

    shift      EQ: how much of the picture changes if the photo is moved by pixels of the grid
    noise      noise gain: RMS of what sensor noise changes in the picture / RMS of the noise
    lock       share of fine texture that repeats with the network's own grid
    grid       how much of the roughness depends on the place in a block of 4 px
    style, content   terms of the objective, unweighted
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture

from runtime.cli import command_main, command_parser, say
from runtime.errors import DONE, UsageError

from .measuring.command import add_result_flags, check_result_file, deliver
from .measuring.results import Row
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from torch import nn

    from training.config import Recipe

    from .quality.curves import Problem

NOISE = 3 / 255  # of a webcam in a room, as measured indoors
SIZE = 256  # px, side of the photos
# "motion" is lazy and ramped in long runs; here it is at work from the first tenth on.
COMMON = ["options.ramp_start=0.0", "options.ramp_end=0.1", "sheet_every=1000000"]
NO_GRID_TERMS = ["objective.periodicity=0.0", "objective.phase_roughness=0.0"]
LEAN = {
    "none of them": ["objective.motion=0.0", *NO_GRID_TERMS],
    "motion": NO_GRID_TERMS,
    "periodicity": ["objective.motion=0.0", "objective.phase_roughness=0.0"],
    "motion and periodicity": ["objective.phase_roughness=0.0"],
    "motion and both": [],
}
# The paper's network, a quarter as wide: minutes on one core instead of hours.
JOHNSON = ["network={name='johnson', blocks=5}", *NO_GRID_TERMS]
JOHNSON += ["data.crop=128", "objective.motion=15.0"]
WIDTH = 8
ANTIALIAS = "network.antialias=true"
SMALL = {
    "neither": ["objective.motion=0.0"],
    "anti-aliasing": ["objective.motion=0.0", ANTIALIAS],
    "motion": [],
    "anti-aliasing and motion": [ANTIALIAS],
    "ccpl 5": ["objective.motion=0.0", "objective.ccpl=5.0"],
    "ccpl 0.1": ["objective.motion=0.0", "objective.ccpl=0.1"],
}

Stylize = Callable[[np.ndarray], np.ndarray]


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--content", type=Path, required=True, help="folder of photos that training never saw")
    add("--start", type=Path, required=True, help="checkpoint of a finished lean network")
    add("--recipe", default="starry", help="the recipe that is varied (default starry)")
    add("--photos", type=int, default=4, metavar="N", help="how many, evenly spread (default 4)")
    add("--steps", type=int, default=600, metavar="N", help="per lean variant; 0 for none")
    add("--small-steps", type=int, default=600, metavar="N", help="per Johnson variant; 0 for none")
    add("--only", action="append", metavar="VARIANT", help="train these, as the table calls them")
    add("--width", type=int, default=WIDTH, metavar="N", help=f"of the Johnson network ({WIDTH})")
    add("--weights", type=Path, help="folder of the loss networks' weights")
    add("--style", type=Path, help="the painting (default: the recipe's)")
    add("--train-on", type=Path, help="folder of photos to train on (default: the recipe's)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    add(
        "--pictures", type=Path, metavar="FOLDER", help="the first photo, as each network paints it"
    )
    add_result_flags(parser)
    return parser


def noise_gain(stylize: Stylize, picture: np.ndarray, deviation: float, seed: int = 0) -> float:
    """RMS(G(x + n) - G(x)) / RMS(n), n Gaussian: above 1, a still camera flickers more than it did.

    Args:
        stylize: G, pictures (H, W, 3) uint8.
        picture: x, (H, W, 3) uint8.
        deviation: of the noise, in shares of the full range.
    """
    noise = np.random.default_rng(seed).normal(0, 255 * deviation, picture.shape)
    noisy = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    given = np.square(noisy.astype(np.float64) - picture).mean()
    made = np.square(stylize(noisy).astype(np.float64) - stylize(picture)).mean()
    return float(np.sqrt(made / given))


def evaluate(stylize: Stylize, problem: "Problem", photos: list[np.ndarray]) -> dict[str, float]:
    """The metrics of one network, means over the photos."""
    from training.data.images import to_tensor

    from .metrics.periodicity import periodicity
    from .metrics.phase_roughness import phase_roughness
    from .metrics.shift_equivariance import shift_equivariance
    from .quality.curves import compute_terms

    found = []
    for photo in photos:
        painted = stylize(photo)
        terms = compute_terms(problem, to_tensor(painted), to_tensor(photo))
        found.append(
            {
                "shift": shift_equivariance(stylize, photo),
                "noise": noise_gain(stylize, photo, NOISE),
                "lock": periodicity(painted),
                "grid": phase_roughness(painted),
                **{key: terms[key] for key in ("style", "content", "total")},
            }
        )
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def train(recipe: "Recipe", args: argparse.Namespace) -> "nn.Module":
    """The averaged generator of a short run."""
    from training.engine import Engine
    from training.methods import Assets
    from training.methods.perceptual import Perceptual

    method = Perceptual(recipe, Assets(args.style, args.train_on, args.weights))
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(method, Path(folder), quiet=args.quiet)
        engine.run()
    return (engine.ema or method.networks["generator"]).eval()


def run(args: argparse.Namespace) -> int:
    """Train and evaluate every variant."""
    from training.checkpoint import load_checkpoint
    from training.config import load_recipe
    from training.data.images import to_bytes, to_tensor
    from training.painting import paint

    from .measuring import results
    from .quality.__main__ import pick_photos, read_problem
    from .quality.curves import load_square

    if min(args.photos, args.width) < 1 or min(args.steps, args.small_steps) < 0:
        raise UsageError("--photos and --width must be at least 1, --steps and --small-steps 0")
    known = list(dict.fromkeys([*LEAN, *SMALL]))
    for name in args.only or ():
        if name not in known:
            raise UsageError(f'--only "{name}" is no variant; they are: {", ".join(known)}')
    path = check_result_file(args)
    photos = [to_bytes(load_square(p, SIZE)) for p in pick_photos(args.content, args.photos)]
    start = load_checkpoint(args.start)
    lean = [f"options.start={str(args.start)!r}", f"steps={args.steps}"]
    small = [*JOHNSON, f"network.width={args.width}", f"steps={args.small_steps}"]
    args.backbone = None  # of `read_problem`: the recipe's own
    problem = read_problem(load_recipe(args.recipe, args.set).to_dict(), args, SIZE)
    rows: list[Row] = []

    def add(family: str, variant: str, steps: int, generator: "nn.Module") -> None:
        def stylize(picture: np.ndarray) -> np.ndarray:
            return to_bytes(paint(generator, to_tensor(picture)))

        metrics = evaluate(stylize, problem, photos)
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            name = f"{family} {variant}".replace(",", "").replace(" ", "_")
            Picture.fromarray(stylize(photos[0])).save(args.pictures / f"{name}.png")
        figures = "  ".join(f"{name} {value:.3g}" for name, value in metrics.items())
        say(f"{family}, {variant}: {figures}", quiet=args.quiet)
        labels = {"network": family, "variant": variant, "steps": steps}
        rows.append(results.row(labels, metrics, ["network", "variant"]))

    def wanted(variants: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
        return [(n, c) for n, c in variants.items() if not args.only or n in args.only]

    if args.steps:
        add("lean", "before", 0, start.build_generator())
    for variant, changes in wanted(LEAN) if args.steps else ():
        recipe = load_recipe(args.recipe, [*COMMON, *args.set, *lean, *changes])
        add("lean", variant, args.steps, train(replace(recipe, network=start.network), args))
    for variant, changes in wanted(SMALL) if args.small_steps else ():
        recipe = load_recipe(args.recipe, [*COMMON, *args.set, *small, *changes])
        add(f"johnson, {args.width} wide", variant, args.small_steps, train(recipe, args))
    settings = {
        "recipe": args.recipe,
        "start": args.start.name,
        "photos": args.photos,
        "size_px": SIZE,
        "noise_levels": 255 * NOISE,
    }
    deliver(args, path, results.document("crawl", rows, settings))
    return DONE


COLUMNS = (
    label("network"),
    label("trained with", "variant"),
    label("steps"),
    figure("shift error", "shift"),
    figure("noise gain", "noise"),
    figure("periodicity", "lock"),
    figure("per-phase roughness", "grid"),
    figure("style"),
    figure("content"),
    figure("objective", "total"),
)


def table_of(data: Document) -> str:
    """What each part of the training does to crawling texture, and what it costs."""
    return table(COLUMNS, data["rows"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
