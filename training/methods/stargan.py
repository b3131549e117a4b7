"""One generator for many domains (Choi et al., CVPR 2018, arXiv:1711.09020).

    generator:      gan(G(x, t)) + class * CE(D(G(x, t)), t) + rec * |G(G(x, t), s) - x|
    discriminator:  WGAN-GP, + class * CE(D(x), s) on real pictures, five steps for each of G's

x is of the domain s, t another picture's of the batch. The paper's weight of rec, 10, is for
differences in [-1, 1]: ours, in [0, 1], are doubled to match. `--content` is a folder with a folder
of pictures for each domain. Networks: "stargan" (the paper's) and "cin" (lean); discriminators:
"stargan" and "projected" (`networks._parts`), which looks through the recipe's loss network and
needs a tenth of the steps where pictures are few.

`identity`, `settle` and `periodicity` are not the paper's, and off by default: what is of the right
domain already shall stay (Zhu et al. 2017, for CycleGAN); a lean generator begins far from any
picture, and hides what the way back needs in a pattern on its own grid (`methods.cyclegan`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.fields import fill

from ..config import Recipe, find_data
from ..data.domains import Domains
from ..data.images import to_tensor
from ..losses.periodicity import periodicity_energy
from ..networks import cin
from ..networks.cin import one_hot
from ..networks.patchgan import start_small
from ..networks.stargan import Discriminator, DiscriminatorConfig
from ..settings import Positive, Share, Weight
from ..updates import Values
from . import Assets, cut_to_multiple
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network, set_lr
from ._adversary import STANDARD, Shown, looking_through
from .perceptual import read_options

NETWORKS = ("stargan", "cin")
DISCRIMINATORS = ("stargan", "projected")
SHOWN = 4  # pictures on the contact sheet


class Batch(NamedTuple):
    """Pictures (N, 3, H, W), the domain each is of, the one it is to be translated to, (N,)."""

    pictures: Tensor
    own: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    gan: str = "wgan-gp"
    discriminator_steps: Positive = 5
    rec: Weight = 10.0
    identity: Weight = 0.0  # weight of |G(x, s) - x|, on pictures whose own domain is wanted
    settle: Share = 0.0  # share of the run in which it learns only |G(x, s) - x|
    settle_rate: Weight = 5.0  # learning rate meanwhile, as a multiple of the later one
    periodicity: Weight = 0.0  # weight of `losses.periodicity` on what it makes


class StarGan(Adversarial[Batch]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "stargan")
        if recipe.network.get("name") not in NETWORKS:
            allowed = " and ".join(NETWORKS)
            raise UsageError(
                f'method "stargan" trains the networks {allowed}, not {recipe.network}'
            )
        folder = assets.content or find_data(recipe.data.content, "content")
        self.photos = Domains(folder, recipe.data.short_side, recipe.data.limit, recipe.seed)
        known = {"styles": len(self.photos.names), "names": list(self.photos.names)}
        recipe = replace(recipe, network={**recipe.network, **known})
        super().__init__(recipe, assets, self.options)
        generator = build_network(recipe, self.device)
        if isinstance(generator, cin.Generator):
            # Domains have most in common: what is to be changed is learned, not the picture.
            generator.begin_as_identity()
        else:
            start_small(generator)
        discriminator = self._discriminator(len(self.photos.names), assets.weights)
        self.enter({"generator": generator}, {"discriminator": discriminator.train()})

    def _discriminator(self, classes: int, weights: Path | None) -> nn.Module:
        """The paper's, or the one that looks through the recipe's loss network."""
        shape = {**self.options.discriminator, "classes": classes}
        name = shape.pop("name", DISCRIMINATORS[0])
        if name == "projected":
            return looking_through(shape, self.recipe, weights, self.device, self._some())
        if name != DISCRIMINATORS[0]:
            allowed = " and ".join(DISCRIMINATORS)
            raise UsageError(f'options.discriminator.name is "{name}", there are {allowed}')
        shape["side"] = self.recipe.data.crop
        try:
            config = fill(DiscriminatorConfig, shape, "options.discriminator", "setting")
        except ValueError as error:
            raise UsageError(f"options.discriminator: {error}") from None
        discriminator = Discriminator(config).to(self.device)
        start_small(discriminator)
        return discriminator

    def _some(self) -> Tensor:
        """Real pictures of all domains, always the same."""
        data, rng = self.recipe.data, np.random.default_rng(self.recipe.seed)
        return self.photos.batch(0, STANDARD, data.crop, data.zoom, rng)[0].to(self.device)

    def step(self, step: int) -> dict[str, float]:
        """One step of the generator, then those of the discriminator."""
        if step >= self.options.settle * self.recipe.steps:
            return super().step(step)
        set_lr({"": self.making}, self.learning_rate(step) * self.options.settle_rate)
        batch = self.draw(step)

        def loss(rows: slice) -> Values:
            pictures = batch.pictures[rows]
            off = (self.translate(pictures, batch.own[rows]) - pictures).abs().mean()
            return {"identity": off, "total": off}

        return self.updates.minimize(len(batch.pictures), loss, self.making)

    def draw(self, turn: int) -> Batch:
        """Pictures of all domains in turn; each is to become of the domain of another."""
        data = self.recipe.data
        pictures, own = self.photos.batch(turn, self.recipe.batch, data.crop, data.zoom, self.rng)
        wanted = own[torch.from_numpy(self.rng.permutation(len(own)))]
        return Batch(*(each.to(self.device) for each in (pictures, own, wanted)))

    def real(self, batch: Batch) -> Mapping[str, Shown]:
        """The pictures with their domains."""
        return {"discriminator": Shown(batch.pictures, batch.own)}

    def generate(self, batch: Batch, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Translations, and how well they lead back."""
        pictures = batch.pictures[rows]
        made = self.translate(pictures, batch.wanted[rows])
        rec = (self.translate(made, batch.own[rows]) - pictures).abs().mean()
        total = 2 * self.options.rec * rec
        values = {"rec": rec, "deviation": made.std((2, 3)).mean()}
        same = batch.own[rows] == batch.wanted[rows]
        if self.options.identity and same.any():
            values["identity"] = (made[same] - pictures[same]).abs().mean()
            # As often as it is asked for: a share of the batch.
            total = total + 2 * self.options.identity * same.float().mean() * values["identity"]
        if self.options.periodicity:
            values["periodicity"] = periodicity_energy(made)
            total = total + self.options.periodicity * values["periodicity"]
        values["total"] = total
        return values, {"discriminator": Shown(made, batch.wanted[rows])}

    def fake(self, batch: Batch, rows: slice) -> Fakes:
        """Translations."""
        made = self.translate(batch.pictures[rows], batch.wanted[rows])
        return {"discriminator": Shown(made, batch.wanted[rows])}

    def translate(self, pictures: Tensor, domains: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) to these domains (N,)."""
        code = nn.functional.one_hot(domains, len(self.photos.names)).to(pictures.dtype)
        return self.updates.call(self.networks["generator"], pictures, code)

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return list(self.photos.skipped)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: pictures of all domains; each of them in every domain."""
        count = len(self.photos.names)
        rows = []
        for number in range(SHOWN):
            images = self.photos.photos[number % count].images
            picture = to_tensor(images[-1 - number // count])
            picture = cut_to_multiple(picture, generator.multiple_of)  # type: ignore[arg-type]
            with torch.no_grad():
                made = [
                    generator(picture.to(self.device), one_hot(i, count).to(self.device)).cpu()
                    for i in range(count)
                ]
            rows.append([picture, *made])
        return rows


PLUGIN = StarGan
