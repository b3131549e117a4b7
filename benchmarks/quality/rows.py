"""From curves and pictures to the rows of a quality result."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..measuring.opening import Painter
from ..measuring.results import Labels, Row, row
from .curves import (
    Curve,
    Problem,
    compute_terms,
    iterations_to_reach,
    load_square,
    mean_points,
)

if TYPE_CHECKING:
    from torch import Tensor

    from training.backbones import Backbone
    from training.clip.folder import Reader

RESAMPLES = 2000  # of the bootstrap; the interval's ends then move by about 1 % of its width
CONFIDENCE = 0.95


def bootstrap_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """Percentile interval of the mean over photos (Efron 1979)."""
    data = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed).integers(len(data), size=(RESAMPLES, len(data)))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(data[picks].mean(1), [tail, 100 - tail])
    return float(low), float(high)


def rows(
    model: str,
    stylize: Painter,
    problem: Problem,
    evaluators: list[str],
    photos: list[Path],
    curves: dict[str, list[Curve]],
    seed: int,
) -> list[Row]:
    """Summaries first, then one row per photo.

    Args:
        stylize: a function of tensors (1, 3, H, W) in [0, 1].
        evaluators: other loss networks; they looked on when the curves were made.
        curves: start -> one per photo.
    """
    backbones = [problem.backbone, *evaluators]
    scored = {name: _score(stylize, problem.scored_by(name), photos) for name in backbones}
    summary, detail = [], []
    for name in backbones:
        labels = {"model": model, "size": problem.size, "backbone": name}
        evaluator = None if name == problem.backbone else name
        models = [s["model"]["total"] for s in scored[name]]
        for init, found in curves.items():
            points = [curve.points(evaluator) for curve in found]
            reached = [iterations_to_reach(p, v) for p, v in zip(points, models, strict=True)]
            summary.append(_equivalents({**labels, "init": init}, points, reached, models, seed))
            detail += [
                row(
                    {"what": "photo", **labels, "init": init, "photo": photo.stem},
                    {"iterations": i, "reached": int(ok), "total": v, "curve_end": p[-1][1]},
                )
                for photo, (i, ok), v, p in zip(photos, reached, models, points, strict=True)
            ]
        summary.append(_degenerate({**labels, "init": None}, scored[name], seed))
    return summary + detail


def relate(found: list[Row]) -> None:
    """Add "objective_ratio" to the summaries: mean objective over the least among the models of the
    same painting (those whose names begin alike: starry, starry-fast), size and loss network."""
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for item in found:
        labels = item["labels"]
        if labels["what"] == "equivalents":
            style = str(labels["model"]).partition("-")[0]
            groups.setdefault((style, labels["size"], labels["backbone"]), []).append(item)
    for items in groups.values():
        best = min(item["metrics"]["total"] for item in items)
        for item in items:
            item["metrics"]["objective_ratio"] = item["metrics"]["total"] / best


def _score(
    stylize: Painter, problem: Problem, photos: list[Path]
) -> list[dict[str, dict[str, float]]]:
    """Terms of the model's picture, the untouched photo and the painting, for each photo."""
    from ..metrics.ssim import ssim

    painting = load_square(problem.painting, problem.size)
    found = []
    for path in photos:
        photo = load_square(path, problem.size)
        pictures = {"model": stylize(photo), "photo": photo, "painting": painting}
        scores = {n: compute_terms(problem, p, photo) for n, p in pictures.items()}
        arrays = {n: p[0].permute(1, 2, 0).numpy() for n, p in pictures.items()}
        for name, array in arrays.items():
            scores[name]["ssim"] = ssim(arrays["photo"], np.ascontiguousarray(array))
        found.append(scores)
    return found


def _equivalents(
    labels: Labels,
    points: list[list[tuple[int, float]]],
    reached: list[tuple[float, bool]],
    totals: list[float],
    seed: int,
) -> Row:
    iterations = [i for i, _ in reached]
    low, high = bootstrap_interval(iterations, seed)
    at_mean, mean_reached = iterations_to_reach(mean_points(points), float(np.mean(totals)))
    metrics = {
        "iterations_mean": float(np.mean(iterations)),
        "iterations_low": low,
        "iterations_high": high,
        "iterations_median": float(np.median(iterations)),
        "iterations_min": min(iterations),
        # Photos whose model value L-BFGS never reached; each counts with the curve's length only.
        "beyond_curve": sum(not ok for _, ok in reached),
        "iterations_of_mean_curve": at_mean,
        "mean_curve_reached": int(mean_reached),
        "total": float(np.mean(totals)),
        "photos": len(totals),
    }
    return row({"what": "equivalents", **labels, "photo": None}, metrics)


def _degenerate(labels: Labels, scored: list[dict[str, dict[str, float]]], seed: int) -> Row:
    """Terms on average, and by how much the degenerate baselines lose (an interval above 0 is a
    pass)."""
    metrics: dict[str, float] = {}
    for name in ("model", "photo", "painting"):
        for term in scored[0][name]:
            metrics[f"{name}_{term}"] = float(np.mean([s[name][term] for s in scored]))
    for baseline, term in (
        ("photo", "style"),
        ("painting", "content"),
        ("photo", "total"),
        ("painting", "total"),
    ):
        margins = [s[baseline][term] - s["model"][term] for s in scored]
        metrics[f"margin_low_{baseline}_{term}"] = bootstrap_interval(margins, seed)[0]
    return row({"what": "scores", **labels, "photo": None}, metrics)


def proxies(
    model: str,
    stylize: Painter,
    problem: Problem,
    photos: list[Path],
    weights: str | None,
    seed: int,
    told: "tuple[Reader, str] | None" = None,
) -> Row:
    """LPIPS to the photo, FID and KID to square cuts of the painting, with SqueezeNet, KID with
    EfficientNet-Lite0 where it is installed (both of features on one scale), and the mean color
    histogram distance to the cuts.
    CLIP score of a text, where `told` has a user's CLIP model and the text.

    For the model and for both degenerate baselines: an untouched photo has LPIPS 0 and is far from
    the painting, the painting itself is the opposite; a picture that is both is in between.
    """
    from training.pairs import likeness

    from ..metrics import _proxies
    from ..metrics.histogram_distance import histogram_distance

    backbone = likeness.open_squeezenet(weights)
    heads = likeness.load_lpips_heads(weights)
    pictures = [load_square(path, problem.size) for path in photos]
    cuts = _cuts(problem, len(photos), seed)
    sets = {
        "model": [stylize(picture) for picture in pictures],
        "photo": pictures,
        "painting": _cuts(problem, len(photos), seed + 1),
    }
    wanted = _proxies.pooled_features(backbone, cuts)
    other = _third_evaluator()
    wanted_by_other = _proxies.pooled_features(other, cuts, "head") if other else None
    metrics: dict[str, float] = {}
    for name, made in sets.items():
        pairs = zip(made, pictures, strict=True)
        perceptual = float(np.mean([likeness.lpips(backbone, heads, a, b) for a, b in pairs]))
        features = _proxies.pooled_features(backbone, made)
        fid = _proxies.frechet_distance(features, wanted)
        metrics |= {
            f"{name}_lpips_squeezenet": perceptual,
            f"{name}_fid_squeezenet": fid,
            f"{name}_kid_squeezenet": _proxies.scaled_kernel_distance(features, wanted),
            f"{name}_artfid_squeezenet": _proxies.art_fid(perceptual, fid),
            f"{name}_histogram": float(
                np.mean(
                    [
                        histogram_distance(*(p[0].permute(1, 2, 0).numpy() for p in pair))
                        for pair in zip(made, cuts, strict=True)
                    ]
                )
            ),
        }
        if told is not None:
            reader, text = told
            words = reader.read(text).double().numpy()
            metrics[f"{name}_clip_score"] = _proxies.clip_score(_proxies.seen(reader, made), words)
        if other is not None and wanted_by_other is not None:
            seen = _proxies.pooled_features(other, made, "head")
            metrics[f"{name}_kid_efficientnet"] = _proxies.scaled_kernel_distance(
                seen, wanted_by_other
            )
    labels = {"model": model, "size": problem.size, "backbone": "squeezenet"}
    return row({"what": "stand-ins", **labels, "init": None, "photo": None}, metrics)


def _third_evaluator() -> "Backbone | None":
    """EfficientNet-Lite0, on which nothing is trained; None if it is not installed."""
    from runtime.errors import EngineUnavailable
    from training.backbones import open_backbone

    try:
        return open_backbone("efficientnet_lite0")
    except EngineUnavailable:
        return None


def _cuts(problem: Problem, count: int, seed: int) -> "list[Tensor]":
    """Random squares of the painting, at the scale its strokes were trained at."""
    from training.data.images import load_image

    side = problem.size
    painting = load_image(problem.painting, max(problem.style_size, side + 1))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        top = rng.integers(painting.shape[2] - side + 1)
        left = rng.integers(painting.shape[3] - side + 1)
        found.append(painting[:, :, top : top + side, left : left + side].contiguous())
    return found


# Of the summary, by metric: those that were measured.
STAND_INS = {
    "lpips_squeezenet": "LPIPS-squeezenet",
    "kid_squeezenet": "KID-squeezenet",
    "kid_efficientnet": "KID-efficientnet",
    "histogram": "histogram distance to the painting",
    "clip_score": "CLIP score of the text",
}


def sentences(found: list[Row]) -> list[str]:
    """The summary rows for people."""
    lines = []
    for item in found:
        labels, m = item["labels"], item["metrics"]
        head = f"{labels['model']}  {labels['size']} px  {labels['backbone']}"
        if labels["what"] == "equivalents":
            count, beyond = m["photos"], m["beyond_curve"]
            tail = f", at least ({beyond} of {count} photos beyond the curve)" if beyond else ""
            lines.append(
                f"{head}  from {labels['init']}: {m['iterations_mean']:.1f} L-BFGS iterations on "
                f"average (95 % {m['iterations_low']:.1f}-{m['iterations_high']:.1f}, "
                f"{count} photos){tail}; mean curve {m['iterations_of_mean_curve']:.1f}"
                f"{'' if m['mean_curve_reached'] else ' or more'}"
            )
        elif labels["what"] == "scores":
            lines.append(
                f"{head}: style {m['model_style']:.4f} (photo {m['photo_style']:.3f}), content "
                f"{m['model_content']:.3f} (painting {m['painting_content']:.3f}), total "
                f"{m['model_total']:.3f}, SSIM {m['model_ssim']:.3f}"
            )
            lost = m["margin_low_photo_style"] > 0 and m["margin_low_painting_content"] > 0
            lines.append(
                f"{head}: degenerate baselines {'lose, as they must' if lost else 'DO NOT LOSE'}"
            )
        elif labels["what"] == "pareto":
            k = m["excess"]
            apart = f"{k:.2f} times" if k else "not comparable with"
            lines.append(f"{head}: content and style are {apart} those of optimized pixels")
        elif labels["what"] == "stand-ins":
            told = ", ".join(
                f"{words} {m[f'model_{name}']:.3g} (photo {m[f'photo_{name}']:.3g}, painting "
                f"{m[f'painting_{name}']:.3g})"
                for name, words in STAND_INS.items()
                if f"model_{name}" in m
            )
            lines.append(f"{head}: {told}; not comparable with published LPIPS, FID or KID")
    return lines
