"""Paired translation (Isola, Zhu, Zhou, Efros, CVPR 2017, arXiv:1611.07004).

    generator:      gan(D(x, G(x))) + l1 * |G(x) - y|
    discriminator:  sees the input picture beside the real or the made one

The paper's weight of 100 is for differences in [-1, 1]: ours, in [0, 1], are doubled to match.
`data.content` (or --content) is the folder of pairs, see `data.paired`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import Recipe, find_data
from ..data.images import to_tensor
from ..data.paired import Pairs
from ..settings import Weight
from . import Assets, cut_to_multiple
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network
from ._adversary import Shown, build_discriminator
from .perceptual import read_options

SHOWN = 4  # pairs on the contact sheet
Pair = tuple[Tensor, Tensor]  # what is translated, and what should come out


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    gan: str = "vanilla"
    l1: Weight = 100.0


class Pix2Pix(Adversarial[Pair]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    paired = True

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "pix2pix")
        super().__init__(recipe, assets, self.options)
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Pairs(folder, recipe.data.short_side, recipe.data.limit, recipe.seed)
        generator = build_network(recipe, self.device)
        discriminator = build_discriminator(self.options.discriminator, 6, self.device)
        self.enter({"generator": generator}, {"discriminator": discriminator})

    def draw(self, turn: int) -> Pair:
        """Squares of as many pairs."""
        data = self.recipe.data
        batch = self.photos.batch(turn, self.recipe.batch, data.crop, data.zoom, self.rng)
        return batch[0].to(self.device), batch[1].to(self.device)

    def real(self, batch: Pair) -> Mapping[str, Shown]:
        """The answers beside what they answer to."""
        return {"discriminator": Shown(torch.cat(batch, 1))}

    def generate(self, batch: Pair, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Translations, and how far they are from the answers."""
        source, target = batch[0][rows], batch[1][rows]
        made = self.updates.call(self.networks["generator"], source)
        l1 = (made - target).abs().mean()
        values = {"l1": l1, "total": 2 * self.options.l1 * l1, "deviation": made.std((2, 3)).mean()}
        return values, {"discriminator": Shown(torch.cat([source, made], 1))}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return list(self.photos.skipped)

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
