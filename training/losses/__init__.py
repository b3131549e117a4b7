"""Losses: one file each, a pure function with its formula and source, and a thin `Term`.

A term is built once from a `Target` (the painting's features) and called on `LossInputs`; it
returns a scalar that is zero at its target and the mean over the batch. `training.objective`
weighs and adds them.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from ..backbones import Backbone

if TYPE_CHECKING:
    from .text import TextTarget

PHOTO = "photo"  # key among the content features under which the photos travel
# With the layer's name behind it: the mean square of the whole batch's content features, for terms
# relative to it, where a batch is computed in parts (`training.updates`).
ENERGY = "energy of "


@dataclass(frozen=True)
class Target:
    """What stays fixed: the backbone, the layers of style and content, the painting's features."""

    backbone: Backbone
    style_layers: dict[str, float]  # layer -> relative weight
    content_layers: tuple[str, ...]
    style_features: dict[str, Tensor]  # layer -> (1, C, h, w)
    # (regions of the painting, regions of the photo), (1, R, H, W) in [0, 1] each, or None.
    masks: tuple[Tensor, Tensor] | None = None
    painting: Tensor | None = None  # (1, 3, H, W) RGB in [0, 1]
    text: "TextTarget | None" = None  # what the picture should be like, in words


@dataclass(frozen=True)
class Film:
    """Neighboring frames of clips and what the generator made of them; (N, 3, H, W) each.

    Attributes:
        grid: (N, H, W, 2); `losses.motion.warp(earlier, grid)` is `later` where `mask` is 1.
        mask: (N, 1, H, W).
    """

    earlier: Tensor
    later: Tensor
    painted_earlier: Tensor
    painted_later: Tensor
    grid: Tensor
    mask: Tensor


@dataclass
class LossInputs:
    """One batch of a generator and what is known about it.

    `moved` is (warp(G(x)), G(warp(x)), valid mask) for the motion term, or None.
    """

    output: Tensor  # (N, 3, H, W) RGB, about [0, 1], not clamped
    features: dict[str, Tensor] = field(default_factory=dict)  # of the output
    content_features: dict[str, Tensor] = field(default_factory=dict)  # of the photos
    moved: tuple[Tensor, Tensor, Tensor] | None = None
    film: Film | None = None
    # Of reduced copies of the output: (factor, layer) -> features (`losses.coarse`).
    coarse: dict[tuple[int, str], Tensor] = field(default_factory=dict)

    @property
    def photos(self) -> Tensor | None:
        """The photos themselves (N, 3, H, W), if a term needs them."""
        return self.content_features.get(PHOTO)


class Term(Protocol):
    """One weighted part of the objective."""

    # Of "features", "content_features", "moved", "film", "photos", "coarse".
    needs: tuple[str, ...]

    def __call__(self, inputs: LossInputs) -> Tensor:
        """The term's value, a scalar."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A term with weights of its own, which learn with the generator."""

    def learn(self) -> nn.Module:
        """Its weights, which it uses from now on; a term that is not asked does without."""
        ...
