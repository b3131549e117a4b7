"""What the terms about neighboring frames share."""

from collections.abc import Callable

import torch
from torch import Tensor

from . import Film, LossInputs, Target


class FilmTerm:
    """A loss of the filmed pair; 0 when a batch carries none."""

    needs = ("film",)
    loss: Callable[[Film], Tensor]

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        if inputs.film is None:
            return torch.zeros((), device=inputs.output.device)
        return type(self).loss(inputs.film)
