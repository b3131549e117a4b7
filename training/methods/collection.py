"""One painter's hand from many paintings: `methods.perceptual` where each photo square is judged by
those paintings of a folder that are nearest to it in color.

The Gram matrices that a square is judged by are the mean over the `nearest` paintings by

    d(photo, painting) = |(mean, deviation) of RGB of the one - those of the other|

that is, of one sheet of these paintings. So white fur is painted as this painter painted snow, and
not in the mean color of everything he painted; a network without instance normalization, which sees
the photo's own colors, can learn it.

After the style search of Gatys et al. (CVPR 2016) turned round: there is no discriminator, and of
one painting nothing is copied. Deviation from Perceptual: no text term.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from runtime.errors import UsageError

from ..config import Recipe, find_data
from ..data.images import load_image
from ..losses.coarse import CoarseTerm
from ..losses.palette import PaletteTerm
from ..losses.style import StyleTerm
from . import Assets, perceptual
from .multi import grams_by_term, kept_colors, paintings_of
from .perceptual import Perceptual, read_options


@dataclass(frozen=True)
class Options(perceptual.Options):
    """Settings of the method, `[options]` in a recipe."""

    paintings: str = "monet"  # folder; --style replaces it
    nearest: int = 6  # paintings that judge a square together


class Collection(Perceptual):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        options: Options = read_options(Options, recipe.options, "collection")
        folder = assets.style or find_data(options.paintings, "style")
        paths = paintings_of(folder)
        if not 1 <= options.nearest <= len(paths):
            raise UsageError(
                f"options.nearest is {options.nearest}, allowed are 1 to {len(paths)}, as many as "
                f'"{folder}" has'
            )
        own = ("paintings", "nearest")
        base = {key: value for key, value in recipe.options.items() if key not in own}
        super().__init__(replace(recipe, options=base), replace(assets, style=paths[0]))
        self.recipe, self.nearest = recipe, options.nearest
        paintings = [load_image(path, recipe.style.size).to(self.device) for path in paths]
        self.looks = torch.cat([color_statistics(painting) for painting in paintings])
        self.grams = grams_by_term(self.objective, paintings)
        self.colors = kept_colors(paintings)

    def begin_part(self, rows: slice, photos: Tensor) -> None:
        """The paintings that judge these photos."""
        self.choose(nearest(color_statistics(photos), self.looks, self.nearest))

    def choose(self, indices: Sequence[Sequence[int]]) -> None:
        """Be judged by these paintings, a few for each picture of the batch."""
        chosen = torch.as_tensor(indices, device=self.device)
        for name, grams in self.grams.items():
            term = self.objective.terms[name]
            assert isinstance(term, StyleTerm | CoarseTerm)
            term.set_target({key: each[chosen].mean(1) for key, each in grams.items()})
        palette = self.objective.terms.get("palette")
        if isinstance(palette, PaletteTerm):
            # (N, nearest, 3, 1, K) -> (N, 3, 1, nearest K)
            palette.colors = self.colors[chosen].permute(0, 2, 3, 1, 4).flatten(3)


def color_statistics(images: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 6): mean and standard deviation of each color."""
    flat = images.float().flatten(2)
    return torch.cat([flat.mean(2), flat.std(2, correction=0)], 1)


def nearest(looks: Tensor, others: Tensor, count: int) -> list[list[int]]:
    """For each of `looks` (N, 6) the indices of the `count` nearest of `others` (S, 6)."""
    distances = torch.cdist(looks, others.to(looks.device))
    found: list[list[int]] = distances.topk(count, largest=False).indices.tolist()
    return found


PLUGIN = Collection
