"""How an artifact paints, next to its source: the training objective's terms, and what moves.

A picture can be 33 dB away from another and be the better painting; so besides its difference from
the source, an artifact is judged by the loss network it was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.card import JsonObject
from runtime.errors import ParityError, UsageError
from runtime.frame import Image
from runtime.model.session import StyleSession

from ..source import ExportSource
from .photos import cover

if TYPE_CHECKING:
    from training.objective import Objective

# (width, height) judged: a camera's.
SIZE = (640, 480)
# Terms that need nothing but the picture and its photo.
TERMS = ("style", "coarse", "content", "palette", "periodicity", "phase_roughness", "tv")
# What reports call them where that differs, since their first version.
REPORTED = {"periodicity": "lock", "phase_roughness": "grid"}
# Shifts in px of `shift_error`: every phase of the 4-px grid of lean networks but zero.
SHIFTS = (1, 2, 3)
# Pixels next to the frame that a shift changes for other reasons (the network's margin and reach).
RIM = 32
# Largest allowed objective relative to the source's.
LARGEST_RATIO = {"fp32": 1.001, "fp16": 1.005, "int8": 1.02}


def evaluate(
    source: ExportSource,
    ours: StyleSession,
    theirs: StyleSession,
    photos: Sequence[Image],
    precision: str,
) -> JsonObject:
    """Mean scores of both over the photos, and their ratio.

    Args:
        source: whose recipe says how it was trained.
        ours: the source as a session.
        theirs: the artifact.
        photos: cut and scaled to `SIZE`.
        precision: key of `LARGEST_RATIO`.

    Returns:
        {"source": scores, "artefact": scores, "objective_ratio", "largest_ratio", "photos"}.

    Raises:
        UsageError: the painting or the weights of the loss network cannot be found, or the recipe
            is of a method without an objective.
    """
    objective = build_objective(source.recipe, source.path.parent)
    rows = {"source": ours, "artefact": theirs}
    scores = {name: mean_scores(session, photos, objective) for name, session in rows.items()}
    ratio = scores["artefact"]["total"] / max(scores["source"]["total"], 1e-12)
    return {
        **scores,
        "objective_ratio": ratio,
        "largest_ratio": LARGEST_RATIO[precision],
        "photos": len(photos),
        "size": f"{SIZE[0]}x{SIZE[1]}",
    }


def mean_scores(
    session: StyleSession, photos: Sequence[Image], objective: Objective
) -> dict[str, float]:
    """The objective's terms, their "total" and "shift", mean over photos scaled to `SIZE`."""
    found = [_scores(session, cover(photo, *SIZE), objective) for photo in photos]
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def refuse_worse(report: JsonObject, name: str) -> None:
    """Raise ParityError if the artifact paints worse than allowed."""
    ratio, most = report["objective_ratio"], report["largest_ratio"]
    if not ratio <= most:
        raise ParityError(
            f"{name} paints worse than its source: objective {ratio:.3f} times the source's, "
            f"at most {most} is allowed"
        )


def shift_error(session: StyleSession, photo: Image) -> float:
    """Mean squared difference of the painted shifted photo and the shifted painted photo, 0..1.

    mean over s of (G(x)[:, s:] - G(x[:, s:]))^2, without a rim; zero if nothing sticks
    to the network's grid.
    """
    most = max(SHIFTS)
    width = photo.shape[1] - most

    def paint(shift: int) -> np.ndarray:
        session.reset()
        part = np.ascontiguousarray(photo[:, shift : shift + width])
        return session.stylize(part).astype(np.float32) / 255

    still, errors = paint(0), []
    for shift in SHIFTS:
        one = still[RIM:-RIM, RIM + shift : -RIM]
        other = paint(shift)[RIM:-RIM, RIM : -RIM - shift]
        errors.append(float(np.mean((one - other) ** 2)))
    return float(np.mean(errors))


def sheet(ours: StyleSession, theirs: StyleSession, photos: Sequence[Image]) -> Image:
    """Contact sheet: photo, source, artifact, difference times eight; one row per photo."""
    rows = []
    for photo in photos:
        picture = cover(photo, *SIZE)
        theirs.reset()
        one, other = ours.stylize(picture), theirs.stylize(picture)
        difference = cv2.convertScaleAbs(cv2.absdiff(one, other), alpha=8)
        rows.append(np.hstack([picture, one, other, difference]))
    return np.vstack(rows)


def score(painted: Image, photo: Image, objective: Objective) -> dict[str, float]:
    """The objective's terms and their "total" of one painted picture."""
    import torch

    from training.data.images import to_tensor

    with torch.inference_mode():
        features = objective.content_features(to_tensor(photo))
        values = objective(to_tensor(painted), features)
    return {REPORTED.get(name, name): float(value) for name, value in values.items()}


def _scores(session: StyleSession, photo: Image, objective: Objective) -> dict[str, float]:
    session.reset()
    scores = score(session.stylize(photo), photo, objective)
    return {**scores, "shift": shift_error(session, photo)}


def build_objective(table: JsonObject, run: Path | None = None) -> Objective:
    """The objective of a recipe, as cards hold it, without the terms that need motion.

    Args:
        table: the recipe.
        run: folder of the run, in which the painting was stored.

    Raises:
        UsageError: as `evaluate`.
    """
    from training.backbones import open_backbone
    from training.config import find_data, recipe_from_dict
    from training.data.paintings import load_painting
    from training.objective import Objective

    recipe = recipe_from_dict(table)
    weights = {term: recipe.objective[term] for term in TERMS if recipe.objective.get(term)}
    if not recipe.style.image or not weights:
        raise UsageError(
            f'the checkpoint\'s recipe "{recipe.name}" names no painting or no terms of an '
            "objective for --evaluate; parity is checked without it"
        )
    painting = load_painting(find_data(recipe.style.image, "style", run), recipe.style.size)
    layers = dict.fromkeys(recipe.backbone.style_layers, 1.0)
    return Objective(
        open_backbone(recipe.backbone.name),
        painting,
        layers,
        recipe.backbone.content_layers,
        weights,
    )
