"""Training methods: what one step does. Each file ends in `PLUGIN = <class>`.

A method is built as `Method(recipe, assets)`, owns its networks and optimizers, and knows nothing
of checkpoints, logs or time: those are `training.engine`'s.
"""

from collections.abc import Sequence
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
        teachers: those that the user named, which alone may be programs or functions.
    """

    style: Path | None = None
    content: Path | None = None
    weights: Path | None = None
    device: str = "cpu"
    run: Path | None = None
    quiet: bool = False
    teachers: tuple[str, ...] = ()


class Method(Protocol):
    """The obligations of a training method; what has a body here is optional.

    Steps go through `updates`, a `training.updates.Updates`: that is all a method needs for parts,
    processes, precisions and compilation.
    """

    recipe: Recipe
    networks: dict[str, nn.Module]  # "generator" is the one that is exported
    optimizers: dict[str, Optimizer]
    rng: np.random.Generator  # the only source of randomness of a step
    updates: "Updates"  # through which weights change
    notes: Sequence[str] = ()  # lines that a person is told before the first step

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step, `step` counting from 0; named scalars for the log."""
        ...

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows of pictures (1, 3, H, W) that show how far `generator` is."""
        ...

    def begin(self, output: Path) -> None:
        """Called with the run folder before the first step."""

    def unreadable(self) -> Sequence[Path]:
        """Files of photos that were passed over because they cannot be read."""
        return ()

    def diagnose(self, means: dict[str, float]) -> str:
        """One sentence when the logged figures show trouble, else ""."""
        return ""

    def extra_tensors(self) -> dict[str, Tensor]:
        """What an exact resume needs besides weights, as an image pool."""
        return {}

    def restore_extra(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `extra_tensors` gave."""


def cut_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """(N, 3, H, W) without the rows and columns that exceed a multiple of `multiple`."""
    height, width = (side // multiple * multiple for side in images.shape[2:])
    return images[:, :, :height, :width]
