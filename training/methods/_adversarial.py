"""What CycleGAN and pix2pix share: discriminators, their step, the schedule, the diagnosis."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from .. import networks
from ..config import Recipe
from ..losses.gan import (
    PENALTY_WEIGHT,
    accuracy,
    discriminator_loss,
    gradient_penalty,
)
from ..networks.patchgan import start_small

# A discriminator that is right more often than this has won: its gradients teach nothing more.
WON = 0.97
# The same on one side: a made picture that is always the same is a dead generator.
DEAD_DEVIATION = 0.005  # of the pixels within a picture, in image units


@dataclass(frozen=True)
class Discriminator:
    """A discriminator's shape, `options.discriminator` in a recipe."""

    width: int = 64
    layers: int = 3


def build_network(recipe: Recipe, device: str) -> nn.Module:
    """A generator of the recipe with the papers' start, N(0, 0.02), unless it brings its own."""
    settings = dict(recipe.network)
    network = networks.build(settings.pop("name"), **settings)
    if network.name in ("resnet_cycle", "unet_pix2pix"):
        start_small(network)
    return network.to(device).train()


def build_discriminator(options: dict, channels: int, device: str) -> nn.Module:
    """A PatchGAN."""
    discriminator = networks.build("patchgan", **{**options, "channels": channels})
    start_small(discriminator)
    return discriminator.to(device).train()


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
    """One rate for all."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = lr


def draw_mix(kind: str, count: int, rng: np.random.Generator) -> Tensor:
    """Where between a real and a made picture WGAN-GP looks at the gradient, (N, 1, 1, 1)."""
    if kind != "wgan-gp":
        return torch.zeros(count, 1, 1, 1)
    return torch.from_numpy(rng.random((count, 1, 1, 1), dtype=np.float32))


def train_discriminator(
    kind: str, discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor
) -> tuple[Tensor, float]:
    """(loss to minimize, accuracy) of a discriminator on real and made pictures.

    `mix` is of `draw_mix`.
    """
    real_scores, fake_scores = discriminator(real), discriminator(fake)
    loss = discriminator_loss(kind, real_scores, fake_scores)
    if kind == "wgan-gp":
        loss = loss + PENALTY_WEIGHT * gradient_penalty(
            discriminator, real, fake, mix.to(real.device)
        )
    return loss, accuracy(kind, real_scores, fake_scores)


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
    return ""
