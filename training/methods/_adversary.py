"""The other half of every adversarial method: its discriminators, how they learn, and what steadies
them. Methods say what is shown to them; nothing here knows what a generator is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from runtime.card import JsonObject
from runtime.errors import UsageError
from runtime.fields import fill

from .. import networks
from ..backbones import open_backbone
from ..config import Recipe
from ..losses.gan import (
    PENALTY_WEIGHT,
    accuracy,
    check_kind,
    discriminator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from ..networks import Scores, scores_of
from ..networks._parts import projected
from ..networks.patchgan import start_small
from ..settings import Positive, Weight
from ..updates import Updates, Values

STANDARD = 64  # real pictures by which a projected discriminator's features are standardized


@dataclass(frozen=True)
class AdversaryOptions:
    """Settings of the discriminators, part of `[options]` in the recipes of adversarial methods."""

    gan: str = "lsgan"
    discriminator: JsonObject = field(default_factory=dict)  # shape, stabilizers: `networks`
    discriminator_rate: Weight = (
        1.0  # learning rate, as a share of the generator's (two-time-scale)
    )
    penalty: Weight = PENALTY_WEIGHT  # weight of WGAN-GP's penalty
    r1: Weight = 0.0  # weight gamma of the R1 penalty; StyleGAN2: 10
    r1_every: Positive = 16  # steps between R1 penalties, whose weight is multiplied by it
    feature_matching: Weight = 0.0  # weight for the generator; pix2pixHD: 10
    classification: Weight = 1.0  # weight of a discriminator's class head, where it has one


@dataclass(frozen=True)
class Shown:
    """Pictures for a discriminator.

    Attributes:
        images: (N, C, H, W) in [0, 1], as the discriminator takes them.
        labels: (N,) class of each, for a discriminator with a class head: the domain that a real
            picture is of, the one that a made picture should look like.
    """

    images: Tensor
    labels: Tensor | None = None

    def __getitem__(self, rows: slice) -> "Shown":
        return Shown(self.images[rows], None if self.labels is None else self.labels[rows])


def build_discriminator(options: JsonObject, channels: int, device: str) -> nn.Module:
    """A PatchGAN, or the network that `options` names, with the papers' start."""
    settings = {"name": "patchgan", "channels": channels, **options}
    discriminator = networks.build(settings.pop("name"), **settings)
    start_small(discriminator)
    return discriminator.to(device).train()


def looking_through(
    shape: JsonObject, recipe: Recipe, weights: Path | None, device: str, real: Tensor
) -> projected.Discriminator:
    """A discriminator that looks through the recipe's loss network.

    Args:
        shape: fields of its `DiscriminatorConfig`, `options.discriminator` without the name.
        recipe: whose `backbone.name` it looks through.
        weights: folder of pretrained weights.
        device: of everything.
        real: (N, 3, H, W) in [0, 1], by which its features are standardized.
    """
    config = fill(projected.DiscriminatorConfig, dict(shape), "options.discriminator", "setting")
    backbone = open_backbone(recipe.backbone.name, weights).to(device)
    discriminator = projected.Discriminator(config, backbone).to(device)
    discriminator.standardize(real.to(device))
    return discriminator.train()


def draw_mix(kind: str, count: int, rng: np.random.Generator) -> Tensor:
    """Where between a real and a made picture WGAN-GP looks at the gradient, (N, 1, 1, 1)."""
    if kind != "wgan-gp":
        return torch.zeros(count, 1, 1, 1)
    return torch.from_numpy(rng.random((count, 1, 1, 1), dtype=np.float32))


class Adversary:
    """Discriminators, by name, and the optimizer they share.

    Args:
        options: how they learn.
        discriminators: name, "discriminator..." -> network, (N, C, H, W) to scores or `Scores`.
        optimizer: of their weights.
        updates: through which they change.
        rng: the run's.

    Raises:
        UsageError: an unknown game, or the deviation of a batch is asked for where batches, or what
            is worked on at once of them, hold one picture.
    """

    def __init__(
        self,
        options: AdversaryOptions,
        discriminators: dict[str, nn.Module],
        optimizer: Optimizer,
        updates: Updates,
        rng: np.random.Generator,
    ) -> None:
        check_kind(options.gan)
        compared = any(getattr(each, "deviation", False) for each in discriminators.values())
        if compared and updates.smallest_part < 2:
            raise UsageError(
                "options.discriminator.minibatch_deviation compares the pictures of a batch, and "
                "only one is worked on at once: raise batch, or lower compute.accumulate"
            )
        self.options, self.discriminators, self.optimizer = options, discriminators, optimizer
        self.updates, self.rng = updates, rng

    def set_lr(self, lr: float) -> None:
        """The discriminators' rate, given the generator's."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * self.options.discriminator_rate * group.get("share", 1.0)

    def learn(self, wanted: bool) -> None:
        """Whether gradients are kept for the discriminators: not while the generator learns."""
        for discriminator in self.discriminators.values():
            discriminator.requires_grad_(wanted)

    def persuade(
        self, fakes: Mapping[str, Shown], reals: Mapping[str, Shown], paired: bool = False
    ) -> dict[str, Tensor]:
        """What the generator minimizes: "gan", and weighted "feature_matching" and "class" where
        the options and the discriminators have them; sums over discriminators and scales.

        Args:
            fakes: what it made, with its graph.
            reals: real pictures, for feature matching.
            paired: each made picture has the real one of its row as its answer.
        """
        found: dict[str, Tensor] = {}

        def add(name: str, value: Tensor) -> None:
            found[name] = found[name] + value if name in found else value

        for name, fake in fakes.items():
            discriminator = self.discriminators[name]
            scores = scores_of(discriminator, fake.images, fake.labels)
            for each in scores.maps:
                add("gan", generator_loss(self.options.gan, each))
            if self.options.feature_matching:
                with torch.no_grad():
                    wanted = scores_of(discriminator, reals[name].images).features
                matching = feature_matching(wanted, scores.features, paired)
                add("feature_matching", self.options.feature_matching * matching)
            if (loss := self._classification(scores, fake.labels)) is not None:
                add("class", loss)
        return found

    def train(
        self, reals: Mapping[str, Shown], fakes: Mapping[str, Shown], turn: int
    ) -> dict[str, float]:
        """One step of all discriminators.

        Args:
            reals, fakes: pictures by discriminator; the made ones without their graph.
            turn: discriminator steps before this one.

        Returns:
            "discriminator", the loss; "accuracy..." of each; what else was minimized.
        """
        options, some = self.options, next(iter(fakes.values())).images
        mixes = {name: draw_mix(options.gan, len(f.images), self.rng) for name, f in fakes.items()}
        penalized = bool(options.r1) and turn % options.r1_every == 0

        def loss(rows: slice) -> Values:
            total = torch.zeros((), device=some.device)
            values: dict[str, Tensor | float] = {}
            for name, discriminator in self.discriminators.items():
                real, fake, mix = reals[name][rows], fakes[name][rows], mixes[name][rows]
                terms, right = self._discriminate(discriminator, real, fake, mix, penalized)
                total = torch.stack([total, *terms.values()]).sum()
                values[name.replace("discriminator", "accuracy", 1)] = right
                for term in ("penalty", "r1", "class"):
                    if term in terms:
                        values[f"{name}_{term}"] = terms[term].detach()
            return {**values, "total": total}

        values = self.updates.minimize(len(some), loss, self.optimizer)
        return {"discriminator": values.pop("total"), **values}

    def _discriminate(
        self, discriminator: nn.Module, real: Shown, fake: Shown, mix: Tensor, penalized: bool
    ) -> tuple[dict[str, Tensor], float]:
        """(weighted terms to minimize, share of scores on the right side)."""
        options = self.options
        on_real = scores_of(discriminator, real.images, real.labels)
        on_fake = scores_of(discriminator, fake.images, fake.labels)
        pairs = list(zip(on_real.maps, on_fake.maps, strict=True))
        terms = {"gan": torch.stack([discriminator_loss(options.gan, *p) for p in pairs]).sum()}
        if options.gan == "wgan-gp":
            terms["penalty"] = options.penalty * gradient_penalty(
                lambda images: _joined(discriminator, images, fake.labels, torch.sum),
                real.images,
                fake.images,
                mix.to(real.images.device),
            )
        if penalized:
            terms["r1"] = (
                options.r1
                * options.r1_every
                * r1_penalty(
                    lambda x: _joined(discriminator, x, real.labels, torch.mean), real.images
                )
            )
        if (loss := self._classification(on_real, real.labels)) is not None:
            terms["class"] = loss
        rights = [accuracy(options.gan, *pair) for pair in pairs]
        return terms, sum(rights) / len(rights)

    def _classification(self, scores: Scores, labels: Tensor | None) -> Tensor | None:
        if scores.classes is None or labels is None or not self.options.classification:
            return None
        return self.options.classification * F.cross_entropy(scores.classes.float(), labels)


def _joined(discriminator: nn.Module, images: Tensor, labels: Tensor | None, how) -> Tensor:
    """One score (N,) per picture, over positions (`how`: their sum or mean) and scales."""
    maps = scores_of(discriminator, images, labels).maps
    return torch.stack([how(each.flatten(1), 1) for each in maps]).sum(0)
