"""Paired translation (Isola, Zhu, Zhou, Efros, CVPR 2017, arXiv:1611.07004).

    generator:      gan(D(x, G(x))) + l1 * |G(x) - y|
    discriminator:  sees the input picture beside the real or the made one

The paper's weight of 100 is for differences in [-1, 1]: ours, in [0, 1], are doubled to match.
`data.content` (or --content) is the folder of pairs, see `data.paired`.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ..config import Recipe, find_data
from ..data.images import to_tensor
from ..data.paired import Pairs
from ..losses.gan import check_kind, generator_loss
from ..settings import Share, Weight
from ..updates import Updates, Values
from . import Assets, _adversarial, cut_to_multiple
from .perceptual import read_options

SHOWN = 4  # pairs on the contact sheet


@dataclass(frozen=True)
class Options:
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    gan: str = "vanilla"
    l1: Weight = 100.0
    gan_weight: Weight = 1.0  # 0 leaves plain regression
    decay_start: Share = 0.5
    discriminator_rate: Weight = 1.0  # learning rate, as a share of the generator's
    discriminator: dict = field(default_factory=dict)  # width, layers of the discriminator


class Pix2Pix:
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        self.options: Options = read_options(Options, recipe.options, "pix2pix")
        check_kind(self.options.gan)
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Pairs(folder, recipe.data.short_side, recipe.data.limit, recipe.seed)
        self.networks = {
            "generator": _adversarial.build_network(recipe, self.device),
            "discriminator": _adversarial.build_discriminator(
                self.options.discriminator, 6, self.device
            ),
        }
        self.optimizers = {
            name: _adversarial.adam(recipe, network) for name, network in self.networks.items()
        }

    def step(self, step: int) -> dict[str, float]:
        """One step of the generator, then one of the discriminator."""
        recipe, options, discriminator = self.recipe, self.options, self.networks["discriminator"]
        rate = _adversarial.linear_decay(
            recipe.optimizer.lr, step, recipe.steps, options.decay_start
        )
        _adversarial.set_lr(self.optimizers, rate)
        _adversarial.set_lr(
            {"discriminator": self.optimizers["discriminator"]}, rate * options.discriminator_rate
        )
        data = recipe.data
        source, target = (
            batch.to(self.device)
            for batch in self.photos.batch(step, recipe.batch, data.crop, data.zoom, self.rng)
        )
        count, pieces = len(source), []

        def translation(rows: slice) -> Values:
            made = self.updates.call(self.networks["generator"], source[rows])
            pieces.append(made.detach())
            l1 = (made - target[rows]).abs().mean()
            gan = generator_loss(options.gan, discriminator(torch.cat([source[rows], made], 1)))
            total = options.gan_weight * gan + 2 * options.l1 * l1
            deviation = made.std((2, 3)).mean()
            return {"gan": gan, "l1": l1, "total": total, "deviation": deviation}

        discriminator.requires_grad_(False)
        values = self.updates.minimize(count, translation, self.optimizers["generator"])
        discriminator.requires_grad_(True)
        made = self.updates.gather(pieces, count)
        mix = _adversarial.draw_mix(options.gan, count, self.rng)

        def discrimination(rows: slice) -> Values:
            real, fake = (torch.cat([source[rows], side[rows]], 1) for side in (target, made))
            loss, right = _adversarial.train_discriminator(
                options.gan, discriminator, real, fake, mix[rows]
            )
            return {"total": loss, "accuracy": right}

        found = self.updates.minimize(count, discrimination, self.optimizers["discriminator"])
        return {**values, "discriminator": found["total"], "accuracy": found["accuracy"]}

    def diagnose(self, means: dict[str, float]) -> str:
        """What goes wrong, or nothing."""
        return _adversarial.diagnose(means)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: inputs, made pictures, wanted pictures."""
        multiple = generator.multiple_of
        pairs = [[to_tensor(image) for image in pair] for pair in self.photos.images[-SHOWN:]]
        inputs = [cut_to_multiple(first, multiple) for first, _ in pairs]
        wanted = [cut_to_multiple(second, multiple) for _, second in pairs]
        with torch.no_grad():
            made = [generator(image.to(self.device)).cpu() for image in inputs]
        return [inputs, made, wanted]


PLUGIN = Pix2Pix
