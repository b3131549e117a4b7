"""Input noise: soft noise added to what a network sees, from which strokes grow in empty areas.

A network cannot break the symmetry of an empty sky: it tints it, or repeats its own grid there.
Noise is the cure (Ulyanov et al. 2016 train with noise inputs; adding it to the photo, where the
photo is flat, is our variation). `still` is for pictures; `scene` is for clips and cameras, where
the noise moves as the camera does: held to the screen it would hang before the scene like dirt on
a window.
"""

from collections.abc import Iterable

from ..card import ModelCard

# Side of one cell of noise in pixels; it sets the size of the strokes. Tried: cells of 8 px give
# small strokes, white noise does little, 16 px give long strokes and stars.
CELL_PX = 16
# Deviation of the noise at amount 1, as a share of the full range: the most that networks are
# trained with.
SIGMA = 0.2
# What stills get unasked, of networks that were trained with noise. Seen on photos of skies, walls
# and night in six styles: .1 begins to paint them, from .3 on a sky is a camouflage.
USUAL = 0.15


def learned(card: ModelCard) -> bool:
    """Whether a model's card says that it was trained with input noise."""
    data = card.recipe.get("data")
    if not isinstance(data, dict):
        return False
    amount = data.get("noise", data.get("seeds"))  # its former name
    return isinstance(amount, int | float) and amount > 0


def unasked(cards: Iterable[ModelCard]) -> float:
    """The amount of noise that stills of these models get when nobody names one."""
    return USUAL if any(map(learned, cards)) else 0.0
