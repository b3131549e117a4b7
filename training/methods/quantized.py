"""Quantization-aware training: a trained lean network is trained on while its values are rounded.

    loss = mean (q(G)(x) - G0(x))^2        both clamped to [0, 1], as they are shown

q(G) rounds weights and activations as the int8 graph does (`training.quantization.fake`), G0 is the
network as it was. The ranges of the activations learn, too, and belong to the network from then on:
its float form is clipped as its bytes are. After Jacob et al. 2018 (arXiv:1712.05877) and Esser et
al. 2020 (arXiv:1902.08153).

Why the float form is clipped, too: without, what tells the two apart on many photos is the few
values that bytes cut, not rounding. `starry` on ten photos: 29.5 to 40.5 dB without, 40.1 to 40.7
with; and the objective is no worse (0.95 to 1.00 of that without).

The objective of the painting is left out: it needs the painting and the loss network, and is not
needed, because what equals G0 has its objective (0.96 to 1.00 of it on five networks). One run of
600 steps with it, on squares of 128 px, ended at 1.43 times the objective at 640x480; that run also
began with balanced weights, which harm by themselves (`export.finetune`), so it decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from .. import networks
from ..checkpoint import Checkpoint, load_checkpoint, of_one_style
from ..config import Recipe, find_data
from ..data.images import Photos, input_noise, to_tensor
from ..networks import lean
from ..quantization.fake import RANGES, QuantizedLean, Ranges
from ..settings import Enlargement, Share, Weight
from ..updates import Updates
from . import Assets, Method, cut_to_multiple
from .perceptual import VALIDATION, learning_rate, read_options


@dataclass(frozen=True)
class Options:
    """Settings of the method."""

    original: str = ""  # checkpoint of G0
    original_style: str = ""  # which of its styles or domains, if it knows several
    ranges: dict[str, list[float]] = field(default_factory=dict)  # name -> [low, high] at first
    range_lr: Weight = 10.0  # step size of the ranges, in units of the weights'
    night: Share = 0.25  # share of photos that are darkened
    night_gamma: Enlargement = 4.0  # up to this exponent: bright spots on black, the widest ranges


def night_exponents(count: int, share: float, gamma: float, rng: np.random.Generator) -> Tensor:
    """Exponents that darken a share of photos: (N, 1, 1, 1), 1 or uniform in 1..gamma.

    Normalized activations reach furthest where little sticks out of much: lights at night. Photos
    of the day alone leave ranges that clip them.

    Args:
        count: of photos.
        share: of them that become nights, 0..1.
        gamma: largest exponent.
        rng: decides which.
    """
    drawn = [rng.uniform(1, gamma) if rng.random() < share else 1.0 for _ in range(count)]
    return torch.tensor(drawn, dtype=torch.float32)[:, None, None, None]


class Quantized(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        self.options: Options = read_options(Options, recipe.options, "quantized")
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        # Rounding to bytes is what is learned: nothing else may round.
        self.updates = Updates(replace(recipe, precision="fp32"), self.device)
        checkpoint = load_checkpoint(self.options.original)
        if self.options.original_style:
            checkpoint = of_one_style(checkpoint, self.options.original_style)
        self.original = self._place_network(checkpoint)
        self.original.requires_grad_(False)
        settings = dict(recipe.network)
        generator = networks.build(settings.pop("name"), **settings)
        generator.load_state_dict(self.original.state_dict())
        generator.to(self.device, memory_format=torch.channels_last).train()
        photos = assets.content or find_data(recipe.data.content, "content")
        data = recipe.data
        self.photos = Photos(photos, data.short_side, data.limit, data.enlarge, recipe.seed)
        self.shown = self.photos.images[-VALIDATION:]
        if len(self.photos.images) > 10 * VALIDATION:
            del self.photos.images[-VALIDATION:]
        ranges = {name: (low, high) for name, (low, high) in self.options.ranges.items()}
        self.ranges, self.averages = (Ranges(ranges).to(self.device) for _ in range(2))
        self.averages.requires_grad_(False)
        self.quantized = QuantizedLean(generator, self.ranges)
        self.networks: dict[str, nn.Module] = {"generator": generator}
        config = recipe.optimizer
        learning = {"generator": generator, "ranges": self.ranges}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(module.parameters(), config.lr, (config.beta1, config.beta2))
            for name, module in learning.items()
        }

    def step(self, step: int) -> dict[str, float]:
        """One Adam step of weights and ranges; returns the loss, and as PSNR in dB."""
        recipe = self.recipe
        rate = learning_rate(recipe.optimizer, step, recipe.steps)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * (self.options.range_lr if name == "ranges" else 1.0)
        images = self._batch(step)

        def loss(rows: slice) -> dict[str, Tensor]:
            with torch.no_grad():
                expected = self.original(images[rows]).clamp(0, 1)
            found = self.updates.call(self.quantized, images[rows]).clamp(0, 1)
            return {"total": (found - expected).square().mean()}

        value = self.updates.minimize(len(images), loss, *self.optimizers.values())["total"]
        self._average(step)
        return {"total": value, "psnr_db": -10 * float(np.log10(max(value, 1e-12)))}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Photos, what the original makes of them, and `generator` in bytes."""
        if not isinstance(generator, lean.Generator):
            raise TypeError("only lean networks have bytes")
        photos = [
            cut_to_multiple(to_tensor(image), generator.multiple_of).to(self.device)
            for image in self.shown
        ]
        coarse = QuantizedLean(generator, self.averages)
        with torch.no_grad():
            rows = [
                [network(photo).cpu() for photo in photos] for network in (self.original, coarse)
            ]
        return [[photo.cpu() for photo in photos], *rows]

    def extra_tensors(self) -> dict[str, Tensor]:
        """The averaged ranges, which are exported, and those of the last step."""
        found = {f"{RANGES}.{k}": torch.tensor(v) for k, v in self.averages.to_dict().items()}
        return {**found, "low": self.ranges.low.detach(), "high": self.ranges.high.detach()}

    def restore_extra(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `extra_tensors` gave."""
        with torch.no_grad():
            self.ranges.low.copy_(tensors["low"])
            self.ranges.high.copy_(tensors["high"])
            for at, name in enumerate(self.averages.names):
                self.averages.low[at], self.averages.high[at] = tensors[f"{RANGES}.{name}"]

    def _place_network(self, checkpoint: Checkpoint) -> lean.Generator:
        generator = checkpoint.build_generator().float()
        if not isinstance(generator, lean.Generator):
            raise UsageError(
                f'{self.options.original} holds a "{checkpoint.network["name"]}"; fine-tuning '
                'knows "lean" networks only'
            )
        return generator.to(self.device, memory_format=torch.channels_last)

    def _batch(self, step: int) -> Tensor:
        """Photos, some dark; half of the batches with input noise, as in training."""
        data, count = self.recipe.data, self.recipe.batch
        own = self.updates.own(count)
        dark = night_exponents(count, self.options.night, self.options.night_gamma, self.rng)
        images = self.photos.batch(step, count, data.crop, data.zoom, self.rng, own) ** dark
        if data.noise and self.rng.random() < 0.5:
            deviation = data.noise * self.rng.random()
            shape = (images.shape[0], *images.shape[2:])
            # The int8 graph's input are bytes: what leaves their range is cut off.
            images = (images + input_noise(shape, deviation, self.rng)).clamp_(0, 1)
        return images.to(self.device, memory_format=torch.channels_last)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Average the ranges as the engine does the weights."""
        decay = min(self.recipe.ema, (2 + step) / (11 + step))
        for average, value in zip(
            self.averages.parameters(), self.ranges.parameters(), strict=True
        ):
            average.lerp_(value, 1 - decay)


PLUGIN = Quantized
