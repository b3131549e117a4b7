"""Denoising diffusion (Ho, Jain, Abbeel, NeurIPS 2020, arXiv:2006.11239): the reference.

A picture x_0 in [-1, 1] is drowned in noise in T steps,

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e,   e ~ N(0, 1),   a_t = product of (1 - beta_s), s <= t

and the network learns to see the noise: it minimizes |e - network(x_t, t)|^2 for random t (the
paper's L_simple, eq. 14). `denoise` turns noise into pictures, step by step back.

`target = "velocity"` is not the paper's: sqrt(a_t) e - sqrt(1 - a_t) x_0 is learned instead
(Salimans and Ho 2022, arXiv:2202.00512). Both say the same, but an error in e is multiplied by
sqrt(1 / a_t - 1) before it is seen in the picture, 158 at the last t: too much for small networks
that learn for minutes.

One picture takes tens to hundreds of evaluations of the network, which is no method for real time:
it is here as the yardstick of the generators that take one. `data.content` is the folder of
pictures. Deviation: t counts from 0, the paper's t = 1 is ours 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.fields import Between

from .. import networks
from ..config import Recipe, find_data
from ..data.images import Photos
from ..settings import Positive
from ..updates import Updates, Values
from . import Assets, Method, _adversarial
from .perceptual import read_options

SHOWN = 8  # pictures in a row of the contact sheet, which has two
SHEET_EVALUATIONS = 25  # of the network for each of them


@dataclass(frozen=True)
class Options:
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    times: Annotated[int, Between(2, 100_000)] = 1000  # T
    first_beta: Annotated[float, Between(1e-9, 0.999)] = 1e-4
    last_beta: Annotated[float, Between(1e-9, 0.999)] = 0.02  # between them: linear
    target: Literal["noise", "velocity"] = "noise"  # of the network; the paper's is noise
    flip: bool = True  # left for right, half of the time; not for letters and digits
    warmup: Positive = 5000  # steps until the full learning rate


def kept_shares(options: Options) -> Tensor:
    """a_t: the share of a picture's variance that is left at each time, (T,) float32."""
    betas = torch.linspace(
        options.first_beta, options.last_beta, options.times, dtype=torch.float64
    )
    return (1 - betas).cumprod(0).float()


def add_noise(pictures: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """x_t = sqrt(a) x_0 + sqrt(1 - a) e.

    Args:
        pictures: x_0, (N, 3, H, W) in -1..1.
        noise: e, the same shape.
        kept: a, (N,).
    """
    share = kept.view(-1, 1, 1, 1)
    return share.sqrt() * pictures + (1 - share).sqrt() * noise


def visited(times: int, evaluations: int) -> list[int]:
    """The times at which the network is asked, from the noisiest down to 0, evenly spaced.

    Raises:
        UsageError: more evaluations than times, or none.
    """
    if not 1 <= evaluations <= times:
        raise UsageError(f"{evaluations} evaluations: allowed are 1 to {times}, as many as times")
    if evaluations == 1:
        return [times - 1]
    return [round(t) for t in np.linspace(times - 1, 0, evaluations)]


@torch.no_grad()
def denoise(
    network: nn.Module,
    noise: Tensor,
    options: Options,
    evaluations: int,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Pictures out of noise, (N, 3, H, W) RGB in [0, 1].

        x_s = sqrt(a_s) x + sqrt(1 - a_s - d^2) e + d z
        x = clip((x_t - sqrt(1 - a_t) e) / sqrt(a_t))
        d = r sqrt((1 - a_s) / (1 - a_t)) sqrt(1 - a_t / a_s)

    with e = network(x_t, t); of a velocity v, x = clip(sqrt(a_t) x_t - sqrt(1 - a_t) v). With `rng`
    r = 1, the paper's ancestral sampling (its variance beta-tilde, exactly so if all T times are
    visited); without, r = 0: the deterministic path of Song, Meng, Ermon 2021 (DDIM,
    arXiv:2010.02502, eq. 12 and 16), on which near noise makes near pictures and tens of
    evaluations are enough.

    Args:
        network: the denoiser.
        noise: (N, 3, H, W) standard normal.
        options: of the training.
        evaluations: of the network.
        rng: source of z.
    """
    kept = kept_shares(options).to(noise.device)
    way = visited(options.times, evaluations)
    x = noise
    for index, time in enumerate(way):
        now = kept[time]
        after = kept[way[index + 1]] if index + 1 < len(way) else torch.ones_like(now)
        found = network(x, torch.full((len(x),), time, device=x.device))
        if options.target == "velocity":
            clean = (now.sqrt() * x - (1 - now).sqrt() * found).clamp(-1, 1)
        else:
            clean = ((x - (1 - now).sqrt() * found) / now.sqrt()).clamp(-1, 1)
        # The noise that belongs to what was clipped, so that both add up to x again.
        error = (x - now.sqrt() * clean) / (1 - now).sqrt()
        spread = torch.zeros_like(now)
        if rng is not None and index + 1 < len(way):
            spread = ((1 - after) / (1 - now) * (1 - now / after)).sqrt()
        x = after.sqrt() * clean + (1 - after - spread.square()).clamp_min(0).sqrt() * error
        if rng is not None:
            fresh = rng.standard_normal(tuple(x.shape), dtype=np.float32)
            x = x + spread * torch.from_numpy(fresh).to(x.device)
    return 0.5 + 0.5 * x.clamp(-1, 1)


class Ddpm(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        self.options: Options = read_options(Options, recipe.options, "ddpm")
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        settings, data = dict(recipe.network), recipe.data
        network = networks.build(settings.pop("name"), **settings)
        if data.crop % network.multiple_of:
            raise UsageError(
                f"data.crop is {data.crop}, this network wants a multiple of {network.multiple_of}"
            )
        folder = assets.content or find_data(data.content, "content")
        self.photos = Photos(
            folder, data.short_side, data.limit, seed=recipe.seed, flip=self.options.flip
        )
        self.networks: dict[str, nn.Module] = {"generator": network.to(self.device).train()}
        self.optimizers = {"generator": _adversarial.adam(recipe, network)}
        self.kept = kept_shares(self.options)

    def step(self, step: int) -> dict[str, float]:
        """One step of the denoiser on pictures with fresh noise at random times."""
        recipe, data, network = self.recipe, self.recipe.data, self.networks["generator"]
        rate = min(1.0, (step + 1) / self.options.warmup)
        _adversarial.set_lr(self.optimizers, rate * recipe.optimizer.lr)
        photos = self.photos.batch(step, recipe.batch, data.crop, data.zoom, self.rng)
        times = torch.from_numpy(self.rng.integers(0, self.options.times, len(photos)))
        noise = torch.from_numpy(self.rng.standard_normal(tuple(photos.shape), dtype=np.float32))
        kept = self.kept[times]
        noisy = add_noise(2 * photos - 1, noise, kept)
        wanted = noise
        if self.options.target == "velocity":
            wanted = add_noise(noise, 1 - 2 * photos, kept)
        noisy, wanted, times = (part.to(self.device) for part in (noisy, wanted, times))

        def loss(rows: slice) -> Values:
            found = self.updates.call(network, noisy[rows], times[rows])
            return {"total": (found - wanted[rows]).square().mean()}

        found = self.updates.minimize(len(photos), loss, self.optimizers["generator"])
        return {self.options.target: found["total"]}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Two rows of pictures out of the same noise at every call."""
        shape = (2 * SHOWN, 3, self.recipe.data.crop, self.recipe.data.crop)
        noise = np.random.default_rng(self.recipe.seed).standard_normal(shape, dtype=np.float32)
        evaluations = min(SHEET_EVALUATIONS, self.options.times)
        start = torch.from_numpy(noise).to(self.device)
        made = denoise(generator, start, self.options, evaluations).cpu()
        return [list(made[:SHOWN].split(1)), list(made[SHOWN:].split(1))]


PLUGIN = Ddpm
