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
from . import Assets, _adversarial, cut_to_multiple
from .perceptual import read_options

SHOWN = 4  # pairs on the contact sheet


@dataclass(frozen=True)
class Options:
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    gan: str = "vanilla"
    l1: float = 100.0
    gan_weight: float = 1.0  # 0 leaves plain regression
    decay_start: float = 0.5
    judge_rate: float = 1.0  # learning rate of the discriminator, as a share of the generator's
    judge: dict = field(default_factory=dict)  # width, layers of the discriminator


class Pix2Pix:
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        self.options: Options = read_options(Options, recipe.options, "pix2pix")
        check_kind(self.options.gan)
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Pairs(folder, recipe.data.short_side, recipe.data.limit)
        self.networks = {
            "generator": _adversarial.build_network(recipe, self.device),
            "judge": _adversarial.build_judge(self.options.judge, 6, self.device),
        }
        self.optimizers = {
            name: _adversarial.adam(recipe, network) for name, network in self.networks.items()
        }

    def step(self, step: int) -> dict[str, float]:
        """One step of the generator, then one of the discriminator."""
        recipe, options, judge = self.recipe, self.options, self.networks["judge"]
        rate = _adversarial.linear_decay(
            recipe.optimizer.lr, step, recipe.steps, options.decay_start
        )
        _adversarial.set_lr(self.optimizers, rate)
        _adversarial.set_lr({"judge": self.optimizers["judge"]}, rate * options.judge_rate)
        data = recipe.data
        source, target = (
            batch.to(self.device)
            for batch in self.photos.batch(recipe.batch, data.crop, data.zoom, self.rng)
        )
        judge.requires_grad_(False)
        with self.autocast():
            made = self.networks["generator"](source)
            l1 = (made - target).abs().mean()
            gan = generator_loss(options.gan, judge(torch.cat([source, made], 1)))
            total = options.gan_weight * gan + 2 * options.l1 * l1
        self._minimize("generator", total)
        judge.requires_grad_(True)
        with self.autocast():
            loss, right = _adversarial.train_judge(
                options.gan,
                judge,
                torch.cat([source, target], 1),
                torch.cat([source, made.detach()], 1),
                self.rng,
            )
        self._minimize("judge", loss)
        values = {"gan": gan, "l1": l1, "total": total, "judge": loss}
        numbers = {name: float(value.detach()) for name, value in values.items()}
        deviation = float(made.detach().std((2, 3)).mean())
        return {**numbers, "accuracy": right, "deviation": deviation}

    def _minimize(self, name: str, total: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        total.backward()
        if self.recipe.optimizer.clip:
            weights = self.networks[name].parameters()
            nn.utils.clip_grad_norm_(weights, self.recipe.optimizer.clip)
        self.optimizers[name].step()

    def autocast(self) -> torch.autocast:
        """bfloat16 where the recipe asks for it."""
        return torch.autocast(self.device, torch.bfloat16, self.recipe.precision == "bf16")

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
