"""Frame-difference loss: a painting may change from frame to frame as the clip does. No flow.

    L = mean over pixels and channels of ((O_t - O_t-1) - (I_t - I_t-1))^2

with I the frames and O the painted ones. Xu, Xiong, Hu 2021, "Frame difference-based temporal loss
for video stylization" (arXiv:2102.05822), the loss in pixel space.
"""

import torch
from torch import Tensor

from . import Film, LossInputs, Target


def frame_difference_loss(film: Film) -> Tensor:
    """The formula above."""
    paint = film.painted_later - film.painted_earlier
    return (paint - (film.later - film.earlier)).square().mean()


class FrameDifferenceTerm:
    """`frame_difference_loss` of the filmed pair."""

    needs = ("film",)

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 when this batch carries no filmed pair."""
        if inputs.film is None:
            return torch.zeros((), device=inputs.output.device)
        return frame_difference_loss(inputs.film)


PLUGIN = FrameDifferenceTerm
