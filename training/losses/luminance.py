"""ReCoNet's output loss: paint may change along the motion as much as the light does, and no more.

    L = mean over seen pixels and channels of ((O_t - W(O_t-1)) - (Y_t - W(Y_t-1)))^2

with O the painted frames, W the warp along the flow, and Y = 0.2126 R + 0.7152 G + 0.0722 B of the
frames themselves (ITU-R BT.709). Gao, Gu, Zhang, Yu, ACCV 2018 (arXiv:1807.01197), section 3.2.
"""

from torch import Tensor

from . import Film
from ._film import FilmTerm
from .motion import warp

RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722


def luminance(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB -> (N, 1, H, W)."""
    return RED * images[:, :1] + GREEN * images[:, 1:2] + BLUE * images[:, 2:]


def luminance_loss(film: Film) -> Tensor:
    """The formula above; 0 where nothing was seen before."""
    paint = film.painted_later - warp(film.painted_earlier, film.grid)
    light = luminance(film.later) - warp(luminance(film.earlier), film.grid)
    squared = (paint - light).square() * film.mask
    return squared.sum() / (film.mask.sum().clamp_min(1) * paint.shape[1])


class LuminanceTerm(FilmTerm):
    """`luminance_loss`."""

    loss = staticmethod(luminance_loss)


PLUGIN = LuminanceTerm
