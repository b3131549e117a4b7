"""Where pruning stops paying: several sizes of a network, their milliseconds and their objective.

Time is measured on the engine that will run the file, in rounds in which every size paints once, in
an order that changes, so that a machine that slows down slows all of them. On one thread it is the
processor's time, which stands still while another process has the core. Multiplications are not
counted anywhere: half of them is not half of the time.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from runtime import plugins
from runtime.card import JsonObject
from runtime.errors import UsageError
from runtime.frame import Image
from runtime.model.session import StyleSession, open_session
from training.checkpoint import load_checkpoint

from .. import targets
from ..distill import student_recipe
from ..source import load_source
from ..targets import Options
from ..verify import evaluator
from ..verify.photos import cover, load_photos
from ..verify.report import Report
from . import checkpoint as pruned_run
from . import pruning

# Photos the objective is computed on.
JUDGED_PHOTOS = 3
# Photos that set the ranges of int8 files.
CALIBRATION_PHOTOS = 32
# Objective of a pruned network relative to its source's that is still worth having: what a default
# student is allowed.
MOST_RATIO = 1.10
# Times faster a size must be, at the lower end of its interval: less is another day's weather.
LEAST_GAIN = 1.05
# Resamplings behind a 95 % interval (Efron 1979), and their seed.
RESAMPLINGS, SEED = 2000, 0


@dataclass(frozen=True)
class Plan:
    """What to sweep; the fields are the command's flags."""

    checkpoint: Path
    output: Path
    keeps: tuple[float, ...]
    blocks: tuple[int, ...] = ()
    multiple: int = 16
    photos: Path | None = None
    steps: int = 0
    settings: tuple[str, ...] = ()
    style: Path | None = None
    content: Path | None = None
    weights: Path | None = None
    target: str = "onnx"
    precision: str = "fp32"
    size: tuple[int, int] = (640, 480)
    rounds: int = 15
    threads: int | None = None


@dataclass(frozen=True)
class Point:
    """One size of the network.

    Attributes:
        label: "c32n3": width and blocks.
        width, blocks: of its configuration.
        ms: median of a whole picture.
        faster: times faster than the source, median over the rounds.
        faster_low, faster_high: 95 % interval of that.
        objective: mean over photos.
        ratio: objective relative to the source's.
        bytes: of the file.
    """

    label: str
    width: int
    blocks: int
    ms: float
    faster: float
    faster_low: float
    faster_high: float
    objective: float
    ratio: float
    bytes: int


def sweep(plan: Plan, tell: Callable[[str], None]) -> Report:
    """Prune to every size, train on if steps are given, measure and judge.

    Returns:
        {"verdict", "points", "pareto", "worth", ...}: plain data.

    Raises:
        UsageError: no sizes, or the painting or the loss network cannot be found.
    """
    source = load_source(plan.checkpoint, "source")
    objective = evaluator.build_objective(source.recipe)
    checkpoints = {name: path for name, path in _checkpoints(plan, tell)}
    photos = load_photos(plan.photos, JUDGED_PHOTOS)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        sessions, sizes = {}, {}
        for name, path in checkpoints.items():
            tell(f"writing {name} for {plan.target}")
            written = _write(plan, path, name, Path(folder))
            sizes[name] = sum(p.stat().st_size for p in written.parent.iterdir())
            engine = plugins.load(targets, plan.target).engine
            sessions[name] = stack.enter_context(
                open_session(written, engine=engine, threads=plan.threads)
            )
        tell(f"measuring {len(sessions)} sizes in {plan.rounds} rounds")
        photo, clock = cover(photos[0], *plan.size), _clock(plan.threads)
        seconds = interleave(sessions, photo, plan.rounds, clock)
        tell("judging with the loss network it was trained with")
        totals = {
            name: evaluator.mean_scores(session, photos, objective)["total"]
            for name, session in sessions.items()
        }
        device = next(iter(sessions.values())).device
    base = next(iter(checkpoints))
    points = [
        _point(name, load_checkpoint(path).network, seconds, totals, base, sizes[name])
        for name, path in checkpoints.items()
    ]
    return {
        "checkpoint": plan.checkpoint.name,
        "target": plan.target,
        "precision": plan.precision,
        "device": device,
        "size": "{}x{}".format(*plan.size),
        "rounds": plan.rounds,
        "threads": plan.threads,
        "clock": "processor" if plan.threads == 1 else "wall",
        "steps": plan.steps,
        "most_ratio": MOST_RATIO,
        "least_gain": LEAST_GAIN,
        "points": [asdict(point) for point in points],
        "pareto": [point.label for point in pareto(points)],
        "worth": [point.label for point in worth(points)],
        "verdict": verdict(points, plan.steps),
    }


def interleave(
    sessions: dict[str, StyleSession],
    photo: Image,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, np.ndarray]:
    """Seconds of a whole picture, (rounds,) per session; one round before does not count."""
    order = random.Random(SEED)
    found: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(rounds + 1):
        names = list(sessions)
        order.shuffle(names)
        for name in names:
            started = clock()
            sessions[name].stylize(photo)
            if number:
                found[name].append(clock() - started)
    return {name: np.array(values) for name, values in found.items()}


def _clock(threads: int | None) -> Callable[[], float]:
    """More threads spin while they wait, which counts as work: only one is timed by its work."""
    return time.process_time if threads == 1 else time.perf_counter


def faster(base: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Median over rounds of base / other, and its 95 % bootstrap interval."""
    ratios = base / other
    picks = np.random.default_rng(SEED).integers(0, len(ratios), (RESAMPLINGS, len(ratios)))
    low, high = np.percentile(np.median(ratios[picks], axis=1), (2.5, 97.5))
    return float(np.median(ratios)), float(low), float(high)


def pareto(points: Sequence[Point]) -> list[Point]:
    """Those that no other point beats in time and objective both, slowest first."""
    kept = [
        point
        for point in points
        if not any(
            other.ms <= point.ms
            and other.ratio <= point.ratio
            and (other.ms, other.ratio) != (point.ms, point.ratio)
            for other in points
        )
    ]
    return sorted(kept, key=lambda point: -point.ms)


def worth(points: Sequence[Point]) -> list[Point]:
    """Those of the front that are faster than the source, certainly, and not too much worse."""
    return [
        point
        for point in pareto(points)
        if point.faster_low >= LEAST_GAIN and point.ratio <= MOST_RATIO
    ]


def verdict(points: Sequence[Point], steps: int) -> str:
    """One sentence: how far pruning pays, or that it does not."""
    after = f"after {steps} steps of distillation" if steps else "before any training"
    good = worth(points)
    others = points[1:]
    if not good:
        quick = [point for point in others if point.faster_low >= LEAST_GAIN]
        if not quick:
            most = max(others, key=lambda point: point.faster)
            return (
                f"not worth it here: the fastest, {most.label}, is {most.faster:.2f} times as fast "
                f"({most.faster_low:.2f}..{most.faster_high:.2f}); {LEAST_GAIN:.2f} is the least"
            )
        best = min(quick, key=lambda point: point.ratio)
        return (
            f"not worth it here {after}: the best of the faster ones, {best.label}, has "
            f"{best.ratio:.3f} times the objective; {MOST_RATIO:.2f} is allowed"
        )
    last = good[-1]
    text = (
        f"pruning pays down to {last.label} {after}: {last.faster:.2f} times as fast "
        f"({last.faster_low:.2f}..{last.faster_high:.2f}), {last.ratio:.3f} times the objective"
    )
    further = [point for point in others if point.ms < last.ms]
    if not further:
        return f"{text}; nothing smaller was tried"
    near = max(further, key=lambda point: point.ms)
    return (
        f"{text}; it stops there: {near.label} is {near.faster:.2f} times as fast and has "
        f"{near.ratio:.3f} times the objective"
    )


def _checkpoints(plan: Plan, tell: Callable[[str], None]) -> list[tuple[str, Path]]:
    """(label, checkpoint) of the source and of every size, made."""
    network = load_checkpoint(plan.checkpoint).network
    generator = load_checkpoint(plan.checkpoint).build_generator()
    pruning.check_network(generator)
    widths = {network["width"]} | {
        pruning.rounded(network["width"], keep, plan.multiple) for keep in plan.keeps
    }
    depths = {*plan.blocks} or {network["blocks"]}
    if max(depths) > network["blocks"]:
        raise UsageError(f"--blocks {max(depths)}: the network has {network['blocks']}")
    whole = (network["width"], network["blocks"])
    shapes = [(w, b) for w in sorted(widths)[::-1] for b in sorted(depths)[::-1] if (w, b) != whole]
    if not shapes:
        raise UsageError(
            f"no smaller size: widths are multiples of {plan.multiple} and the network has "
            f"{network['width']}; change --keep, --multiple or --blocks"
        )
    found = [(_label(*whole), plan.checkpoint)]
    for width, blocks in shapes:
        label = _label(width, blocks)
        path = plan.output / label / "last.safetensors"
        tell(f"pruning to {label}")
        pruned_run.make(
            plan.checkpoint,
            path,
            width=width,
            blocks=blocks,
            multiple=1,  # rounded above
            photos=plan.photos,
        )
        found.append((label, _train_on(plan, path, tell) if plan.steps else path))
    return found


def _train_on(plan: Plan, pruned: Path, tell: Callable[[str], None]) -> Path:
    """Distill the source into a pruned network; returns the checkpoint."""
    from training import methods
    from training.engine import Engine
    from training.methods import Assets

    settings = [f"steps={plan.steps}", *plan.settings]
    recipe = student_recipe(plan.checkpoint, str(pruned), settings)
    assets = Assets(plan.style, plan.content, plan.weights)
    output = pruned.parent.with_name(pruned.parent.name + "-trained")
    (output / "log.jsonl").unlink(missing_ok=True)
    tell(f"training {pruned.parent.name} on for {plan.steps} steps")
    engine = Engine(plugins.load(methods, recipe.method)(recipe, assets), output, quiet=True)
    engine.run()
    return engine.checkpoint_path


def _write(plan: Plan, checkpoint: Path, name: str, folder: Path) -> Path:
    """The file that is measured, in a folder of its own."""
    target = plugins.load(targets, plan.target)
    path = folder / name / f"{name}{target.suffix}"
    path.parent.mkdir()
    count = CALIBRATION_PHOTOS if plan.precision == "int8" else JUDGED_PHOTOS
    photos = load_photos(plan.photos, count)
    size = plan.size if target.default_size is not None else None
    target.write(load_source(checkpoint, name), path, Options(plan.precision, size, photos=photos))
    return path


def _point(
    name: str,
    network: JsonObject,
    seconds: dict[str, np.ndarray],
    totals: dict[str, float],
    base: str,
    size: int,
) -> Point:
    gain, low, high = faster(seconds[base], seconds[name])
    return Point(
        label=name,
        width=network["width"],
        blocks=network["blocks"],
        ms=1e3 * float(np.median(seconds[name])),
        faster=gain,
        faster_low=low,
        faster_high=high,
        objective=totals[name],
        ratio=totals[name] / max(totals[base], 1e-12),
        bytes=size,
    )


def _label(width: int, blocks: int) -> str:
    return f"c{width}n{blocks}"
