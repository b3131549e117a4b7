"""Frame-difference loss: a painting may change from frame to frame as the clip does. No flow.

    L = mean over pixels and channels of ((O_t - O_t-1) - (I_t - I_t-1))^2

with I the frames and O the painted ones. Xu, Xiong, Hu 2021, "Frame difference-based temporal loss
for video stylization" (arXiv:2102.05822), the loss in pixel space.
"""

from torch import Tensor

from . import Film
from ._film import FilmTerm


def frame_difference_loss(film: Film) -> Tensor:
    """The formula above."""
    paint = film.painted_later - film.painted_earlier
    return (paint - (film.later - film.earlier)).square().mean()


class FrameDifferenceTerm(FilmTerm):
    """`frame_difference_loss`."""

    loss = staticmethod(frame_difference_loss)


PLUGIN = FrameDifferenceTerm
