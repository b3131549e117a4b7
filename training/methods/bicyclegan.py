"""One picture, many answers (Zhu et al., NIPS 2017, arXiv:1711.11586), from pairs.

    B -> z -> B':   gan(G(A, E(B))) + l1 * |G(A, E(B)) - B| + kl * KL(E(B) | N(0, 1))
    z -> B' -> z':  gan(G(A, z)) + latent * |E(G(A, z)) - z|, which teaches G only

Each way has a discriminator of its own, which sees the answers alone. The paper's l1 of 10 is for
differences in [-1, 1]: ours, in [0, 1], are doubled to match. Deviation: both ways are computed on
every pair, where the authors' code divides its batch. `data.content` (or --content) is the folder
of pairs, see `data.paired`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from runtime.card import JsonObject
from runtime.errors import UsageError
from runtime.fields import fill

from ..config import Recipe, find_data
from ..data.images import to_tensor
from ..data.paired import Pairs
from ..networks.bicycle import Encoder, EncoderConfig
from ..settings import Channels, Weight
from . import Assets, cut_to_multiple
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network
from ._adversary import Shown, build_discriminator
from .perceptual import read_options

NETWORKS = ("unet_pix2pix", "bicycle")
ENCODED, DRAWN = "discriminator_encoded", "discriminator_drawn"
SHOWN, VARIATIONS = 4, 5  # pairs, and answers to each, on the contact sheet


class Batch(NamedTuple):
    """Pictures and one answer to each, (N, 3, H, W); noise (N, D) for the encoder and for z."""

    source: Tensor
    target: Tensor
    jitter: Tensor
    z: Tensor


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    noise: Channels = 8  # numbers in z
    l1: Weight = 10.0
    latent: Weight = 0.5
    kl: Weight = 0.01
    encoder: JsonObject = field(default_factory=dict)  # width, layers of the encoder


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, exp(log_variance)) from N(0, 1): summed over the D numbers, averaged over the
    batch.

        -1/2 sum (1 + log s^2 - m^2 - s^2)

    Args:
        mean, log_variance: (N, D).
    """
    terms = 1 + log_variance - mean.square() - log_variance.exp()
    return -0.5 * terms.sum(1).mean()


class BicycleGan(Adversarial[Batch]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    paired = True

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "bicyclegan")
        options = self.options
        if recipe.network.get("name") not in NETWORKS:
            allowed = " and ".join(NETWORKS)
            raise UsageError(
                f'method "bicyclegan" trains the networks {allowed}, not {recipe.network}'
            )
        recipe = replace(recipe, network={**recipe.network, "noise": options.noise})
        super().__init__(recipe, assets, options)
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Pairs(folder, recipe.data.short_side, recipe.data.limit, recipe.seed)
        generator = build_network(recipe, self.device)
        shape = {**options.encoder, "noise": options.noise}
        encoder = Encoder(fill(EncoderConfig, shape, "options.encoder", "setting"))
        discriminators = {
            name: build_discriminator(options.discriminator, 3, self.device)
            for name in (ENCODED, DRAWN)
        }
        makers = {"generator": generator, "encoder": encoder.to(self.device).train()}
        self.enter(makers, discriminators)

    def draw(self, turn: int) -> Batch:
        """Squares of as many pairs, and noise."""
        data, count = self.recipe.data, self.recipe.batch
        source, target = self.photos.batch(turn, count, data.crop, data.zoom, self.rng)
        noise = self.rng.standard_normal((2, count, self.options.noise), dtype=np.float32)
        jitter, z = torch.from_numpy(noise)
        return Batch(*(each.to(self.device) for each in (source, target, jitter, z)))

    def real(self, batch: Batch) -> Mapping[str, Shown]:
        """The answers, for both."""
        return {ENCODED: Shown(batch.target), DRAWN: Shown(batch.target)}

    def generate(self, batch: Batch, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Answers by the right answer's z and by drawn z, and how well both come back."""
        options, encoder = self.options, self.networks["encoder"]
        target, z = batch.target[rows], batch.z[rows]
        mean, log_variance = encoder(target)
        known = mean + batch.jitter[rows] * (0.5 * log_variance).exp()
        again, drawn = self.answer(batch.source[rows], known), self.answer(batch.source[rows], z)
        # The generator shall hide nothing for the encoder to find: only it learns here.
        fixed = {name: weight.detach() for name, weight in encoder.named_parameters()}
        found, _ = functional_call(encoder, fixed, (drawn,))
        values = {
            "l1": (again - target).abs().mean(),
            "kl": kl_to_normal(mean, log_variance),
            "latent": (found - z).abs().mean(),
        }
        total = 2 * options.l1 * values["l1"] + options.kl * values["kl"]
        total = total + options.latent * values["latent"]
        deviation = drawn.std((2, 3)).mean()
        fakes = {ENCODED: Shown(again), DRAWN: Shown(drawn)}
        return {**values, "total": total, "deviation": deviation}, fakes

    def answer(self, source: Tensor, z: Tensor) -> Tensor:
        """Answers (N, 3, H, W) to pictures, one for each z (N, D)."""
        return self.updates.call(self.networks["generator"], source, z)

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return list(self.photos.skipped)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: a picture, its answer, answers by other z, the same in every row."""
        multiple = int(generator.multiple_of)  # type: ignore[arg-type]
        drawn = np.random.default_rng(0).standard_normal((VARIATIONS, 1, self.options.noise))
        codes = torch.from_numpy(drawn.astype(np.float32)).to(self.device)
        rows = []
        for pair in self.photos.images[-SHOWN:]:
            source, target = (cut_to_multiple(to_tensor(image), multiple) for image in pair)
            with torch.no_grad():
                answers = [generator(source.to(self.device), z).cpu() for z in codes]
            rows.append([source, target, *answers])
        return rows


PLUGIN = BicycleGan
