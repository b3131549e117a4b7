"""Adversarial losses, one formula each: vanilla, LSGAN, hinge and WGAN-GP.

A discriminator gives scores (any shape: PatchGAN's are a map); real pictures should score high.
Losses are means over scores, so that pictures of any size weigh alike.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.errors import UsageError
from runtime.plugins import suggest

from ..networks import scores_of
from . import LossInputs, Target

KINDS = ("lsgan", "vanilla", "hinge", "wgan-gp")
PENALTY_WEIGHT = 10.0  # lambda of Gulrajani et al.


def check_kind(kind: str) -> str:
    """`kind`, or UsageError with a suggestion."""
    if kind not in KINDS:
        raise UsageError(f'no GAN loss "{kind}".{suggest(kind, list(KINDS))}')
    return kind


def discriminator_loss(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimizes, given its scores of real and of made pictures.

        lsgan     mean((r - 1)^2) / 2 + mean(f^2) / 2
        vanilla   mean(softplus(-r)) / 2 + mean(softplus(f)) / 2      (binary cross-entropy)
        hinge     mean(max(0, 1 - r)) / 2 + mean(max(0, 1 + f)) / 2
        wgan-gp   mean(f) - mean(r)                                   (add `gradient_penalty`)

    The halves follow CycleGAN's and pix2pix' code, which slow the discriminator down.

    Reference:
        Goodfellow et al. 2014 (arXiv:1406.2661); Mao et al. 2017 (arXiv:1611.04076); Lim and Ye
        2017 (arXiv:1705.02894); Gulrajani et al. 2017 (arXiv:1704.00028).
    """
    if check_kind(kind) == "lsgan":
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()
    if kind == "vanilla":
        return 0.5 * F.softplus(-real).mean() + 0.5 * F.softplus(fake).mean()
    if kind == "hinge":
        return 0.5 * F.relu(1 - real).mean() + 0.5 * F.relu(1 + fake).mean()
    return fake.mean() - real.mean()


def generator_loss(kind: str, fake: Tensor) -> Tensor:
    """What the generator minimizes: its pictures' scores should look real.

        lsgan     mean((f - 1)^2)
        vanilla   mean(softplus(-f))        (the non-saturating form)
        hinge, wgan-gp   -mean(f)

    Reference:
        As `discriminator_loss`.
    """
    if check_kind(kind) == "lsgan":
        return (fake - 1).square().mean()
    if kind == "vanilla":
        return F.softplus(-fake).mean()
    return -fake.mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """Keeps the discriminator's slope at 1 between real and made pictures.

        mean over the batch of (|grad D(x)|_2 - 1)^2,   x = mix * real + (1 - mix) * fake

    Args:
        discriminator: of pictures (N, C, H, W).
        real, fake: (N, C, H, W).
        mix: (N, 1, 1, 1) uniform in 0..1.

    Reference:
        Gulrajani et al. 2017, eq. 3, without its weight of 10.
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    scores = discriminator(between)
    (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Keeps the discriminator flat where the real pictures are.

        mean over the batch of |grad D(x)|_2^2 / 2,   D(x) the mean of a picture's scores

    Args:
        discriminator: of pictures (N, C, H, W) to scores (N, ...).
        real: (N, C, H, W).

    Reference:
        Mescheder, Geiger, Nowozin, ICML 2018 (arXiv:1801.04406), eq. 9, without its weight gamma.
    """
    images = real.detach().requires_grad_(True)
    scores = discriminator(images).reshape(len(images), -1).mean(1)
    (slopes,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return 0.5 * slopes.flatten(1).square().sum(1).mean()


def feature_matching(
    real: Sequence[Tensor], fake: Sequence[Tensor], paired: bool = False
) -> Tensor:
    """How far the discriminator's activations of made pictures are from those of real ones.

        mean over the layers of mean |F(y) - F(G(x))|         paired: y is the answer to x
        mean over the layers of mean |E F(y) - E F(G(x))|     else; E over batch and positions

    Args:
        real, fake: activations (N, C, H, W) of the same layers; no gradient goes to the real ones.

    Raises:
        UsageError: the discriminator shows no activations.

    Reference:
        Wang et al., CVPR 2018 (arXiv:1711.11585), eq. 4, there with weight 10; Salimans et al.,
        NIPS 2016 (arXiv:1606.03498), section 3.1, for pictures that belong to nothing.
    """
    if not real or not fake:
        raise UsageError(
            "options.feature_matching needs a discriminator that shows its layers: patchgan does"
        )
    total = torch.zeros((), device=fake[0].device)
    for one, other in zip(real, fake, strict=True):
        wanted, made = one.detach().float(), other.float()
        if not paired:
            axes = (0, *range(2, made.dim()))
            wanted, made = wanted.mean(axes), made.mean(axes)
        total = total + (wanted - made).abs().mean()
    return total / len(real)


def accuracy(kind: str, real: Tensor, fake: Tensor) -> float:
    """Share of scores on the right side of the middle (1/2 for LSGAN, 0 else).

    Between 0.55 and 0.9 the two are well matched; near 1 the discriminator has won.
    """
    middle = 0.5 if kind == "lsgan" else 0.0
    right = (real > middle).float().mean() + (fake <= middle).float().mean()
    return 0.5 * float(right)


class GanTerm:
    """`generator_loss` of a discriminator that a method trains and puts into `discriminator`."""

    needs = ()

    def __init__(self, target: Target) -> None:
        self.discriminator: nn.Module | None = None
        self.kind = "lsgan"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar. Raises UsageError when nobody trains a discriminator."""
        if self.discriminator is None:
            raise UsageError(
                'the term "gan" needs a discriminator that learns: use --recipe cyclegan or pix2pix'
            )
        maps = scores_of(self.discriminator, inputs.output).maps
        return torch.stack([generator_loss(self.kind, each) for each in maps]).sum()


PLUGIN = GanTerm
