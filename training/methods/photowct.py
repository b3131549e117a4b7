"""The decoder of `training.networks.photowct` learns to undo its encoder; styles need no training.

    objective.l2        mean squared difference of the picture and what comes back
    objective.features  relative squared difference of their deepest features

The paper's objective (Yoo et al. 2019, section 4.1: L2, and the encoder's features). Deviation: the
decoder starts from the published inverse of the pooled network, which brings most of it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.plugins import suggest

from .. import networks
from ..config import Recipe, find_data
from ..data.images import Photos, to_tensor
from ..losses.content import content_distance
from ..networks.photowct import Generator
from ..updates import Updates
from . import Assets, Method, cut_to_multiple
from .perceptual import learning_rate

TERMS = ("l2", "features")
SHOWN = 4  # photos on the contact sheet


class PhotoWct(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        for term in recipe.objective:
            if term not in TERMS:
                raise UsageError(
                    f'method "photowct" has no term "{term}".{suggest(term, [*TERMS])}'
                )
        self.recipe, self.device = recipe, assets.device
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        data = recipe.data
        folder = assets.content or find_data(data.content, "content")
        self.photos = Photos(folder, data.short_side, data.limit, data.enlarge, recipe.seed)
        settings = dict(recipe.network)
        generator = networks.build(settings.pop("name"), **settings)
        if not isinstance(generator, Generator):
            raise UsageError(f'method "photowct" trains network "photowct", not "{generator.name}"')
        generator.load_pretrained(assets.weights)
        self.networks: dict[str, nn.Module] = {"generator": generator.to(self.device).train()}
        config = recipe.optimizer
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(
                generator.decoder.parameters(), config.lr, (config.beta1, config.beta2)
            )
        }

    def step(self, step: int) -> dict[str, float]:
        """One Adam step."""
        recipe, data = self.recipe, self.recipe.data
        for group in self.optimizers["generator"].param_groups:
            group["lr"] = learning_rate(recipe.optimizer, step, recipe.steps)
        photos = self.photos.batch(step, recipe.batch, data.crop, data.zoom, self.rng)
        photos = photos.to(self.device)
        return self.updates.minimize(
            len(photos), lambda rows: self.losses(photos[rows]), self.optimizers["generator"]
        )

    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """The terms of the recipe's objective, and the total."""
        generator = self.networks["generator"]
        assert isinstance(generator, Generator)
        back = self.updates.call(generator, photos)
        values = {
            "l2": (back - photos).square().mean(),
            "features": content_distance(generator.features(back), generator.features(photos)),
        }
        total = torch.zeros((), device=photos.device)
        for name, weight in self.recipe.objective.items():
            total = total + weight * values[name]
        return {**values, "total": total}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return list(self.photos.skipped)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Photos, what comes back, and the photos in the colors of the next one."""
        assert isinstance(generator, Generator)
        multiple = generator.multiple_of
        photos = [
            cut_to_multiple(to_tensor(image)[:, :, :256, :256], multiple)
            for image in self.photos.images[:SHOWN]
        ]
        with torch.no_grad():
            codes = [generator.encode(photo.to(self.device)) for photo in photos]
            back = [generator(photo.to(self.device)).cpu() for photo in photos]
            styled = [
                generator(photo.to(self.device), *code).cpu()
                for photo, code in zip(photos, codes[1:] + codes[:1], strict=True)
            ]
        return [photos, back, styled]


PLUGIN = PhotoWct
