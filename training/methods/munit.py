"""Content and style apart, from two folders of pictures (Huang, Liu, Belongie, Kautz, ECCV 2018,
arXiv:1804.04732); without a style, UNIT (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848).

With content c, styles s of the encoders and styles z of N(0, 1), for both domains:

    x * |dec(c_a, s_a) - a|                a picture comes back from its own parts
    s * |enc_s(dec(c_a, z_b)) - z_b|       a drawn style comes back from what it made
    c * |enc_c(dec(c_a, z_b)) - c_a|       and so does the content
    cycle * |dec(enc_c(dec(c_a, z_b)), s_a) - a|
    kl * mean c^2                          UNIT: the content is N(0, 1), with noise of variance 1
    + gan, with discriminators of three scales

"generator" goes from the first domain (--content) to the second (--style, options.second),
"backward" the other way. MUNIT: x 10, s 1, c 1; UNIT: x 10, cycle 10, kl 0.01, network.style 0.
The papers' weights of x and cycle are for differences in [-1, 1]: ours, in [0, 1], are doubled.
Deviations: UNIT's encoders share no layers (as in the authors' later code). Instead, both ways
start from the same weights, so that a content means the same to both from the first step on: a
game without pairs is won as well with contents of opposite meaning, bright for dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..config import Recipe
from ..data.images import to_tensor
from ..networks import munit
from ..settings import Weight
from . import Assets, cut_to_multiple
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network, two_folders
from ._adversary import Shown, build_discriminator
from .perceptual import read_options

FIRST, SECOND = "discriminator_first", "discriminator_second"
SHOWN = 4  # pictures, and styles, on the contact sheet


class Batch(NamedTuple):
    """Pictures of both domains (N, 3, H, W), and a drawn style (N, S) for each."""

    first: Tensor
    second: Tensor
    first_style: Tensor
    second_style: Tensor


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are MUNIT's."""

    second: str = "monet"  # folder of the second domain; the first is data.content
    x: Weight = 10.0
    s: Weight = 1.0
    c: Weight = 1.0
    cycle: Weight = 0.0
    kl: Weight = 0.0  # with it, noise is added to the content


class Munit(Adversarial[Batch]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "munit")
        if recipe.network.get("name") != "munit":
            raise UsageError(f'method "munit" trains the network munit, not {recipe.network}')
        super().__init__(recipe, assets, self.options)
        self.photos = two_folders(recipe, assets, self.options.second)
        makers = {n: build_network(recipe, self.device) for n in ("generator", "backward")}
        for network in makers.values():
            nn.Module.apply(network, _start)
        makers["backward"].load_state_dict(makers["generator"].state_dict())
        shape = self.options.discriminator
        discriminators = {n: build_discriminator(shape, 3, self.device) for n in (FIRST, SECOND)}
        self.enter(makers, discriminators)

    def _ways(self) -> tuple[munit.Generator, munit.Generator]:
        forward, backward = self.networks["generator"], self.networks["backward"]
        assert isinstance(forward, munit.Generator)
        assert isinstance(backward, munit.Generator)
        return forward, backward

    def draw(self, turn: int) -> Batch:
        """Squares of as many pictures of each domain, and styles."""
        data, count = self.recipe.data, self.recipe.batch
        first, second = self.photos.batch(turn, count, data.crop, data.zoom, self.rng)
        size = self._ways()[0].style
        styles = torch.from_numpy(self.rng.standard_normal((2, count, size), dtype=np.float32))
        return Batch(*(each.to(self.device) for each in (first, second, *styles)))

    def real(self, batch: Batch) -> Mapping[str, Shown]:
        """Each domain's pictures for its discriminator."""
        return {FIRST: Shown(batch.first), SECOND: Shown(batch.second)}

    def generate(self, batch: Batch, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Both domains taken apart, put together again, and crosswise."""
        forward, backward = self._ways()
        a, b = batch.first[rows], batch.second[rows]
        style_a, style_b = batch.first_style[rows], batch.second_style[rows]
        content_a, content_b = forward.content(a), backward.content(b)
        own_a, own_b = backward.encode(a), forward.encode(b)
        noisy_a, noisy_b = self._noisy(content_a), self._noisy(content_b)
        again_a, again_b = backward.decode(noisy_a, own_a), forward.decode(noisy_b, own_b)
        made_b, made_a = forward.decode(noisy_a, style_b), backward.decode(noisy_b, style_a)
        back_a, back_b = backward.content(made_b), forward.content(made_a)
        values = {"x": _off(again_a, a) + _off(again_b, b)}
        total = 2 * self.options.x * values["x"]
        options = self.options
        if options.s:
            values["s"] = _off(backward.encode(made_a), style_a) + _off(
                forward.encode(made_b), style_b
            )
            total = total + options.s * values["s"]
        if options.c:
            values["c"] = _off(back_a, content_a) + _off(back_b, content_b)
            total = total + options.c * values["c"]
        if options.cycle:
            values["cycle"] = _off(backward.decode(self._noisy(back_a), own_a), a) + _off(
                forward.decode(self._noisy(back_b), own_b), b
            )
            total = total + 2 * options.cycle * values["cycle"]
        if options.kl:
            parts = [content_a, content_b, *((back_a, back_b) if options.cycle else ())]
            values["kl"] = torch.stack([part.float().square().mean() for part in parts]).sum()
            total = total + options.kl * values["kl"]
        values |= {"total": total, "deviation": made_b.std((2, 3)).mean()}
        return values, {FIRST: Shown(made_a), SECOND: Shown(made_b)}

    def _noisy(self, content: Tensor) -> Tensor:
        """UNIT's sample of the content; MUNIT's is the content itself."""
        if not self.options.kl:
            return content
        noise = self.rng.standard_normal(tuple(content.shape), dtype=np.float32)
        return content + torch.from_numpy(noise).to(content)

    def fake(self, batch: Batch, rows: slice) -> Fakes:
        """Both domains crosswise."""
        forward, backward = self._ways()
        content_a = forward.content(batch.first[rows])
        content_b = backward.content(batch.second[rows])
        made_b = forward.decode(content_a, batch.second_style[rows])
        made_a = backward.decode(content_b, batch.first_style[rows])
        return {FIRST: Shown(made_a), SECOND: Shown(made_b)}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return list(self.photos.skipped)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """A table: examples of the second domain above, pictures of the first on the left."""
        assert isinstance(generator, munit.Generator)
        photos, examples = (
            [to_tensor(image)[:, :, :256, :256] for image in side.images[-SHOWN:]]
            for side in (self.photos.first, self.photos.second)
        )
        photos = [cut_to_multiple(photo, generator.multiple_of) for photo in photos]
        examples = [cut_to_multiple(each, generator.style_multiple) for each in examples]
        rows = [[torch.ones_like(photos[0]), *examples]]
        with torch.no_grad():
            styles = [generator.encode(each.to(self.device)) for each in examples]
            for photo in photos:
                made = [generator(photo.to(self.device), style).cpu() for style in styles]
                rows.append([photo, *made])
        return rows


def _off(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).abs().mean()


def _start(module: nn.Module) -> None:
    """The papers' code starts generators from Kaiming's distribution."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


PLUGIN = Munit
