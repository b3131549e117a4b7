"""Content against style: what L-BFGS reaches when the style weighs more or less.

A model answers to one weight; optimizing pixels with several weights draws the line that no
picture is known to pass (content low and style low at once). How far above it a model lies says how
much its speed costs, whatever weight it was trained with.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..measuring.opening import Painter
from ..measuring.results import Metrics, Row, row
from .curves import Problem, Start, compute_terms, curve, load_square

Point = tuple[float, float]  # (content, style), unweighted terms


def weighted(problem: Problem, factor: float) -> Problem:
    """The problem with its style weight multiplied."""
    weights = tuple((t, w * factor if t == "style" else w) for t, w in problem.weights)
    return replace(problem, weights=weights)


def excess(points: Sequence[Point], point: Point) -> float | None:
    """By what factor both content and style of a point exceed the frontier; None where no factor
    leads onto it.

        k with (content / k, style / k) on the line, which is straight between points in logarithms

    Args:
        points: of the frontier, in any order, positive.
        point: of the model.
    """
    # Dividing by k moves along the diagonal of the logarithms: there lies a crossing where
    # d = log style - log content of the line passes that of the point.
    logs = sorted((math.log(c), math.log(s)) for c, s in points)
    x, y = math.log(point[0]), math.log(point[1])
    for (x0, y0), (x1, y1) in pairwise(logs):
        d0, d1 = (y0 - x0) - (y - x), (y1 - x1) - (y - x)
        if d0 * d1 <= 0 and d0 != d1:
            share = d0 / (d0 - d1)
            return math.exp(x - (x0 + share * (x1 - x0)))
    return None


def rows(
    model: str,
    stylize: Painter,
    problem: Problem,
    photos: Sequence[Path],
    factors: Sequence[float],
    evaluations: int,
    folder: Path,
) -> list[Row]:
    """One row per weight, and one that sets the model against the line; means over the photos.

    Args:
        stylize: a function of tensors (1, 3, H, W) in [0, 1].
        factors: of the problem's style weight.
        evaluations: of L-BFGS, from the photo.
        folder: of kept curves.
    """
    labels = {"model": model, "size": problem.size, "backbone": problem.backbone, "init": None}
    start = Start("content", evaluations)
    found: list[Row] = []
    points: list[Point] = []
    for factor in sorted(factors):
        ends = [curve(weighted(problem, factor), start, photo, [], folder).end for photo in photos]
        content, style = (float(np.mean([e[term] for e in ends])) for term in ("content", "style"))
        points.append((content, style))
        metrics: Metrics = {"content": content, "style": style, "photos": len(photos)}
        what = {"what": "frontier", **labels, "photo": None, "style_weight": f"x {factor:g}"}
        found.append(row(what, metrics))
    pictures = [load_square(path, problem.size) for path in photos]
    terms = [compute_terms(problem, stylize(picture), picture) for picture in pictures]
    content, style = (float(np.mean([t[term] for t in terms])) for term in ("content", "style"))
    metrics = {
        "content": content,
        "style": style,
        "photos": len(photos),
        "excess": excess(points, (content, style)),
    }
    what = {"what": "pareto", **labels, "photo": None, "style_weight": "the model"}
    return [*found, row(what, metrics)]
