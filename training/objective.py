"""The objective: a weighted sum of terms on one pass of the backbone.

The same object judges a generator while it trains, the pixels of `training.optimize`, and the
finished model in the report: their numbers can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.plugins import load, names, suggest

from . import losses
from .backbones import Backbone
from .losses import Film, Learner, LossInputs, Target, Term
from .losses.coarse import coarse_features

if TYPE_CHECKING:
    from .losses.text import TextTarget


class Objective:
    """Weighted terms of `training.losses`, by name.

    Args:
        backbone: feature extractor.
        painting: (1, 3, H, W) RGB in [0, 1].
        style_layers: layer -> weight among the layers.
        content_layers: layers compared with the photo.
        weights: term name -> weight; zero leaves a term out.
        masks: regions of the painting and of the photo, for the term "regions".
        text: words, for the term "text".

    Raises:
        UsageError: unknown term or layer.
    """

    def __init__(
        self,
        backbone: Backbone,
        painting: Tensor,
        style_layers: dict[str, float],
        content_layers: tuple[str, ...],
        weights: dict[str, float],
        masks: tuple[Tensor, Tensor] | None = None,
        text: TextTarget | None = None,
    ) -> None:
        known = names(losses)
        for name in weights:
            if name not in known:
                raise UsageError(f'objective has no term "{name}".{suggest(name, known)}')
        backbone.check_layers([*style_layers, *content_layers])
        self.backbone = backbone
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.content_layers = set(content_layers)
        self.style_layers = set(style_layers)
        self.layers = self.style_layers | self.content_layers
        with torch.no_grad():
            features = backbone(painting, set(style_layers))
        target = Target(
            backbone, dict(style_layers), tuple(content_layers), features, masks, painting, text
        )
        self.terms: dict[str, Term] = {n: load(losses, n)(target) for n in self.weights}

    def learn(self) -> nn.ModuleDict:
        """The weights of the terms that learn with the generator, by term; empty without one."""
        learners = {n: term for n, term in self.terms.items() if isinstance(term, Learner)}
        return nn.ModuleDict({name: term.learn() for name, term in learners.items()})

    def content_features(self, photos: Tensor) -> dict[str, Tensor]:
        """Features of the photos that the content term compares with; the photos themselves under
        `losses.PHOTO` if a term needs them."""
        with torch.no_grad():
            features = self.backbone(photos, self.content_layers)
        if self._needs("photos"):
            features = {**features, losses.PHOTO: photos}
        return features

    def __call__(
        self,
        output: Tensor,
        content_features: dict[str, Tensor],
        moved: tuple[Tensor, Tensor, Tensor] | None = None,
        scale: dict[str, float] | None = None,
        film: Film | None = None,
    ) -> dict[str, Tensor]:
        """Every term's value and their weighted sum.

        Args:
            output: (N, 3, H, W) RGB, about [0, 1].
            content_features: of the photos, from `content_features`.
            moved: see `LossInputs`.
            scale: term name -> factor on its weight in this call (ramps, lazy terms); a term of
                factor 0 is not computed.
            film: neighboring frames, for terms about video.

        Returns:
            term name -> unweighted scalar, and "total".

        Raises:
            UsageError: all terms leave pictures of this size out.
        """
        scale = scale or {}
        features = self.backbone(output, self.layers)
        coarse = {}
        if self._needs("coarse"):
            coarse = coarse_features(self.backbone, output, self.style_layers)
        inputs = LossInputs(output, features, content_features, moved, film, coarse)
        with torch.autocast(output.device.type, enabled=False):
            values = {n: term(inputs) for n, term in self.terms.items() if scale.get(n, 1.0)}
        total = torch.zeros((), device=output.device)
        for name, value in values.items():
            total = total + self.weights[name] * scale.get(name, 1.0) * value
        if output.requires_grad and not total.requires_grad:
            height, width = output.shape[2:]
            raise UsageError(
                f"no term of the objective applies to pictures of {width}x{height} px; take a "
                "larger data.crop and style.size, or other terms"
            )
        return {**values, "total": total}

    def _needs(self, what: str) -> bool:
        """Whether a term needs this."""
        return any(what in term.needs for term in self.terms.values())
