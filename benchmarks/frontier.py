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
from typing import Any

import numpy as np

from .curves import Problem, Start, compute_terms, curve, load_square
from .results import row

Point = tuple[float, float]  # (content, style), unweighted terms


def weighted(problem: Problem, factor: float) -> Problem:
    """The problem with its style weight multiplied."""
    weights = tuple((t, w * factor if t == "style" else w) for t, w in problem.weights)
    return replace(problem, weights=weights)


def style_at(points: Sequence[Point], content: float) -> float | None:
    """The frontier's style at a content, straight between points in logarithms; None outside.

    Args:
        points: of the frontier, in any order, positive.
    """
    ordered = sorted(points)
    for (left, above), (right, below) in pairwise(ordered):
        if left <= content <= right:
            share = math.log(content / left) / math.log(right / left) if right > left else 0.0
            return math.exp(math.log(above) * (1 - share) + math.log(below) * share)
    return None


def rows(
    model: str,
    stylize: Any,
    problem: Problem,
    photos: Sequence[Path],
    factors: Sequence[float],
    evaluations: int,
    folder: Path,
) -> list[dict[str, Any]]:
    """One row per weight, and one that sets the model against the line; means over the photos.

    Args:
        stylize: a function of tensors (1, 3, H, W) in [0, 1].
        factors: of the problem's style weight.
        evaluations: of L-BFGS, from the photo.
        folder: of kept curves.
    """
    labels = {"model": model, "size": problem.size, "backbone": problem.backbone, "init": None}
    start = Start("content", evaluations)
    found, points = [], []
    for factor in sorted(factors):
        ends = [curve(weighted(problem, factor), start, photo, [], folder).end for photo in photos]
        point = tuple(float(np.mean([end[term] for end in ends])) for term in ("content", "style"))
        points.append(point)
        metrics = {"content": point[0], "style": point[1], "photos": len(photos)}
        what = {"what": "frontier", **labels, "photo": None, "style_weight": f"x {factor:g}"}
        found.append(row(what, metrics))
    pictures = [load_square(path, problem.size) for path in photos]
    terms = [compute_terms(problem, stylize(picture), picture) for picture in pictures]
    content, style = (float(np.mean([t[term] for t in terms])) for term in ("content", "style"))
    least = style_at(points, content)  # type: ignore[arg-type]
    metrics = {
        "content": content,
        "style": style,
        "photos": len(photos),
        "frontier_style": least,
        "style_ratio": style / least if least else None,
    }
    what = {"what": "pareto", **labels, "photo": None, "style_weight": "the model"}
    return [*found, row(what, metrics)]
