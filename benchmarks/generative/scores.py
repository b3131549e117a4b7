"""What generated pictures are compared with, and by whom."""

from collections.abc import Callable
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
    """How near generated squares are to squares of paintings: KID by SqueezeNet, and by
    EfficientNet-Lite0 where it is installed; Inception Score by SqueezeNet's classes; how much the
    squares differ from one another, as a share of how much real ones do. No FID: of so few pictures
    it is mostly bias. `kid_of_halved` says how strict that KID is: every other real square at half
    its resolution, compared with the rest.

    Args:
        before, after, real: (N, 3, 64, 64) in [0, 1].
        weights: folder of pretrained weights.
    """
    from torch.nn import functional as F

    from runtime.errors import EngineUnavailable
    from training.backbones import open_backbone
    from training.methods._diversity import diversity, open_distance
    from training.pairs import likeness

    backbone = likeness.open_squeezenet(weights)
    sets = [list(pictures.split(1)) for pictures in (before, after, real)]
    seen = [_proxies.pooled_features(backbone, pictures) for pictures in sets]
    found = against("kid", _proxies.kernel_distance, *seen)
    halved = F.interpolate(F.avg_pool2d(real[::2], 2), scale_factor=2, mode="bilinear")
    soft = _proxies.pooled_features(backbone, list(halved.split(1)))
    found["kid_of_halved"] = _proxies.kernel_distance(soft, seen[2][1::2])
    try:
        judge = open_backbone("efficientnet_lite0")
    except EngineUnavailable:
        judge = None
    if judge is not None:
        seen = [_proxies.pooled_features(judge, pictures, "head") for pictures in sets]
        first, last = (_proxies.kernel_distance(part, seen[2]) for part in seen[:2])
        found["judge_kid_left"] = last / first
    if "classes" in backbone.layers:
        for name, pictures in (("inception_score", sets[1]), ("real_inception_score", sets[2])):
            probabilities = _proxies.class_probabilities(backbone, pictures)
            found[name] = _proxies.inception_score(probabilities)
    distance = open_distance(Path(weights) if weights else None, "cpu")
    shown = slice(0, 12)
    found["diversity"] = diversity(after[shown], distance) / diversity(real[shown], distance)
    return found


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
