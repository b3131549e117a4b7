"""What L-BFGS reaches after k iterations, per photo: the yardstick of `benchmarks.quality`.

A curve belongs to a problem (painting, loss network, weights, size, start), not to a model, so it
is computed once, kept in a folder of small JSON files, and shared by every model judged later.
Other loss networks may look on: they score the pictures at chosen iterations without steering.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..measuring.results import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from training.objective import Objective

# Part of every key: raise it when the meaning of a curve changes.
VERSION = 3  # 3: with the coarse term, where a recipe has one
# Iterations at which the onlookers score; dense where the curve is steep.
LOOKS = (0, 1, 2, 3, 5, 7, 10, 13, 16, 20, 25, 30, 36, 43, 51, 60, 70, 85, 100, 119)
LOOKS += tuple(range(140, 1001, 20))
# Layers of the loss networks that lack the recipe's: style, content. Those of SqueezeNet and
# of EfficientNet are at strides 2, 4, 8 and 16, as relu1_1 ... relu4_1 are at 1, 2, 4 and 8.
LAYERS = {
    "efficientnet_lite0": (("stage1", "stage2", "stage3", "stage5"), ("stage3",)),
    "squeezenet": (("relu1", "fire3", "fire5", "fire7"), ("fire5",)),
    "vgg19_low": (("relu1_1", "relu2_1", "relu3_1"), ("relu3_1",)),
}
# Terms that judge a picture; "motion" and the grid-artifact losses speak about networks.
PICTURE_TERMS = ("style", "coarse", "content", "tv", "range", "palette")


@dataclass(frozen=True)
class Problem:
    """What is minimized. Plain values, so that it can cross to another process.

    Attributes:
        painting: file of the style picture.
        style_size: its short side in px.
        backbone: loss network.
        style_layers, content_layers: of the loss network.
        weights: (term, weight) pairs.
        size: side of the square photo in px.
        weights_path: file or folder of the loss network's weights, or None.
        recolor: (folder of photos, short side, limit) whose colors the painting takes first, or
            None.
    """

    painting: str
    style_size: int
    backbone: str
    style_layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    weights: tuple[tuple[str, float], ...]
    size: int
    weights_path: str | None = None
    recolor: tuple[str, int, int] | None = None

    def describe(self) -> Facts:
        """For the record: plain JSON, without folders."""
        facts = json.loads(json.dumps(asdict(self)))
        del facts["weights_path"], facts["recolor"]
        facts["recolored"] = self.recolor is not None
        return {**facts, "painting": Path(self.painting).name}

    def scored_by(self, backbone: str) -> "Problem":
        """The same problem in the features of another loss network."""
        if backbone == self.backbone:
            return self
        style, content = LAYERS.get(backbone, (self.style_layers, self.content_layers))
        return replace(self, backbone=backbone, style_layers=style, content_layers=content)


@dataclass(frozen=True)
class Start:
    """Where and how long L-BFGS runs."""

    init: str  # "content" or "noise"
    evaluations: int
    seed: int = 0


@dataclass(frozen=True)
class Curve:
    """Totals by iteration; index 0 is the start.

    Attributes:
        totals: of the problem's own loss network, after 0, 1, 2, ... iterations.
        looks: other loss network -> {iteration: total}.
        end: terms of the best picture that was seen, unweighted.
    """

    totals: list[float]
    looks: dict[str, dict[int, float]]
    end: dict[str, float]

    def points(self, evaluator: str | None = None) -> list[tuple[int, float]]:
        """(iteration, total) in order, of an onlooker or of the loss network itself."""
        if evaluator is None:
            return list(enumerate(self.totals))
        return sorted(self.looks[evaluator].items())


def iterations_to_reach(points: Sequence[tuple[int, float]], value: float) -> tuple[float, bool]:
    """Iterations after which L-BFGS is for the first time as good as `value`.

    Between two points the logarithm of the total is taken as linear.

    Args:
        points: (iteration, total), ascending.
        value: the total of the picture that is judged.

    Returns:
        (iterations, reached); where the curve ends above `value`, its last iteration and False: a
        lower bound.
    """
    best_at, best = points[0]
    if best <= value:
        return float(best_at), True
    for iteration, total in points[1:]:
        if total >= best:
            continue
        if total <= value:
            share = math.log(best / value) / math.log(best / total)
            return best_at + share * (iteration - best_at), True
        best_at, best = iteration, total
    return float(points[-1][0]), False


def mean_points(curves: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """The mean of several curves over the iterations they share (the form of Johnson's Fig. 5)."""
    shared = set.intersection(*({i for i, _ in curve} for curve in curves))
    tables = [dict(curve) for curve in curves]
    return [(i, sum(table[i] for table in tables) / len(tables)) for i in sorted(shared)]


def load_square(path: str | Path, size: int) -> "Tensor":
    """A photo as (1, 3, size, size): short side resized, center cut."""
    from training.data.images import load_image

    image = load_image(path, size)
    top, left = (image.shape[2] - size) // 2, (image.shape[3] - size) // 2
    return image[:, :, top : top + size, left : left + size].contiguous()


@lru_cache(maxsize=8)
def open_objective(problem: Problem) -> "Objective":
    """The problem's `training.objective.Objective`; the few last ones are kept."""
    from training.backbones import open_backbone
    from training.data.images import Photos, load_image, recolored
    from training.objective import Objective

    painting = load_image(problem.painting, problem.style_size)
    if problem.recolor is not None:
        folder, short_side, limit = problem.recolor
        painting = recolored(painting, Photos(folder, short_side, limit).images)
    return Objective(
        open_backbone(problem.backbone, problem.weights_path),
        painting,
        dict.fromkeys(problem.style_layers, 1.0),
        problem.content_layers,
        dict(problem.weights),
    )


def compute_terms(problem: Problem, image: "Tensor", photo: "Tensor") -> dict[str, float]:
    """Every term, unweighted, and the total of a picture (1, 3, H, W)."""
    import torch

    objective = open_objective(problem)
    with torch.no_grad():
        values = objective(image, objective.content_features(photo))
    return {name: float(value) for name, value in values.items()}


class _Watched:
    """An objective that lets others score the picture at chosen iterations."""

    def __init__(self, problem: Problem, evaluators: Sequence[str], photo: "Tensor") -> None:
        self.objective = open_objective(problem)
        self.content_features = self.objective.content_features
        self.evaluators = {name: open_objective(problem.scored_by(name)) for name in evaluators}
        self.contents = {
            name: evaluator.content_features(photo) for name, evaluator in self.evaluators.items()
        }
        self.looks: dict[str, dict[int, float]] = {name: {} for name in evaluators}
        self.iteration = 0

    def __call__(self, pixels: "Tensor", content: "dict[str, Tensor]") -> "dict[str, Tensor]":
        if self.iteration in LOOKS:
            self._look(pixels.detach().clamp(0, 1))
        self.iteration += 1
        return self.objective(pixels, content)

    def _look(self, seen: "Tensor") -> None:
        import torch

        with torch.no_grad():
            for name, evaluator in self.evaluators.items():
                total = evaluator(seen, self.contents[name])["total"]
                self.looks[name][self.iteration] = float(total)


def curve(
    problem: Problem, start: Start, photo_path: Path, evaluators: Sequence[str], folder: Path
) -> Curve:
    """The curve of one photo: from `folder`, or computed and left there."""
    path = folder / f"{_key(problem, start, photo_path)}.json"
    if path.is_file():
        kept = json.loads(path.read_text("utf-8"))
        looks = {j: {int(k): v for k, v in t.items()} for j, t in kept["looks"].items()}
        if set(evaluators) <= set(looks):
            return Curve(kept["totals"], looks, kept["end"])
    import torch

    from training.optimize import optimize_image

    torch.set_num_threads(1)  # several processes share the cores
    photo = load_square(photo_path, problem.size)
    watched: Any = _Watched(problem, evaluators, photo)
    result = optimize_image(photo, watched, start.evaluations, init=start.init, seed=start.seed)
    end = compute_terms(problem, result.image, photo)
    found = Curve(result.history, watched.looks, end)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    about = {"photo": photo_path.name, "problem": asdict(problem), "start": asdict(start)}
    partial.write_text(json.dumps({**about, **asdict(found)}), encoding="utf-8")
    partial.replace(path)
    return found


def _key(problem: Problem, start: Start, photo_path: Path) -> str:
    """Everything that decides a curve; files by content, so that a moved folder changes nothing."""
    facts = asdict(problem) | asdict(start) | {"version": VERSION}
    facts["painting"] = _sha256(Path(problem.painting))
    facts["photo"] = _sha256(photo_path)
    del facts["weights_path"]
    if facts["recolor"] is None:
        del facts["recolor"]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


@lru_cache(maxsize=256)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
