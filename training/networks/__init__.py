"""Generators. Each file declares a frozen `Config` dataclass and a `Generator(config)` module and
ends in `PLUGIN = (Config, Generator)`. A generator maps images (N, 3, H, W) RGB in [0, 1] to the
same shape (not clamped: the export clamps), and says what the runtime must know in two attributes:
`multiple_of` (height and width must be multiples of it) and `normalization` ("instance"/"none").
A generator that eats more than a picture, or needs a second graph for the style, says so in
`exports(name) -> list[Graph]`. One that makes pictures out of noise says `from_noise = True`: it is
not exported, `training.sample` asks it.
"""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runtime.card import Port
from runtime.errors import UsageError
from runtime.fields import fill
from runtime.plugins import load


@dataclass(frozen=True)
class Graph:
    """One graph of a generator that is shipped as several.

    Attributes:
        suffix: "" for the one that takes the frame, ".style" for `<name>.style.onnx`.
        module: takes the input ports in order and returns the output ports in order, clamped.
        inputs, outputs: ports, as the card will state them.
    """

    suffix: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Scores(NamedTuple):
    """What a discriminator may answer of a batch of N pictures.

    Attributes:
        maps: a tensor of scores (N, ...) for each scale; real pictures should score high.
        features: activations of the layers before, all scales; empty if none are shown.
        classes: (N, K) logits of the K domains a picture may be of, or None.
    """

    maps: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()
    classes: Tensor | None = None


def scores_of(discriminator: nn.Module, images: Tensor, labels: Tensor | None = None) -> Scores:
    """What `discriminator` says of images (N, C, H, W), whether it answers `Scores` or one map.

    One that scores `by_domain` answers maps (N, K, ...): of these, those of the labels (N,) are
    taken, (N, 1, ...).
    """
    found = discriminator(images)
    scores = found if isinstance(found, Scores) else Scores((found,))
    if labels is None or not getattr(discriminator, "by_domain", False):
        return scores
    rows = torch.arange(len(images), device=images.device)
    return scores._replace(maps=tuple(each[rows, labels][:, None] for each in scores.maps))


def build(name: str, **config: Any) -> nn.Module:
    """Build the generator `name`; its resolved settings are kept as `.name` and `.config`.

    Raises:
        UsageError: unknown network, unknown setting (the nearest is suggested) or a bad value.
    """
    config_class, generator_class = load(sys.modules[__name__], name)
    try:
        settings = fill(config_class, config, f'network "{name}"', "setting")
    except ValueError as error:
        raise UsageError(f'network "{name}": {error}') from None
    network = generator_class(settings)
    network.name = name
    network.config = dataclasses.asdict(settings)
    return network
