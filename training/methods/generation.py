"""Pictures out of noise, adversarially: DCGAN (Radford et al. 2016) and StyleGAN2 (Karras et al.
2020), which differ in their networks and options.

The generator's z is drawn anew for every picture; the discriminator sees whole pictures. Beside the
loop of all adversarial methods there are, each an option:

    path_length   (|J_w^T y| - a)^2, y ~ N(0, 1) / side, a its running mean: a step in w changes the
                  picture as much wherever it is made (StyleGAN2, section 3.2)
    mixing        share of the pictures whose layers follow two styles in training (StyleGAN)
    augment       `data.augmentation`, where the pictures are few

Where pictures are few, `options.discriminator={name="projected"}` looks through the recipe's loss
network in the place of one that begins with nothing (`networks._parts.projected`).

`data.content` is the folder of pictures, `data.crop` the generator's side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from runtime.card import JsonObject
from runtime.errors import UsageError

from ..config import Recipe, find_data
from ..data.augmentation import Drawn, adapted, augment, draw
from ..data.images import Photos
from ..settings import Positive, Share, Weight
from . import Assets
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network
from ._adversary import STANDARD, Shown, build_discriminator, looking_through, scores_of
from .perceptual import read_options

PROJECTED = "projected"  # options.discriminator.name
SHOWN = 8  # pictures in a row of the contact sheet, which has two
LENGTH_DECAY = 0.01  # of the mean path length, per look (the paper's code)
ADAPT_EVERY = 4  # steps between two adaptions of the augmentation, as in the paper


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are DCGAN's."""

    gan: str = "vanilla"
    discriminator: JsonObject = field(default_factory=lambda: {"name": "whole_picture"})
    decay_start: Share = 1.0
    path_length: Weight = 0.0  # StyleGAN2: 2
    path_length_every: Positive = 4  # steps between looks, whose weight is multiplied by it
    mixing: Share = 0.0  # StyleGAN2: 0.9
    augment: bool = False  # adaptive augmentation
    augment_over: Positive = 500_000  # pictures in which its chance may go from 0 to 1
    flip: bool = True  # left for right; not for letters and digits


@dataclass(frozen=True)
class Batch:
    """What one step needs.

    Attributes:
        first, second: z of each picture's first and last layers, (N, latent).
        crossover: layers that follow the first, (N, 1, 1).
        pictures: real ones, (N, 3, S, S) in [0, 1].
        drawn: augmentations of the real and of the made pictures.
        push: y of the path length, (N, 3, S, S), in steps that look at it.
    """

    first: Tensor
    second: Tensor
    crossover: Tensor
    pictures: Tensor
    drawn: tuple[Drawn, Drawn] | None
    push: Tensor | None


class Generation(Adversarial[Batch]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "generation")
        super().__init__(recipe, assets, self.options)
        data, generator = recipe.data, build_network(recipe, self.device)
        if not hasattr(generator, "draw"):
            raise UsageError(
                f'network "{generator.name}" draws no z; allowed are dcgan and stylegan2'
            )
        if data.crop != generator.side:
            raise UsageError(
                f"data.crop is {data.crop}, network.side is {generator.side}: make them equal"
            )
        folder = assets.content or find_data(data.content, "content")
        self.photos = Photos(
            folder, data.short_side, data.limit, seed=recipe.seed, flip=self.options.flip
        )
        discriminator = self._discriminator(generator.side, assets.weights)
        self.enter({"generator": generator}, {"discriminator": discriminator})
        self.chance = 0.0  # of each augmentation
        self.length = torch.zeros((), device=self.device)  # mean path length

    def _discriminator(self, side: int, weights: Path | None) -> nn.Module:
        """One of whole pictures, or the one that looks through the recipe's loss network."""
        shape = dict(self.options.discriminator)
        if shape.get("name") != PROJECTED:
            shape = {"name": "whole_picture", "side": side, **shape}
            return build_discriminator(shape, 3, self.device)
        del shape["name"]
        data, rng = self.recipe.data, np.random.default_rng(self.recipe.seed)
        some = self.photos.batch(0, STANDARD, data.crop, data.zoom, rng)
        shape["classes"] = 0
        return looking_through(shape, self.recipe, weights, self.device, some)

    def step(self, step: int) -> dict[str, float]:
        """As of every adversarial method, and the augmentation's chance follows."""
        values = super().step(step)
        if self.options.augment:
            if (step + 1) % ADAPT_EVERY == 0:
                shown = ADAPT_EVERY * self.recipe.batch * self.playing.discriminator_steps
                sure = self._sureness(self._last)
                self.chance = adapted(self.chance, sure, shown, self.options.augment_over)
            values["augment"] = self.chance
        return values

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    @torch.no_grad()
    def _sureness(self, real: Tensor) -> float:
        scores = scores_of(self.networks["discriminator"], real).maps
        return float(torch.cat([each.flatten() for each in scores]).sign().mean())

    def draw(self, turn: int) -> Batch:
        """Fresh z and as many real pictures."""
        data, options = self.recipe.data, self.options
        generator, count = self.networks["generator"], self.recipe.batch
        pictures = self.photos.batch(turn, count, data.crop, data.zoom, self.rng).to(self.device)
        first, second = generator.draw(count, self.rng), generator.draw(count, self.rng)
        mixed = self.rng.random(count) < options.mixing
        cut = self.rng.integers(1, max(2, generator.layers), count)
        cut = np.where(mixed, cut, generator.layers)
        drawn = None
        if options.augment:
            side = generator.side

            def drawing() -> Drawn:
                return draw(count, side, self.chance, self.rng, options.flip)

            drawn = (drawing(), drawing())
        push = None
        if options.path_length and turn % options.path_length_every == 0:
            push = torch.from_numpy(
                self.rng.standard_normal(tuple(pictures.shape), np.float32) / generator.side
            ).to(self.device)
        crossover = torch.from_numpy(cut).view(-1, 1, 1).to(self.device)
        return Batch(first, second, crossover, pictures, drawn, push)

    def real(self, batch: Batch) -> Mapping[str, Shown]:
        """The pictures, augmented."""
        self._last = self._augmented(batch.pictures, batch.drawn and batch.drawn[0])
        return {"discriminator": Shown(self._last)}

    def _augmented(self, pictures: Tensor, drawn: Drawn | None) -> Tensor:
        # Not where the diversity of the fixed batch is measured.
        if drawn is None or not self.networks["generator"].training:
            return pictures
        return augment(pictures, drawn)

    def generate(self, batch: Batch, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Pictures of the batch's z; "path_length" in the steps that look at it."""
        generator = self.networks["generator"]
        first = generator.styles(batch.first[rows])
        at = torch.arange(first.shape[1], device=first.device).view(1, -1, 1)
        styles = first
        if self.options.mixing:
            second = generator.styles(batch.second[rows])
            styles = torch.where(at < batch.crossover[rows], first, second)
        made = self.updates.call(generator.paint, styles)
        total = torch.zeros((), device=made.device)
        values = {"deviation": made.std((2, 3)).mean()}
        if batch.push is not None and torch.is_grad_enabled():
            values["path_length"] = self._path_length(made, styles, batch.push[rows])
            weight = self.options.path_length * self.options.path_length_every
            total = total + weight * values["path_length"]
        drawn = batch.drawn and batch.drawn[1][rows]
        return {**values, "total": total}, {"discriminator": Shown(self._augmented(made, drawn))}

    def _path_length(self, made: Tensor, styles: Tensor, push: Tensor) -> Tensor:
        """Mean over pictures of (l - a)^2, l = |d (made . push) / d styles| over layers' mean."""
        (slopes,) = torch.autograd.grad((made * push).sum(), styles, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        self.length = self.length.lerp(lengths.detach().mean(), LENGTH_DECAY)
        return (lengths - self.length).square().mean()

    def extra_tensors(self) -> dict[str, Tensor]:
        """The augmentation's chance and the mean path length."""
        return {"chance": torch.tensor(self.chance, dtype=torch.float64), "length": self.length}

    def restore_extra(self, tensors: dict[str, Tensor]) -> None:
        """Put them back."""
        self.chance = float(tensors["chance"])
        self.length = tensors["length"].to(self.device)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Two rows of pictures of the same z at every call."""
        latents = generator.draw(2 * SHOWN, np.random.default_rng(self.recipe.seed))
        with torch.no_grad():
            made = generator(latents).cpu()
        return [list(made[:SHOWN].split(1)), list(made[SHOWN:].split(1))]


PLUGIN = Generation
