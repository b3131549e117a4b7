"""A discriminator that looks through a pretrained loss network (Projected GANs; Sauer, Chitta,
Müller, Geiger, NeurIPS 2021, arXiv:2111.01007).

    features of frozen layers, each channel less its mean over its deviation on real pictures
    -> scores: for each layer conv 1x1 (w), LeakyReLU, conv 3x3 /2 (w), LeakyReLU, conv 1x1 to a map
    -> of mean and deviation of every channel, standardized in the same way: K logits of the classes
       (none where `classes` is 0), and with `whole` one more score, by two dense layers (w)

Loss networks have learned pictures of 224 px: small ones are enlarged (`enlarge`), as by the
paper's authors.

One that begins with nothing learns a few hundred pictures by heart, and patterns of single pixels
fool its class head; what a loss network sees is common to pictures. Deviations from the paper: no
random projections, the class head, a VGG instead of an EfficientNet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.fields import Between

from ...backbones import Backbone
from ...settings import Channels, Count, Share
from .. import Scores

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
# Variance, in units of the real pictures': a root has no slope at 0, where a channel never fires.
TINY = 1e-6
LEAST = 1e-3  # deviation of a channel that never changes, in units of the backbone


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of what is learned on the features."""

    width: Channels = 32  # of the layers before each map
    classes: Count = 4
    by_domain: bool = True  # a score for each domain (StarGAN v2), besides the class head
    whole: bool = False  # a score of the whole picture: against tints that no square gives away
    dropout: Share = 0.0  # of the statistics that the classes are told by
    enlarge: Annotated[int, Between(1, 8)] = 1  # times, before the loss network looks


class Discriminator(nn.Module):
    """pictures (N, 3, H, W) in [0, 1] -> `Scores`, a map for each layer, and classes.

    Args:
        config: see there.
        backbone: frozen; no part of the state, and on the same device as what is shown.
        layers: its layers that are looked at.
    """

    def __init__(
        self, config: DiscriminatorConfig, backbone: Backbone, layers: Sequence[str] = LAYERS
    ) -> None:
        super().__init__()
        backbone.check_layers(layers)
        self._backbone = (backbone,)  # in a tuple: its weights are not this network's
        self.layers, self.by_domain = tuple(layers), config.by_domain and config.classes > 0
        self.enlarge = config.enlarge
        device = next(backbone.parameters()).device
        depths = [x.shape[1] for x in self._features(torch.zeros(1, 3, 64, 64, device=device))]
        scores = config.classes if self.by_domain else 1
        self.heads = nn.ModuleList(_head(depth, config.width, scores) for depth in depths)
        count = 2 * sum(depths)
        self.classify = _classes(count, config) if config.classes else None
        self.whole = _whole(count, config.width, scores) if config.whole else None
        for name, count in (("channel", sum(depths)), ("statistic", 2 * sum(depths))):
            self.register_buffer(f"{name}_mean", torch.zeros(count))
            self.register_buffer(f"{name}_deviation", torch.ones(count))

    @torch.no_grad()
    def standardize(self, pictures: Tensor) -> None:
        """Take mean and deviation of channels and of their statistics from these real pictures."""
        features = self._features(pictures)
        rows = [x.transpose(0, 1).flatten(1) for x in features]
        self.channel_mean = torch.cat([row.mean(1) for row in rows])
        self.channel_deviation = torch.cat([row.std(1) for row in rows]).clamp_min(LEAST)
        found = _statistics(self._standardized(features))
        self.statistic_mean = found.mean(0)
        self.statistic_deviation = found.std(0).clamp_min(LEAST)

    def forward(self, images: Tensor) -> Scores:
        """A map of scores for each layer, and the logits of the domains."""
        features = self._standardized(self._features(images))
        maps = [head(x).float() for head, x in zip(self.heads, features, strict=True)]
        found = (_statistics(features) - self.statistic_mean) / self.statistic_deviation
        if self.whole is not None:
            maps.append(self.whole(found).float())
        classes = None if self.classify is None else self.classify(found).float()
        return Scores(tuple(maps), tuple(features), classes)

    def _features(self, images: Tensor) -> list[Tensor]:
        if self.enlarge > 1:
            images = F.interpolate(images, scale_factor=self.enlarge, mode="bilinear")
        found = self._backbone[0](images, set(self.layers))
        return [found[layer] for layer in self.layers]

    def _standardized(self, features: list[Tensor]) -> list[Tensor]:
        counts = [x.shape[1] for x in features]
        means = self.channel_mean[:, None, None].split(counts)
        deviations = self.channel_deviation[:, None, None].split(counts)
        return [(x - m) / d for x, m, d in zip(features, means, deviations, strict=True)]


def _head(depth: int, width: int, scores: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(depth, width, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, scores, 1),
    )


def _classes(statistics: int, config: DiscriminatorConfig) -> nn.Module:
    linear = nn.Linear(statistics, config.classes)
    return nn.Sequential(nn.Dropout(config.dropout), linear) if config.dropout else linear


def _whole(statistics: int, width: int, scores: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(statistics, width), nn.LeakyReLU(0.2), nn.Linear(width, scores))


def _statistics(features: list[Tensor]) -> Tensor:
    """Means and deviations of all channels, (N, 2 * channels)."""
    rows = [torch.cat([x.mean((2, 3)), (x.var((2, 3)) + TINY).sqrt()], 1) for x in features]
    return torch.cat(rows, 1)
