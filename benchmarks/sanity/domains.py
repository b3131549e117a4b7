"""Four domains made of photos and paintings, and a classifier that never saw a network's picture.

content   photos that have colors, as they are
hue       such photos whose red is green, green blue, blue red, of twice the saturation
ink       dark lines on white where a photo has edges
monet     paintings by Claude Monet

Photos without colors have no hue to turn: they are drawn only.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as Picture

from runtime.frame import Image

if TYPE_CHECKING:
    from torch import Tensor

    from training.backbones import Backbone

    Classifier = Callable[[Tensor], Tensor]  # (N, 3, SIDE, SIDE) -> domain of each

SIDE = 64  # px of a toy picture
CUT_FROM = 72  # px of those to learn from, out of which such squares are cut
SATURATION = 2.0  # of the turned photos
COLORED = 0.1  # mean of max(R, G, B) - min(R, G, B) from which a photo has colors: seven of ten do
INK = 3.0  # darkness of a line, times the slope of the brightness
# Pictures by what they are for: none is in two of these.
PARTS = {"training": (0, 180), "classifier": (180, 300)}
LAYERS = ("relu1", "fire3", "fire5", "fire9")  # of SqueezeNet, for the classifier
DECAY = 0.1  # weight decay of the classifier: it has more features than pictures
BATCH = 32


def as_it_is(image: Image) -> Image:
    """The picture."""
    return image


def hue_turned(image: Image) -> Image:
    """Red becomes green, green blue, blue red, with twice the saturation."""
    turned = image[..., [2, 0, 1]].astype(np.float32)
    gray = turned.mean(2, keepdims=True)
    return np.clip(gray + SATURATION * (turned - gray), 0, 255).astype(np.uint8)


def inked(image: Image) -> Image:
    """Lines on white: 1 - INK * |slope of the blurred brightness|."""
    gray = cv2.GaussianBlur(image.mean(2).astype(np.float32) / 255, (0, 0), 0.7)
    slope = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 4
    lines = np.clip(1 - INK * slope, 0, 1)[..., None]
    return np.repeat((lines * 255).astype(np.uint8), 3, 2)


# Domain -> what is done to its pictures.
DOMAINS: dict[str, Callable[[Image], Image]] = {
    "content": as_it_is,
    "hue": hue_turned,
    "ink": inked,
    "monet": as_it_is,
}
NAMES = tuple(DOMAINS)


def square(path: Path, side: int = SIDE) -> Image:
    """The middle of a picture, (side, side, 3)."""
    with Picture.open(path) as file:
        picture = file.convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(picture.resize((side, side), Picture.Resampling.LANCZOS, box))


@lru_cache(1)
def sources(data: Path) -> dict[str, list[Path]]:
    """The pictures of each domain; none is in two of them."""
    photos = sorted((data / "content").glob("*.jpg"))
    colored = [path for path in photos if np.ptp(square(path, 16), 2).mean() >= 255 * COLORED]
    most = PARTS["classifier"][1]
    content, hue = colored[:most], colored[most : 2 * most]
    taken = {*content, *hue}
    ink = [path for path in photos if path not in taken]
    paintings = sorted((data / "monet").glob("*.jpg"))
    return {"content": content, "hue": hue, "ink": ink, "monet": paintings}


def pictures(data: Path, domain: str, part: str, side: int = SIDE) -> list[Image]:
    """The squares of a domain that are for `part`."""
    change, paths = DOMAINS[domain], sources(data)[domain][slice(*PARTS[part])]
    return [np.ascontiguousarray(change(square(path, side))) for path in paths]


def write(folder: Path, data: Path, part: str, domains: tuple[str, ...] = NAMES) -> Path:
    """Each domain's squares in a folder of its own."""
    for domain in domains:
        (folder / domain).mkdir(parents=True)
        for index, image in enumerate(pictures(data, domain, part, CUT_FROM)):
            Picture.fromarray(image).save(folder / domain / f"{index:03d}.png")
    return folder


def stacked(images: list[Image]) -> "Tensor":
    """(N, 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()).float() / 255


def classifier(data: Path, weights: Path | None = None) -> tuple["Classifier", float]:
    """Tells the domains apart by features of SqueezeNet, trained on pictures of its own, and the
    share of a third of these, which it did not learn from, that it tells rightly.

    Args:
        data: folder with `content/` and `monet/`.
        weights: folder of pretrained weights; None is the one that IMPASTO_WEIGHTS names.
    """
    import torch
    from torch.nn import functional as F

    from training.pairs.likeness import open_squeezenet

    backbone = open_squeezenet(weights)
    groups = [features(backbone, stacked(pictures(data, name, "classifier"))) for name in NAMES]
    counts = [len(group) * 2 // 3 for group in groups]
    known = torch.cat([group[:count] for group, count in zip(groups, counts, strict=True)])
    labels = torch.arange(len(NAMES)).repeat_interleave(torch.tensor(counts))
    mean, deviation = known.mean(0), known.std(0) + 1e-3
    weight = torch.zeros(known.shape[1], len(NAMES), requires_grad=True)
    bias = torch.zeros(len(NAMES), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200)

    def loss() -> "Tensor":
        optimizer.zero_grad()
        logits = (known - mean) / deviation @ weight + bias
        total = F.cross_entropy(logits, labels) + DECAY * weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)

    def tell(images: "Tensor") -> "Tensor":
        found = features(backbone, images)
        return ((found - mean) / deviation @ weight + bias).argmax(1)

    rights = []
    for index, (group, count) in enumerate(zip(groups, counts, strict=True)):
        logits = (group[count:] - mean) / deviation @ weight + bias
        rights.append(float((logits.argmax(1) == index).float().mean()))
    return tell, float(np.mean(rights))


def features(backbone: "Backbone", images: "Tensor") -> "Tensor":
    """Means and deviations of SqueezeNet's channels, (N, D), of pictures enlarged twice."""
    import torch
    from torch.nn import functional as F

    rows = []
    with torch.no_grad():
        for part in F.interpolate(images, scale_factor=2, mode="bilinear").split(BATCH):
            found = backbone(part, set(LAYERS))
            kept = [torch.cat([found[x].mean((2, 3)), found[x].std((2, 3))], 1) for x in LAYERS]
            rows.append(torch.cat(kept, 1))
    return torch.cat(rows)


def agreement(tell: "Classifier", images: "Tensor", label: int) -> float:
    """Share of pictures (N, 3, SIDE, SIDE) that are of this domain to the classifier."""
    return float((tell(images) == label).float().mean())
