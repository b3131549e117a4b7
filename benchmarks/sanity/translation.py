"""python -m benchmarks.sanity.translation --data DIR --output runs/toys --json translation.json

Do StarGAN, BicycleGAN, MUNIT and UNIT do on small problems what they are for? StarGAN turns photos
and paintings to four domains so that a classifier of other pictures agrees, and back; BicycleGAN
fills outlines with both colors that are right; MUNIT gives gray pictures the hue of an example,
UNIT the one hue that its pictures have.
--data has `content/` and `monet/` (StarGAN only); the classifier needs SqueezeNet's weights
(IMPASTO_WEIGHTS). Checkpoints and pictures go to --output. Minutes per problem on one core.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture

from runtime.cli import command_main, command_parser, say
from runtime.errors import DONE, UsageError

from ..measuring.command import add_result_flags, check_result_file, deliver, listed, positive
from . import domains, shapes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.methods import Method

# The recipes at toy size; what differs from them besides sizes is said at each line.
STARGAN = [
    # The lean network without normalization: colors must come back. At full resolution, because at
    # half of it the way back hides in a weave of 2 px (86 of 100 translations right, and .049).
    "network={name='cin', width=24, blocks=3, scale=1, margin=0, normalization='none'}",
    f"data.short_side={domains.CUT_FROM}",
    f"data.crop={domains.SIDE}",
    "data.zoom=1.0",
    "batch=8",
    # The non-saturating loss with a lazy R1 in place of WGAN-GP: a third of the time for each step.
    "options.gan='vanilla'",
    "options.r1=0.3",
    "options.r1_every=8",
    # 720 pictures: one that begins with nothing learns them by heart, and tints and patterns on the
    # network's grid fool its class head (52 of 100 translations after 400 steps, where 74 were
    # right with this one).
    "options.discriminator={name='projected', width=32, whole=true, dropout=0.3}",
    "options.classification=3.0",
    "options.discriminator_steps=1",
    # Colors may be given up for a drawing: the target of the way back leaves room for it.
    "options.rec=10.0",
    "options.identity=10.0",
    # Else the way back hides in a pattern on the network's grid.
    "options.periodicity=200.0",
    "ema=0.995",
    "optimizer.lr=1e-3",
    "options.decay_start=0.5",
]
BICYCLE = [
    "network={name='bicycle', width=48, blocks=2, scale=4, margin=8, hidden=32}",
    f"data.short_side={shapes.SIDE}",
    f"data.crop={shapes.SIDE}",
    "data.zoom=1.0",
    "batch=8",
    "options.discriminator={width=16, layers=2, scales=1, minibatch_deviation=true}",
    "options.encoder={width=16, layers=2}",
    # Both answers must share N(0, 1) after minutes: the encoder's means may not lie far out.
    "options.kl=0.05",
    "options.latent=1.0",
]
MUNIT = [
    "network={name='munit', width=12, halvings=1, blocks=1, style=8, hidden=16}",
    f"data.short_side={shapes.SIDE}",
    f"data.crop={shapes.SIDE}",
    "batch=8",
    "options.discriminator={width=12, layers=2, scales=1, normalization='none'}",
    "options.discriminator_rate=0.3",
    # The authors' explicit cycle, an option of theirs: hills must stay where they are.
    "options.cycle=5.0",
    "optimizer.lr=1e-3",
    "options.decay_start=0.5",
]
UNIT = [
    "network={name='munit', width=12, halvings=1, blocks=1, style=0, hidden=16}",
    f"data.short_side={shapes.SIDE}",
    f"data.crop={shapes.SIDE}",
    "batch=8",
    "options.discriminator={width=12, layers=2, scales=1, normalization='none'}",
    "options.discriminator_rate=0.3",
    "optimizer.lr=1e-3",
    "options.decay_start=0.5",
]
HUE = 30.0  # degrees, of the pictures that UNIT learns
SAVE_EVERY = 100  # steps: what a run that was cut off loses at most
UNSEEN = 40  # pictures of each domain that are translated
DRAWS = 16  # variations of each outline
SHOWN = 6  # columns of a picture
TARGETS = {
    "agreement": lambda v: v >= 0.9,
    "cycle": lambda v: v < 0.06,
    "rarer_mode": lambda v: v >= 0.1,
    "l1": lambda v: v < 0.04,
    "lpips_between": lambda v: v > 0,
    "monotone": lambda v: v >= 0.95,
    "hue_error": lambda v: v < 10,
    "likeness": lambda v: v >= 0.9,
}


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    parser.add_argument("--problems", type=listed(str), default=[*PROBLEMS], metavar="A,B")
    parser.add_argument("--data", type=Path, metavar="DIR", help="with content/ and monet/")
    parser.add_argument("--steps", type=positive, help="of each problem (default: its own)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="run folders")
    add_result_flags(parser)
    return parser


def stargan(data: Path | None, run: Path, steps: int) -> dict[str, float]:
    """`agreement`: share of translations of unseen pictures that are of the wanted domain to the
    classifier; `classifier`: the same of real pictures; `cycle`: mean absolute difference of a
    picture and what comes back."""
    from training.methods import Assets
    from training.methods.stargan import StarGan

    if data is None:
        raise UsageError("stargan needs --data DIR, a folder with content/ and monet/")
    toys = run.with_name(run.name + "_toys")
    if not toys.is_dir():
        domains.write(toys, data, "training")
    tell, real = domains.classifier(data)
    method = StarGan(_recipe("stargan", STARGAN, steps), Assets(None, toys))
    generator = _train(method, run)
    names = domains.NAMES
    agreements, cycles, rows = [], [], []
    for own, name in enumerate(names):
        pictures = domains.stacked(domains.pictures(data, name, "classifier")[-UNSEEN:])
        row = [pictures]
        for wanted in range(len(names)):
            made = _ask(generator, pictures, _one_hot(wanted, len(names)))
            back = _ask(generator, made, _one_hot(own, len(names)))
            agreements.append(domains.agreement(tell, made, wanted))
            cycles.append(float((back - pictures).abs().mean()))
            row.append(made)
        rows.append(row)
    _picture(run, [each for row in rows for each in row])
    return {
        "agreement": float(np.mean(agreements)),
        "classifier": real,
        "cycle": float(np.mean(cycles)),
    }


def bicyclegan(data: Path | None, run: Path, steps: int) -> dict[str, float]:
    """Of variations of unseen outlines: `rarer_mode`, share of the rarer right color; `l1` to the
    nearer right answer; `lpips_between`, mean LPIPS-squeezenet of two answers; `monotone`, rank
    correlation of the distance of z and of the answers along lines."""
    from training.methods import Assets
    from training.methods.bicyclegan import BicycleGan

    toys = run.with_name(run.name + "_toys")
    if not toys.is_dir():
        shapes.write_pairs(toys, 200, 0)
    method = BicycleGan(_recipe("bicycle_lean", BICYCLE, steps), Assets(None, toys))
    generator = _train(method, run)
    noise = np.random.default_rng(5).standard_normal((DRAWS, 8)).astype(np.float32)
    hits, distances, rows = np.zeros(2), [], []
    for canvas, mask in shapes.outlines(UNSEEN, 77):
        source = domains.stacked([canvas])
        answers = _ask(generator, source.expand(DRAWS, -1, -1, -1), _tensor(noise))
        right = [shapes.filled(canvas, mask, c) for c in (shapes.ORANGE, shapes.BLUE)]
        off = (answers[:, None] - domains.stacked(right)[None]).abs().mean((2, 3, 4))
        hits += np.bincount(off.argmin(1).numpy(), minlength=2)
        distances.append(float(off.min(1).values.mean()))
        rows.append([source[0], *answers[: SHOWN - 1]])
    _picture(run, [_stack(row) for row in rows[:8]])
    between, monotone = _along(generator, domains.stacked([shapes.outlines(1, 78)[0][0]]))
    return {
        "rarer_mode": float(hits.min() / hits.sum()),
        "l1": float(np.mean(distances)),
        "lpips_between": between,
        "monotone": monotone,
    }


def munit(data: Path | None, run: Path, steps: int) -> dict[str, float]:
    """Of gray pictures in the style of unseen examples of 24 hues: `hue_error`, mean angle in
    degrees between the hue of example and answer; `likeness`, correlation of the brightness of
    picture and answer, 1 where the content is kept."""
    from training.methods import Assets
    from training.methods.munit import Munit

    toys = run.with_name(run.name + "_toys")
    if not toys.is_dir():
        shapes.write_hues(toys, 150, 0)
    method = Munit(_recipe("munit", MUNIT, steps), Assets(toys / "tinted", toys / "gray"))
    return _tint(_train(method, run), run, list(range(0, 360, 15)))


def unit(data: Path | None, run: Path, steps: int) -> dict[str, float]:
    """As `munit`, of pictures of one hue, without examples."""
    from training.methods import Assets
    from training.methods.munit import Munit

    toys = run.with_name(run.name + "_toys")
    if not toys.is_dir():
        shapes.write_hues(toys, 150, 0, HUE)
    method = Munit(_recipe("unit", UNIT, steps), Assets(toys / "tinted", toys / "gray"))
    return _tint(_train(method, run), run, [HUE] * 24)


def _tint(generator: "nn.Module", run: Path, hues: Sequence[float]) -> dict[str, float]:
    """Gray pictures in the style of examples of these hues."""
    rng = np.random.default_rng(9)
    examples = [shapes.tinted(shapes.hills(rng), hue) for hue in hues]
    pictures = [shapes.gray(shapes.hills(rng)) for _ in examples]
    source, wanted = domains.stacked(pictures), domains.stacked(examples)
    made = _ask(generator, source, generator.encode(wanted))  # type: ignore[operator]
    answers = made.permute(0, 2, 3, 1).numpy()
    found = [shapes.mean_hue(each) for each in (answers, np.stack(examples) / 255)]
    likeness = [
        np.corrcoef(answer.max(2).ravel(), picture.max(2).ravel())[0, 1]
        for answer, picture in zip(answers, pictures, strict=True)
    ]
    _picture(run, [wanted, source, made], len(examples) // 2)
    return {
        "hue_error": float(shapes.hue_error(*found).mean()),
        "likeness": float(np.mean(likeness)),
    }


# Problem -> (how it is solved, its usual steps).
PROBLEMS: dict[str, tuple[Callable[[Path | None, Path, int], dict[str, float]], int]] = {
    "stargan": (stargan, 4400),
    "bicyclegan": (bicyclegan, 1300),
    "munit": (munit, 300),
    "unit": (unit, 300),
}


def _recipe(name: str, settings: list[str], steps: int):
    from training.config import load_recipe

    often = [f"steps={steps}", f"sheet_every={steps}", f"save_every={SAVE_EVERY}", "ema=0.99"]
    return load_recipe(name, [*often, *settings])


def _train(method: "Method", run: Path) -> "nn.Module":
    """Train, or go on where the run was; the averaged generator."""
    from training.checkpoint import load_checkpoint
    from training.engine import Engine

    engine = Engine(method, run, quiet=True)
    if engine.checkpoint_path.is_file():
        engine.resume()
    engine.run()
    return load_checkpoint(engine.checkpoint_path).build_generator()


def _ask(generator: "nn.Module", pictures: "Tensor", code: "Tensor") -> "Tensor":
    import torch

    with torch.no_grad():
        return generator(pictures, code).clamp(0, 1)


def _one_hot(index: int, count: int) -> "Tensor":
    from training.networks.cin import one_hot

    return one_hot(index, count)


def _tensor(array: np.ndarray) -> "Tensor":
    import torch

    return torch.from_numpy(array)


def _stack(pictures: "list[Tensor]") -> "Tensor":
    import torch

    return torch.stack(pictures)


def _along(generator: "nn.Module", source: "Tensor") -> tuple[float, float]:
    """LPIPS-squeezenet between answers to two drawn z, and the rank correlation of its distance
    from the first with the way gone from the one z to the other in ten steps, means of eight."""
    from training.methods._diversity import open_distance

    distance = open_distance(None, "cpu")
    rng, shares = np.random.default_rng(6), np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    between, monotone = [], []
    for _ in range(8):
        first, last = rng.standard_normal((2, 1, 8)).astype(np.float32)
        line = _tensor(first + shares * (last - first))
        answers = _ask(generator, source.expand(len(line), -1, -1, -1), line)
        gone = [distance(answers[:1], answers[i : i + 1]) for i in range(len(answers))]
        between.append(gone[-1])
        ranks = np.argsort(np.argsort(gone))
        monotone.append(np.corrcoef(ranks, np.arange(len(gone)))[0, 1])
    return float(np.mean(between)), float(np.mean(monotone))


def _picture(run: Path, rows: "list[Tensor]", columns: int = SHOWN) -> None:
    """Rows of pictures (N, 3, H, W), small ones enlarged to 64 px, as `pictures.png` of the run."""
    lines = [np.concatenate(list(row[:columns].permute(0, 2, 3, 1).numpy()), 1) for row in rows]
    sheet = (np.concatenate(lines) * 255 + 0.5).astype(np.uint8)
    larger = max(1, 64 // rows[0].shape[2])
    Picture.fromarray(sheet.repeat(larger, 0).repeat(larger, 1)).save(run / "pictures.png")


def run(args: argparse.Namespace) -> int:
    """Solve every problem; figures that miss their target are named and kept."""
    from ..measuring import results

    for problem in args.problems:
        if problem not in PROBLEMS:
            raise UsageError(f'no problem "{problem}", there are {", ".join(PROBLEMS)}')
    path, rows = check_result_file(args), []
    for problem in args.problems:
        solve, usual = PROBLEMS[problem]
        steps = args.steps or usual
        metrics = solve(args.data, args.output / problem, steps)
        lacking = [n for n, holds in TARGETS.items() if n in metrics and not holds(metrics[n])]
        figures = "  ".join(f"{name} {value:.3g}" for name, value in metrics.items())
        verdict = f"missed {', '.join(lacking)}" if lacking else "ok"
        say(f"{problem}: {verdict}  ({figures})", quiet=args.quiet)
        labels = {"problem": problem, "steps": steps, "missed": ", ".join(lacking)}
        rows.append(results.row(labels, metrics, ["problem"]))
    settings = {"stargan": STARGAN, "bicyclegan": BICYCLE, "munit": MUNIT, "unit": UNIT}
    deliver(args, path, results.document("sanity", rows, settings))
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
