"""python -m benchmarks.generative --paintings monet/ --json generative.json

Do generators of pictures learn their pictures, all of them? DDPM, DCGAN and StyleGAN2 learn
scikit-learn's digits; DCGAN and StyleGAN2 squares of paintings. Distances to the real pictures must
fall tenfold, all ten digits must come, and AdaIN must take what is made as its style. Minutes per
problem on one core.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.cli import command_main, command_parser, say
from runtime.errors import DONE

from ..measuring.command import add_result_flags, check_result_file, deliver, listed
from . import digits
from .toys import TOYS, Toy

if TYPE_CHECKING:
    from torch import Tensor

    from training.methods import Assets
    from training.sample.samplers import Sampler

SAMPLES = 256  # generated pictures that are looked at
EVALUATIONS = 25  # of a denoiser for each of them
SHEET = 8  # rows and columns of the sheet
SPENT = "training_cpu_s.txt"  # of a run folder
# What is asked for, by metric.
TARGETS = {
    "fid_left": lambda v: v <= 0.1,
    "kid_left": lambda v: v <= 0.1,
    "judge_kid_left": lambda v: v <= 0.1,  # by a network that no training looked through
    "digits_found": lambda v: v == 10,
    "diversity": lambda v: v >= 0.5,
    "style_color_left": lambda v: v < 0.7,
}


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--problems", type=listed(str), default=list(TOYS), metavar="A,B")
    add("--paintings", type=Path, help="folder of paintings; without, digits only")
    add("--photo", type=Path, help="what AdaIN paints (default: a photo of scikit-image)")
    add("--weights", help="folder of pretrained weights (default: IMPASTO_WEIGHTS)")
    add("--steps", type=int, help="of every problem (default: each its own)")
    add("--keep", type=Path, metavar="FOLDER", help="keep the run folders; go on with those here")
    add_result_flags(parser)
    return parser


def train(name: str, toy: Toy, steps: int, folder: Path, assets: "Assets") -> float | None:
    """Run the recipe as `training.train` does, or go on with the run in `folder`, as with
    --resume; the CPU seconds it took, all in all, None if a part of it was not measured."""
    from runtime.plugins import load
    from training import methods
    from training.config import load_recipe
    from training.engine import Engine

    often = f"sheet_every={max(1, steps)}"
    recipe = load_recipe(toy.recipe, [*toy.settings, f"steps={steps}", f"name='{name}'", often])
    method = load(methods, recipe.method)(recipe, assets)
    began, spent = time.process_time(), folder / SPENT
    engine = Engine(method, folder, quiet=True)
    before: float | None = 0.0
    if engine.checkpoint_path.exists():
        engine.resume()
        before = float(spent.read_text("utf-8")) if spent.exists() else None
    else:
        engine.save()  # of zero steps
        engine.checkpoint_path.rename(folder / "untrained.safetensors")
    if engine.done < steps:
        engine.run()
        if before is not None:
            before += time.process_time() - began
            spent.write_text(f"{before:.1f}", "utf-8")
    return before


def pictures_of(sampler: "Sampler", count: int) -> "Tensor":
    """Pictures of the seeds 0, 1, ..., (N, 3, H, W) in [0, 1]."""
    import torch

    from training.sample.samplers import paint_all

    styles = [sampler.style(seed) for seed in range(count)]
    return torch.cat(paint_all(sampler, styles)).clamp(0, 1)


def solve(
    name: str, toy: Toy, steps: int, folder: Path, content: Path, args: argparse.Namespace
) -> dict[str, float | None]:
    """Train one generator and look at what it makes."""
    from PIL import Image

    from training.data.images import Photos, to_bytes
    from training.engine import contact_sheet
    from training.methods import Assets
    from training.sample.samplers import open_sampler

    from . import scores

    weights = Path(args.weights) if args.weights else None
    seconds = train(name, toy, steps, folder, Assets(content=content, weights=weights))
    before = pictures_of(open_sampler(folder / "untrained.safetensors", 1.0, EVALUATIONS), SAMPLES)
    sampler = open_sampler(folder, 1.0, EVALUATIONS)
    began = time.process_time()
    after = pictures_of(sampler, SAMPLES)
    metrics: dict[str, float | None] = {
        "training_cpu_s": seconds,
        "sample_cpu_ms": 1000 * (time.process_time() - began) / SAMPLES,
        "weights_thousands": weights_of(folder) / 1000,
    }
    rows = [list(after[n * SHEET : (n + 1) * SHEET].split(1)) for n in range(SHEET)]
    Image.fromarray(contact_sheet(rows, gap=2)).save(folder / "samples.png")
    if toy.pictures == "digits":
        return metrics | scores.of_digits(before, after)
    import torch

    side = after.shape[2]
    photos = Photos(content, 128, 0, seed=1)
    rng = np.random.default_rng(1)
    real = torch.cat([photos.batch(n, 16, side, 1.5, rng) for n in range(SAMPLES // 16)])
    metrics |= scores.of_paintings(before, after, real, args.weights)
    squares = [to_bytes(picture) for picture in after.split(1)]
    return metrics | scores.as_style(squares, photo_of(args.photo), "adain")


def weights_of(folder: Path) -> int:
    """Trained numbers of the generator."""
    from training.checkpoint import load_checkpoint

    generator = load_checkpoint(folder).build_generator()
    return sum(weight.numel() for weight in generator.parameters())


def photo_of(path: Path | None) -> np.ndarray:
    """(H, W, 3) uint8."""
    from training.data.images import load_image, to_bytes

    if path is not None:
        return to_bytes(load_image(path, 256))
    from skimage import data

    return np.ascontiguousarray(data.chelsea())


def missed(metrics: Mapping[str, float | None]) -> list[str]:
    """The targets that these figures miss."""
    found = {name: metrics.get(name) for name in TARGETS}
    return [name for name, value in found.items() if value is not None and not TARGETS[name](value)]


def run(args: argparse.Namespace) -> int:
    """Solve every problem; figures that miss their target are named and kept."""
    from runtime.errors import UsageError

    from ..measuring import results

    for problem in args.problems:
        if problem not in TOYS:
            raise UsageError(f'no problem "{problem}", there are {", ".join(TOYS)}')
    if args.steps is not None and args.steps < 1:
        raise UsageError(f"--steps is {args.steps}, allowed is 1 and more")
    path, rows = check_result_file(args), []
    problems = [p for p in args.problems if args.paintings or TOYS[p].pictures == "digits"]
    if not problems:
        raise UsageError(f"{', '.join(args.problems)}: give --paintings, a folder of paintings")
    for problem in (p for p in args.problems if p not in problems):
        say(f"{problem}: left out, --paintings names no folder", quiet=args.quiet)
    with tempfile.TemporaryDirectory() as name:
        content = {"paintings": args.paintings}
        if any(TOYS[problem].pictures == "digits" for problem in problems):
            content["digits"] = digits.write(Path(name) / "digits")
        for problem in problems:
            toy, folder = TOYS[problem], (args.keep or Path(name)) / problem
            steps = args.steps or toy.steps
            metrics = solve(problem, toy, steps, folder, content[toy.pictures], args)
            lacking = missed(metrics)
            figures = "  ".join(f"{name} {value:.3g}" for name, value in metrics.items() if value)
            verdict = f"missed {', '.join(lacking)}" if lacking else "ok"
            say(f"{problem}: {verdict}  ({figures})", quiet=args.quiet)
            labels = {"problem": problem, "recipe": toy.recipe, "pictures": toy.pictures}
            labels |= {"steps": steps, "missed": ", ".join(lacking)}
            rows.append(results.row(labels, metrics, ["problem"]))
    settings = {problem: list(TOYS[problem].settings) for problem in problems}
    deliver(args, path, results.document("generative", rows, {**settings, "samples": SAMPLES}))
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
