"""Adaptive discriminator augmentation: few pictures, shown in so many ways that none is learned by
heart (Karras et al., NeurIPS 2020, arXiv:2006.06676).

Each operation meets each picture with probability p; real and made pictures alike, so that the
generator still learns the pictures as they are. p follows how sure the discriminator is of real
pictures, r = mean sign(D(real)): above 0.6 p rises, below it falls (the paper's second heuristic).

Ours is the half of the paper's pipeline that helps most there (pixel blitting and color): left for
right, quarter turns, shifts by whole pixels; brightness, contrast, saturation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TARGET = 0.6  # of r
LARGEST_SHIFT = 0.125  # of the side, as in the paper
BRIGHTNESS, CONTRAST, SATURATION = 0.1, 0.25, 0.5  # deviations; [0, 1] halves the paper's first
MOST = 0.8  # of p: from there on augmentations leak into what is made (section 3)


@dataclass(frozen=True)
class Drawn:
    """What happens to each picture of a batch, (N,) each.

    Attributes:
        flipped, turns: left for right; quarter turns.
        down, right: px.
        brighter, contrast, saturation: added, and factors.
    """

    flipped: np.ndarray
    turns: np.ndarray
    down: np.ndarray
    right: np.ndarray
    brighter: Tensor
    contrast: Tensor
    saturation: Tensor

    def __getitem__(self, rows: slice) -> "Drawn":
        return Drawn(*(part[rows] for part in vars(self).values()))


def draw(
    count: int, side: int, chance: float, rng: np.random.Generator, flip: bool = True
) -> Drawn:
    """Draw what happens to `count` pictures; the same amount of numbers whatever `chance` is.

    Args:
        side: of the pictures, px.
        chance: p, of each operation.
        flip: mirrored and turned pictures are of the same kind; not for letters and digits.
    """

    def happens() -> np.ndarray:
        return rng.random(count) < chance

    def shift() -> np.ndarray:
        return np.round(rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, count) * side).astype(int)

    def normal(deviation: float) -> np.ndarray:
        return rng.normal(0, deviation, count) * happens()

    flipped, turns = rng.random(count) < 0.5, rng.integers(0, 4, count)
    flipped, turns = flipped & happens() & flip, turns * happens() * flip
    moved = happens()
    colors = normal(BRIGHTNESS), 2 ** normal(CONTRAST), 2 ** normal(SATURATION)
    tensors = [torch.from_numpy(part.astype(np.float32)).view(-1, 1, 1, 1) for part in colors]
    return Drawn(flipped, turns, shift() * moved, shift() * moved, *tensors)


def augment(pictures: Tensor, drawn: Drawn) -> Tensor:
    """Pictures (N, 3, S, S) in [0, 1] as `drawn` says, with gradients; shifts reflect the border.

    Colors: y = c (x - 1/2) + 1/2 + b, then the distance to the gray of the pixel times s.
    """
    moved = []
    for index, picture in enumerate(pictures):
        if drawn.flipped[index]:
            picture = picture.flip(2)
        picture = picture.rot90(int(drawn.turns[index]), (1, 2))
        moved.append(_shifted(picture, int(drawn.down[index]), int(drawn.right[index])))
    x = torch.stack(moved)
    brighter, contrast, saturation = (
        part.to(x.device) for part in (drawn.brighter, drawn.contrast, drawn.saturation)
    )
    x = contrast * (x - 0.5) + 0.5 + brighter
    gray = x.mean(1, keepdim=True)
    return gray + saturation * (x - gray)


def _shifted(picture: Tensor, down: int, right: int) -> Tensor:
    """(3, S, S) moved by whole pixels; what comes in is reflected."""
    for dimension, by in ((1, down), (2, right)):
        if by:
            size = picture.shape[dimension]
            at = (torch.arange(size, device=picture.device) - by).abs()
            at = torch.where(at >= size, 2 * size - 2 - at, at)
            picture = picture.index_select(dimension, at)
    return picture


def adapted(chance: float, sureness: float, pictures: int, over: int) -> float:
    """P after `pictures` more real pictures were shown.

    Args:
        chance: p.
        sureness: r, mean sign of the discriminator's scores of real pictures.
        pictures: shown since the last call.
        over: pictures in which p goes from 0 to 1 (the paper's 500 000).
    """
    step = np.sign(sureness - TARGET) * pictures / over
    return float(min(MOST, max(0.0, chance + step)))
