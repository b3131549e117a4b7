"""Which part of a photograph takes its colors from which part of another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from runtime.regions.matte import Masks, Matte
from runtime.regions.segmenter import Segmenter

from ..data.images import to_bytes
from ..losses.regions import SMALLEST


def found_regions(styles: Sequence[Tensor], photo: Tensor) -> list[tuple[Tensor, Tensor]]:
    """`matched` people of each style picture and of the photograph, by the bundled network.

    Raises:
        ModelNotFound: it is not there.
    """
    segmenter = Segmenter()
    try:
        own = people(photo, segmenter)
        return [matched(people(style, segmenter), own) for style in styles]
    finally:
        segmenter.close()


def people(photo: Tensor, masks: Masks) -> Tensor:
    """Where people are.

    Args:
        photo: (1, 3, H, W) RGB in [0, 1].
        masks: a `runtime.regions.segmenter.Segmenter`.

    Returns:
        (1, 1, H, W) in [0, 1], with the photograph's own edges.
    """
    mask = Matte(masks, calm=False).of(to_bytes(photo))
    return torch.from_numpy(mask)[None, None]


def matched(style: Tensor, photo: Tensor) -> tuple[Tensor, Tensor]:
    """People take after people, and what is behind them after what is behind them.

    A region that one of the pictures lacks (less than `SMALLEST` of it) has no partner: in the
    photograph it is left to the others, which cover everything; one that only the style lacks takes
    after the whole of the style picture.

    Args:
        style, photo: (1, 1, H, W) masks of people, each of its own picture's size.

    Returns:
        (regions of the style, regions of the photograph), (1, R, H, W) each, R 1 or 2, as
        `training.losses.regions` takes them.

    Reference:
        Luan et al. 2017, section 4 ("we merge classes", "orphan" labels).
    """
    sides = [torch.cat([mask, 1 - mask], 1) for mask in (style, photo)]
    kept = [i for i in (0, 1) if float(sides[1][:, i].mean()) >= SMALLEST]
    partners = [
        sides[0][:, i : i + 1]
        if float(sides[0][:, i].mean()) >= SMALLEST
        else torch.ones_like(style)
        for i in kept
    ]
    own = sides[1][:, kept] if len(kept) > 1 else torch.ones_like(photo)
    return torch.cat(partners, 1), own
