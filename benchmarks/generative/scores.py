"""What generated pictures are compared with, and by whom."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.frame import Image

from ..metrics import _proxies
from . import digits

if TYPE_CHECKING:
    from torch import Tensor

Distance = Callable[[np.ndarray, np.ndarray], float]
LEAST_SHARE = 0.02  # of the pictures that a digit is, or it counts as lost; all alike would be 0.1
SEEN_AT_ONCE = 16  # pictures that a network looks at
STYLED = 3  # generated pictures that AdaIN takes as its style


def against(
    name: str, distance: Distance, before: np.ndarray, after: np.ndarray, real: np.ndarray
) -> dict[str, float]:
    """Distances of features (n, d) to those of real pictures, and what is left of the first."""
    first, last = distance(before, real), distance(after, real)
    return {f"{name}_before": first, f"{name}_after": last, f"{name}_left": last / first}


def of_digits(before: "Tensor", after: "Tensor") -> dict[str, float]:
    """How near generated digits are to written ones, and whether all ten are among them.

    FID and KID are of the features of a small network that reads digits (`digits.Reader`).

    Args:
        before, after: (N, 3, 16, 16) in [0, 1], of the untrained and of the trained generator.
    """
    reader = digits.Reader()
    real = reader.read(digits.load()[0])[1]
    (_, first), (labels, last) = (reader.read(p.mean(1).numpy()) for p in (before, after))
    shares = np.bincount(labels, minlength=10) / len(labels)
    return {
        **against("fid", _proxies.frechet_distance, first, last, real),
        **against("kid", _proxies.kernel_distance, first, last, real),
        "kid_of_halves": _proxies.kernel_distance(real[::2], real[1::2]),
        "digits_found": float((shares >= LEAST_SHARE).sum()),
        "rarest_share": float(shares.min()),
        "reader_accuracy": reader.accuracy,
    }


def of_paintings(
    before: "Tensor", after: "Tensor", real: "Tensor", weights: str | None
) -> dict[str, float]:
    """How near generated squares are to squares of paintings: KID by SqueezeNet ("kid"), and by
    EfficientNet-Lite0 ("judge_kid") where it is installed; Inception Score by SqueezeNet's classes;
    how much the squares differ from one another, as a share of how much real ones do. No FID: of so
    few pictures it is mostly bias.

    KID is of features on one scale (`_proxies.on_one_scale`). What it says of real squares tells
    how strict it is (`nulls`).

    Args:
        before, after, real: (N, 3, 64, 64) in [0, 1].
        weights: folder of pretrained weights.
    """
    from runtime.errors import EngineUnavailable
    from training.backbones import open_backbone
    from training.methods._diversity import diversity, open_distance
    from training.pairs import likeness

    backbone = likeness.open_squeezenet(weights)
    judges = {"kid": (backbone, _proxies.FEATURE_LAYER)}
    with suppress(EngineUnavailable):
        judges["judge_kid"] = (open_backbone("efficientnet_lite0"), "head")
    found: dict[str, float] = {}
    for name, (judge, layer) in judges.items():

        def see(pictures: "Tensor", judge=judge, layer=layer) -> np.ndarray:
            return _proxies.pooled_features(judge, list(pictures.split(SEEN_AT_ONCE)), layer)

        known = see(real)
        first, last = (_proxies.on_one_scale(see(each), known) for each in (before, after))
        own = _proxies.on_one_scale(known, known)
        found |= against(name, _proxies.kernel_distance, first, last, own)
        for change, changed in nulls(real[::2]).items():
            features = _proxies.on_one_scale(see(changed), known)
            found[f"{name}_of_{change}"] = _proxies.kernel_distance(features, own[1::2])
    if "classes" in backbone.layers:
        for name, pictures in (("inception_score", after), ("real_inception_score", real)):
            probabilities = _proxies.class_probabilities(backbone, list(pictures.split(1)))
            found[name] = _proxies.inception_score(probabilities)
    distance = open_distance(Path(weights) if weights else None, "cpu")
    shown = slice(0, 12)
    found["diversity"] = diversity(after[shown], distance) / diversity(real[shown], distance)
    return found


def nulls(real: "Tensor") -> "dict[str, Tensor]":
    """Half of the real pictures, to be compared with the others: as they are (nothing is left of
    the distance), at half their resolution, without colors, and the mean color of each only."""
    from torch.nn import functional as F

    halved = F.interpolate(F.avg_pool2d(real, 2), scale_factor=2, mode="bilinear")
    return {
        "halves": real,
        "halved": halved,
        "gray": real.mean(1, keepdim=True).expand_as(real),
        "flat": real.mean((2, 3), keepdim=True).expand_as(real),
    }


def as_style(squares: list[Image], photo: Image, model: str) -> dict[str, float]:
    """Whether AdaIN paints in the colors of generated pictures: how far the painted photo's mean
    color is from its style's, as a share of how far the photo's own is.

    Args:
        squares: generated pictures, (H, W, 3) uint8.
        photo: what is painted.
        model: the AdaIN model, name or file.
    """
    from runtime.model.session import open_session

    left, own = 0.0, 0.0
    with open_session(model) as session:
        for square in squares[:STYLED]:
            painted, wanted = session.stylize(photo, style=square), square.mean((0, 1))
            left += float(np.abs(painted.mean((0, 1)) - wanted).mean())
            own += float(np.abs(photo.mean((0, 1)) - wanted).mean())
    return {"style_color_left": left / own}
