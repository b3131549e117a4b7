"""The loop of every adversarial method: rates, the generators' step, the discriminators' steps, how
diverse the pictures are, what goes wrong. A method says in `draw`, `real` and `generate` what is
shown to whom, and what its generators minimize besides.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from .. import networks
from ..config import Recipe, find_data
from ..data.unpaired import Unpaired
from ..networks.patchgan import start_small
from ..settings import Positive, Share, Weight
from ..updates import Updates, Values
from . import Assets, Method
from ._adversary import Adversary, AdversaryOptions, Shown
from ._diversity import PICTURES, diversity, open_distance

# A discriminator that is right more often than this has won: its gradients teach nothing more.
WON = 0.97
# A made picture that is always the same color is a dead generator's.
DEAD_DEVIATION = 0.005  # of the pixels within a picture, in image units
# Made pictures that differ from one another by less than this share of the real ones' difference.
COLLAPSED = 0.1
# Steps between two looks at the diversity; the log averages over as many.
LOOK_EVERY = 50
COLORS = 3  # the last channels that are shown to a discriminator are the picture that was made

Batch = TypeVar("Batch")
Fakes = dict[str, Shown]


@dataclass(frozen=True)
class PlayOptions(AdversaryOptions):
    """Settings of the loop, part of `[options]` in the recipes of adversarial methods."""

    gan_weight: Weight = 1.0  # of the discriminators' opinion for the generators; 0: none
    decay_start: Share = 0.5  # share of the run after which the rate falls to zero; 1: never
    discriminator_steps: Positive = 1  # for each step of the generators; WGAN-GP: 5


def two_folders(recipe: Recipe, assets: Assets, second: str) -> Unpaired:
    """Pictures without pairs: the folder of photos, and that of the paintings (`second`)."""
    data = recipe.data
    return Unpaired(
        assets.content or find_data(data.content, "content"),
        assets.style or find_data(second, "style"),
        data.short_side,
        data.limit,
        data.enlarge,
        recipe.seed,
    )


class Adversarial(Method, ABC, Generic[Batch]):
    """Obligations in `training.methods.Method`; a method fills in `draw`, `real`, `generate` and
    `sheet`, and calls `enter` with its networks."""

    paired = False  # each made picture has the real one of its row as its answer

    def __init__(self, recipe: Recipe, assets: Assets, options: PlayOptions) -> None:
        self.recipe, self.device, self.playing = recipe, assets.device, options
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        self._weights = assets.weights
        self._real_diversity: dict[str, float] = {}
        self._distance = None

    def enter(self, makers: dict[str, nn.Module], discriminators: dict[str, nn.Module]) -> None:
        """The networks of both sides, each side with one optimizer."""
        self.makers = makers
        self.networks = {**makers, **discriminators}
        self.updates.check_whole(self.networks)
        self.making = adam(self.recipe, *makers.values())
        theirs = adam(self.recipe, *discriminators.values())
        # As checkpoints name them.
        self.optimizers: dict[str, Optimizer] = {
            "generators" if len(makers) > 1 else "generator": self.making,
            "discriminators" if len(discriminators) > 1 else "discriminator": theirs,
        }
        self.adversary = Adversary(self.playing, discriminators, theirs, self.updates, self.rng)

    @abstractmethod
    def draw(self, turn: int) -> Batch:
        """A batch of inputs and real pictures on the device, random numbers from `rng` only.

        Args:
            turn: batches before this one.
        """

    @abstractmethod
    def real(self, batch: Batch) -> Mapping[str, Shown]:
        """The real pictures of a batch for each discriminator."""

    @abstractmethod
    def generate(self, batch: Batch, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """What the generators make of these rows.

        Returns:
            named scalars, of which "total" is minimized beside the adversarial losses, and the made
            pictures for each discriminator, with their graph.
        """

    def fake(self, batch: Batch, rows: slice) -> Fakes:
        """The made pictures of `generate` alone, for steps in which only discriminators learn."""
        return self.generate(batch, rows)[1]

    def replay(self, fakes: Fakes) -> Fakes:
        """What the discriminators see of the pictures that were made in a step."""
        return fakes

    def learning_rate(self, step: int) -> float:
        """The generators' rate."""
        start = self.playing.decay_start
        return linear_decay(self.recipe.optimizer.lr, step, self.recipe.steps, start)

    def step(self, step: int) -> dict[str, float]:
        """One step of the generators, then those of the discriminators."""
        rate, steps = self.learning_rate(step), self.playing.discriminator_steps
        set_lr({"": self.making}, rate)
        self.adversary.set_lr(rate)
        values: dict[str, float] = {}
        for turn in range(step * steps, (step + 1) * steps):
            batch = self.draw(turn)
            if turn == step * steps:
                values, fakes = self._make(batch)
            else:
                fakes = self._made(batch)
            values |= self.adversary.train(self.real(batch), self.replay(fakes), turn)
        return values | self._look(step)

    def _make(self, batch: Batch) -> tuple[dict[str, float], Fakes]:
        """One step of the generators -> (scalars, what they made of the whole batch)."""
        reals = self.real(batch)
        count = len(next(iter(reals.values())).images)
        pieces: dict[str, list[Shown]] = {name: [] for name in reals}

        def loss(rows: slice) -> Values:
            values, fakes = self.generate(batch, rows)
            for name, fake in fakes.items():
                pieces[name].append(Shown(fake.images.detach(), fake.labels))
            real = {name: shown[rows] for name, shown in reals.items()}
            found = self.adversary.persuade(fakes, real, self.paired)
            total = values["total"] + self.playing.gan_weight * torch.stack([*found.values()]).sum()
            return {**found, **values, "total": total}

        self.adversary.learn(False)
        values = self.updates.minimize(count, loss, self.making)
        self.adversary.learn(True)
        return values, {name: self._whole(found, count) for name, found in pieces.items()}

    @torch.no_grad()
    def _made(self, batch: Batch) -> Fakes:
        """What the generators make of a whole batch from which they do not learn."""
        count = len(next(iter(self.real(batch).values())).images)
        pieces: dict[str, list[Shown]] = {}
        for rows in self.updates.parts(count):
            with self.updates.autocast():
                for name, fake in self.fake(batch, rows).items():
                    pieces.setdefault(name, []).append(fake)
        return {name: self._whole(found, count) for name, found in pieces.items()}

    def _whole(self, pieces: list[Shown], count: int) -> Shown:
        labels = [piece.labels for piece in pieces if piece.labels is not None]
        images = self.updates.gather([piece.images for piece in pieces], count)
        return Shown(images, self.updates.gather(labels, count) if labels else None)

    def _look(self, step: int) -> dict[str, float]:
        """Now and then: how different the pictures are that are made of one fixed batch, as a share
        of how different its real ones are ("diversity..." for each discriminator). Near 0, all are
        the same: mode collapse."""
        if (step + 1) % LOOK_EVERY:
            return {}
        if self._distance is None:
            # Networks are born with random weights: a look costs a run none of its random numbers,
            # nor one that is resumed, which opens them again.
            with torch.random.fork_rng(devices=[]):
                self._distance = open_distance(self._weights, self.device)
        real, made = self._fixed()
        if not self._real_diversity:
            self._real_diversity = {n: diversity(r, self._distance) for n, r in real.items()}
        return {
            name.replace("discriminator", "diversity", 1): diversity(pictures, self._distance)
            / max(self._real_diversity[name], 1e-6)
            for name, pictures in made.items()
        }

    @torch.no_grad()
    def _fixed(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Real and made pictures of the fixed batch; the run's random numbers stay as they are."""
        real: dict[str, list[Tensor]] = {}
        made: dict[str, list[Tensor]] = {}
        rng, kept = self.rng, torch.get_rng_state()
        self.rng = np.random.default_rng(self.recipe.seed)
        torch.manual_seed(self.recipe.seed)
        for network in self.makers.values():
            network.eval()
        try:
            for turn in range(-(-PICTURES // self.recipe.batch)):
                batch = self.draw(turn)
                rows = slice(0, self.recipe.batch)
                for kept_in, found in ((real, self.real(batch)), (made, self.fake(batch, rows))):
                    for name, shown in found.items():
                        pictures = shown.images[:, -COLORS:].float().clamp(0, 1)
                        kept_in.setdefault(name, []).append(pictures)
        finally:
            self.rng = rng
            torch.set_rng_state(kept)
            for network in self.makers.values():
                network.train()
        real_pictures = {name: torch.cat(found)[:PICTURES] for name, found in real.items()}
        return real_pictures, {name: torch.cat(found)[:PICTURES] for name, found in made.items()}

    def diagnose(self, means: dict[str, float]) -> str:
        """What goes wrong, or nothing."""
        return diagnose(means)


def build_network(recipe: Recipe, device: str) -> nn.Module:
    """A generator of the recipe with the papers' start, N(0, 0.02), unless it brings its own."""
    settings = dict(recipe.network)
    network = networks.build(settings.pop("name"), **settings)
    if network.name in ("resnet_cycle", "unet_pix2pix"):
        start_small(network)
    return network.to(device).train()


def adam(recipe: Recipe, *parts: nn.Module) -> Optimizer:
    """Adam over the weights of several networks."""
    config = recipe.optimizer
    weights = [p for part in parts for p in part.parameters()]
    return Adam(weights, config.lr, (config.beta1, config.beta2))


def linear_decay(lr: float, step: int, steps: int, start: float) -> float:
    """Constant until the share `start` of the run, then linear to zero (CycleGAN, section 4)."""
    left = (steps - step) / max(1.0, steps * (1 - start))
    return lr * min(1.0, max(0.0, left))


def set_lr(optimizers: dict[str, Optimizer], lr: float) -> None:
    """One rate for all, times the "share" of groups that have one."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)


def diagnose(means: dict[str, float]) -> str:
    """One sentence about a run that goes wrong, or nothing."""
    sides = {n: v for n, v in means.items() if n.startswith("accuracy")}
    for name, value in sides.items():
        if value > WON:
            return (
                f"{name} is {value:.2f}: the discriminator wins and teaches nothing more; lower "
                "options.discriminator.width or options.discriminator_rate, or use more pictures"
            )
    for name, value in means.items():
        if name.startswith("deviation") and value < DEAD_DEVIATION:
            return (
                f"{name} is {value:.4f}: the generator makes one flat color (it is dead); start "
                "again with another seed or a lower optimizer.lr"
            )
        if name.startswith("diversity") and value < COLLAPSED:
            return (
                f"{name} is {value:.2f}: the generator makes nearly the same picture of everything "
                "(mode collapse); set options.discriminator.minibatch_deviation=true, lower "
                "optimizer.lr or raise options.discriminator_steps"
            )
    return ""
