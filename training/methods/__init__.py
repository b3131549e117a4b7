"""Training methods: what one step does. Each file ends in `PLUGIN = <class>`.

A method is built as `Method(recipe, assets)`, owns its networks and optimizers, and knows nothing
of checkpoints, logs or time: those are `training.engine`'s.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from ..config import Recipe

if TYPE_CHECKING:
    from ..updates import Updates


@dataclass(frozen=True)
class Assets:
    """Where the inputs of a run are: given on the command line, or found through the recipe.

    Attributes:
        style: the painting.
        content: folder of photos.
        weights: of the loss network, file or folder.
        device: "cpu" or "cuda".
        run: the run's folder, for what is made before the first step.
        quiet: no progress of that.
    """

    style: Path | None = None
    content: Path | None = None
    weights: Path | None = None
    device: str = "cpu"
    run: Path | None = None
    quiet: bool = False


class Method(Protocol):
    """The obligations of a training method.

    A method may also have `extra_tensors() -> dict[str, Tensor]` and `restore_extra(tensors)`, for
    what an exact resume needs besides weights (an image pool), `diagnose(means) -> str`, one
    sentence when the logged figures show trouble, `begin(output)`, called with the run folder
    before the first step, and `notes`, lines that a person is told before it. Steps go through
    `updates`, a `training.updates.Updates`: that is all a method needs for parts, processes,
    precisions and compilation.
    """

    recipe: Recipe
    networks: dict[str, nn.Module]  # "generator" is the one that is exported
    optimizers: dict[str, Optimizer]
    rng: np.random.Generator  # the only source of randomness of a step
    updates: "Updates"  # through which weights change; methods without steps need none

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step, `step` counting from 0; named scalars for the log."""
        ...

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows of pictures (1, 3, H, W) that show how far `generator` is."""
        ...


def cut_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """(N, 3, H, W) without the rows and columns that exceed a multiple of `multiple`."""
    height, width = (side // multiple * multiple for side in images.shape[2:])
    return images[:, :, :height, :width]
