"""Universal style transfer without training (Li et al., NIPS 2017): the weights are given.

A run of zero steps: the checkpoint holds the published encoders and decoders, ready for export.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from runtime.errors import UsageError

from .. import networks
from ..config import Recipe, find_data
from ..data.images import Photos, load_image, to_tensor
from ..updates import Updates
from . import Assets, Method, cut_to_multiple

SHOWN = 3  # photos on the contact sheet


class Wct(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        if recipe.steps:
            raise UsageError(f'method "wct" learns nothing: steps must be 0, not {recipe.steps}')
        self.recipe = recipe
        self.rng = np.random.default_rng(recipe.seed)
        settings = dict(recipe.network)
        generator = networks.build(settings.pop("name"), **settings)
        generator.load_pretrained(assets.weights)
        self.networks: dict[str, nn.Module] = {"generator": generator.to(assets.device).eval()}
        self.optimizers = {}
        self.device = assets.device
        self.updates = Updates(recipe, self.device)
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Photos(folder, 256, SHOWN)
        painting = assets.style or find_data(recipe.style.image, "style")
        self.painting = load_image(painting, recipe.style.size)

    def step(self, step: int) -> dict[str, float]:
        """Nothing to do: a run has no steps."""
        return {}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Photos above their versions in the painting's style."""
        import torch

        multiple = generator.multiple_of
        photos = [cut_to_multiple(to_tensor(image), multiple) for image in self.photos.images]
        with torch.no_grad():
            codes = generator.encode(cut_to_multiple(self.painting, multiple).to(self.device))
            styled = [generator(photo.to(self.device), *codes).cpu() for photo in photos]
        return [photos, styled]


PLUGIN = Wct
