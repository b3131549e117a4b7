"""Quantization-aware fine-tuning: a trained lean network learns to live with bytes.

    total = objective(q(G)(x)) + output * mean (q(G)(x) - G0(x))^2

q(G) rounds weights and activations as the int8 graph does (`training.quantization`), G0 is the
network as it was. The objective alone would be free to paint something else, the difference alone
allows blurred strokes: what cannot be reached exactly is averaged. The ranges of the activations
learn, too, and are stored with the weights; the exporter takes them as they are. After Jacob et al.
2018 (arXiv:1712.05877) and Esser et al. 2020 (arXiv:1902.08153).
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..checkpoint import load_checkpoint
from ..config import Recipe
from ..data.images import Photos
from ..networks import lean
from ..quantization import RANGES, QuantizedLean, Ranges
from . import Assets, distill, perceptual


@dataclass(frozen=True)
class Options(distill.Options):
    """Settings of the method: distillation's, with the network as it was for a teacher."""

    output: float = 100.0  # weight of the mean squared difference to G0's picture
    output_end: float = 1.0  # share of it that is left at the end
    teacher_every: int = 2  # steps between G0's pictures
    ranges: dict[str, list[float]] = field(default_factory=dict)  # name -> [low, high] at first
    range_lr: float = 10.0  # step size of the ranges, in units of the weights'
    night: float = 0.25  # share of photos that are darkened
    night_gamma: float = 4.0  # up to this exponent: bright spots on black, the widest ranges


class Difference(distill.Lesson):
    """The lesson with squares: PSNR is what the export is held to."""

    def difference(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared difference."""
        return (output - target).square().mean()


class Nights(Photos):
    """Photos of which a share is darkened: `photo ** gamma`.

    Normalized activations reach furthest where little sticks out of much: lights at night. Photos
    of the day alone leave ranges that clip them.
    """

    def __init__(self, photos: Photos, share: float, gamma: float) -> None:
        self.images, self.skipped = photos.images, photos.skipped
        self.share, self.gamma = share, gamma

    def batch(self, count: int, crop: int, zoom: float, rng: np.random.Generator) -> Tensor:
        """As `Photos.batch`."""
        exponents = [
            rng.uniform(1, self.gamma) if rng.random() < self.share else 1.0 for _ in range(count)
        ]
        batch = super().batch(count, crop, zoom, rng)
        return batch ** torch.tensor(exponents, dtype=batch.dtype)[:, None, None, None]


class Quantized(distill.Distill):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        options: Options = perceptual.read_options(Options, recipe.options, "quantized")
        generator = load_checkpoint(options.teacher).build_generator()
        if not isinstance(generator, lean.Generator):
            raise UsageError(
                f'{options.teacher} holds a "{recipe.network["name"]}"; fine-tuning knows '
                '"lean" networks only'
            )
        base = distill.options_of(distill.Options, recipe.options)
        super().__init__(replace(recipe, options=base), assets)
        self.recipe, self.lesson = recipe, options
        student = self.networks["generator"]
        student.load_state_dict(generator.state_dict())
        self.objective: Difference = Difference(self.objective)
        self.photos = Nights(self.photos, options.night, options.night_gamma)
        ranges = {name: (low, high) for name, (low, high) in options.ranges.items()}
        self.ranges, self.averages = (Ranges(ranges).to(self.device) for _ in range(2))
        self.averages.requires_grad_(False)
        self.quantized = QuantizedLean(student, self.ranges)
        config = recipe.optimizer
        self.optimizers["ranges"] = torch.optim.Adam(
            self.ranges.parameters(), config.lr, (config.beta1, config.beta2)
        )

    def step(self, step: int) -> dict[str, float]:
        """As the distillation's, with a step of the ranges."""
        optimizer, recipe = self.optimizers["ranges"], self.recipe
        rate = perceptual.learning_rate(recipe.optimizer, step, recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * self.lesson.range_lr
        optimizer.zero_grad(set_to_none=True)
        values = super().step(step)
        optimizer.step()
        with torch.no_grad():
            decay = min(recipe.ema, (2 + step) / (11 + step))  # as the engine averages weights
            pairs = zip(self.averages.parameters(), self.ranges.parameters(), strict=True)
            for average, value in pairs:
                average.lerp_(value, 1 - decay)
        return values

    def paint(self, images: Tensor) -> Tensor:
        """The network's picture as bytes make it."""
        self.teach(images)
        return self.quantized(images)

    def teach(self, images: Tensor) -> None:
        """As the distillation's, in float32."""
        with torch.autocast(images.device.type, enabled=False):
            super().teach(images)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Photos, and what `generator` makes of them in bytes."""
        if not isinstance(generator, lean.Generator):
            raise TypeError("only lean networks have bytes")
        return super().sheet(QuantizedLean(generator, self.averages))

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


PLUGIN = Quantized
