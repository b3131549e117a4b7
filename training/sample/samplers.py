"""A trained generator behind one face: a number becomes a style, styles become pictures.

A style is what decides a picture, in layers (L, ...): what StyleGAN2's mapping makes of z for each
of its layers, DCGAN's z itself (L = 1), DDPM's starting noise (L = 1).
"""

from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..checkpoint import Checkpoint, load_checkpoint
from ..methods.ddpm import Options, denoise
from ..methods.perceptual import read_options

PARTS = 16  # pictures that are made at once


class Sampler(Protocol):
    """The obligations of a sampler."""

    layers: int  # of a style

    def style(self, seed: int) -> Tensor:
        """The style that belongs to a number, (L, ...); always the same."""
        ...

    def between(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """A style on the way from the first (share 0) to the second (share 1)."""
        ...

    def paint(self, styles: Tensor) -> Tensor:
        """Styles (N, L, ...) -> pictures (N, 3, H, W) RGB, about [0, 1]."""
        ...


class LatentSampler:
    """Of a network that says `latent`, `layers`, `draw`, `styles` and `paint`.

    Args:
        network: `networks.dcgan` or `networks.stylegan2`, with its weights.
        truncation: share of a style's distance to the mean style that is kept (Karras et al. 2019,
            appendix B): 1 is what was learned, less is more usual and less varied, 0 is one
            picture.
    """

    def __init__(self, network: nn.Module, truncation: float = 1.0) -> None:
        self.network, self.truncation = network, truncation
        self.layers = int(network.layers)  # type: ignore[arg-type]

    @torch.no_grad()
    def style(self, seed: int) -> Tensor:
        """See `Sampler`."""
        latent = self.network.draw(1, np.random.default_rng(seed))  # type: ignore[operator]
        return self.network.styles(latent, self.truncation)[0]  # type: ignore[operator]

    def between(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """On the straight line."""
        return torch.lerp(first, second, share)

    @torch.no_grad()
    def paint(self, styles: Tensor) -> Tensor:
        """See `Sampler`."""
        return self.network.paint(styles)  # type: ignore[operator]


class DiffusionSampler:
    """Of a denoiser, on the deterministic path (`methods.ddpm.denoise`).

    Args:
        network: `networks.unet_ddpm` with its weights.
        options: of its training.
        side: of the pictures, px.
        evaluations: of the network for each picture.
    """

    layers = 1

    def __init__(self, network: nn.Module, options: Options, side: int, evaluations: int) -> None:
        self.network, self.options = network, options
        self.side, self.evaluations = side, evaluations

    def style(self, seed: int) -> Tensor:
        """Noise (1, 3, side, side)."""
        shape = (1, 3, self.side, self.side)
        return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))

    def between(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """On the great circle: what lies straight between two noises is too small for noise.

        sin((1 - s) w) / sin(w) a + sin(s w) / sin(w) b,   w the angle between a and b (Shoemake
        1985).
        """
        cosine = (first * second).sum() / (first.norm() * second.norm())
        angle = cosine.clamp(-1, 1).acos()
        if angle < 1e-6:
            return first
        return (((1 - share) * angle).sin() * first + (share * angle).sin() * second) / angle.sin()

    def paint(self, styles: Tensor) -> Tensor:
        """See `Sampler`."""
        return denoise(self.network, styles[:, 0], self.options, self.evaluations)


def open_sampler(path: Path, truncation: float, evaluations: int) -> Sampler:
    """The sampler of a checkpoint, or of a run folder's newest.

    Raises:
        UsageError: its network makes no pictures out of noise, or cannot do what is asked.
    """
    checkpoint: Checkpoint = load_checkpoint(path)
    network = checkpoint.build_generator()
    if not getattr(network, "from_noise", False):
        raise UsageError(
            f'"{path}" holds "{network.name}", which needs a photo: python -m export, then '
            "impasto image; pictures out of noise are made by dcgan, stylegan2 and unet_ddpm"
        )
    if hasattr(network, "draw"):
        return LatentSampler(network, truncation)
    if truncation != 1:
        raise UsageError(
            f'--truncation {truncation}: "{network.name}" has no mean style; only 1 is allowed'
        )
    options = read_options(Options, checkpoint.recipe["options"], "ddpm")
    side = int(checkpoint.recipe["data"]["crop"])
    return DiffusionSampler(network, options, side, min(evaluations, options.times))


def paint_all(sampler: Sampler, styles: list[Tensor]) -> list[Tensor]:
    """Pictures (1, 3, H, W) of styles (L, ...), `PARTS` at once."""
    made: list[Tensor] = []
    for first in range(0, len(styles), PARTS):
        made += sampler.paint(torch.stack(styles[first : first + PARTS])).split(1)
    return made


def walk(sampler: Sampler, seeds: list[int], frames: int) -> list[Tensor]:
    """Styles along the way from seed to seed: `frames` for each part, the ends of all included."""
    stops = [sampler.style(seed) for seed in seeds]
    way = [
        sampler.between(first, second, index / frames)
        for first, second in pairwise(stops)
        for index in range(frames)
    ]
    return [*way, stops[-1]]


def mix(coarse: Tensor, fine: Tensor, crossover: int) -> Tensor:
    """The first `crossover` layers of one style, the others of another (Karras et al. 2019, 3.1).

    Args:
        coarse, fine: (L, ...).
    """
    return torch.cat([coarse[:crossover], fine[crossover:]])
