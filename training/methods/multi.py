"""Many paintings, one network: conditional instance normalization (Dumoulin et al., ICLR 2017,
arXiv:1610.07629), trained as `methods.perceptual` with a random painting for every photo.

The network's code port holds the weight of each painting, in the order of `Multi.titles`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..backbones import Backbone
from ..config import Recipe, find_data
from ..data.images import SUFFIXES, load_image, to_tensor
from ..losses import Target
from ..losses.coarse import CoarseTerm
from ..losses.palette import PaletteTerm, cell_colors
from ..losses.style import StyleTerm
from ..networks.cin import one_hot
from ..objective import Objective
from . import Assets, cut_to_multiple, perceptual
from ._trunk import begin_from
from .perceptual import Perceptual, read_options

SHOWN_STYLES = 6  # columns of the contact sheet


@dataclass(frozen=True)
class Options(perceptual.Options):
    """Settings of the method, `[options]` in a recipe."""

    styles: str = "style"  # folder of paintings; --style replaces it
    exclude: list[str] = field(default_factory=list)  # file names without suffix
    # `start`: checkpoint of a lean network of the trunk's width and blocks (its painting becomes
    # every painting's first modulation), or of a many-style network as it is.


class Multi(Perceptual):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        options: Options = read_options(Options, recipe.options, "multi")
        paths = paintings_of(assets.style or find_data(options.styles, "style"), options.exclude)
        if recipe.network.get("name") != "cin":
            raise UsageError(f'method "multi" trains network "cin", not {recipe.network}')
        titles = [path.stem for path in paths]
        settings = {**recipe.network, "styles": len(paths), "names": titles}
        recipe = replace(recipe, network=settings)
        base = {k: v for k, v in recipe.options.items() if k not in ("styles", "exclude", "start")}
        super().__init__(replace(recipe, options=base), replace(assets, style=paths[0]))
        self.recipe = recipe
        self.titles = titles
        self.paintings = [load_image(path, recipe.style.size).to(self.device) for path in paths]
        self.grams = grams_by_term(self.objective, self.paintings)
        self.colors = kept_colors(self.paintings)
        if options.start:
            begin_from(self.networks["generator"], "cin", options.start)
        self.code = one_hot(0, len(paths)).to(self.device)

    def choose(self, indices: list[int]) -> None:
        """Paint with these paintings, one per picture of the batch, and be judged by them."""
        for name, grams in self.grams.items():
            term = self.objective.terms[name]
            if isinstance(term, StyleTerm | CoarseTerm):
                term.set_target({key: each[indices] for key, each in grams.items()})
        palette = self.objective.terms.get("palette")
        if isinstance(palette, PaletteTerm):
            palette.colors = self.colors[indices]
        self.code = torch.cat([one_hot(i, len(self.titles)) for i in indices]).to(self.device)

    def paint(self, images: Tensor) -> Tensor:
        """The generator's answer in the chosen styles."""
        return self.updates.call(self.networks["generator"], images, self.code)

    def step(self, step: int) -> dict[str, float]:
        """One Adam step on a random painting for every photo."""
        count = len(self.titles)
        self.chosen = [int(i) for i in self.rng.integers(count, size=self.recipe.batch)]
        return super().step(step)

    def begin_part(self, rows: slice, photos: Tensor) -> None:
        """The paintings of these rows."""
        self.choose(self.chosen[rows])

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Paintings above, photos on the left, every combination."""
        shown = range(0, len(self.titles), max(1, len(self.titles) // SHOWN_STYLES))
        multiple = generator.multiple_of
        photos = [cut_to_multiple(to_tensor(i)[:, :, :256, :256], multiple) for i in self.shown]  # type: ignore[arg-type]
        rows = [
            [
                torch.ones_like(photos[0]),
                *(self.paintings[i][:, :, :256, :256].cpu() for i in shown),
            ]
        ]
        with torch.no_grad():
            for photo in photos:
                codes = [one_hot(i, len(self.titles)).to(self.device) for i in shown]
                rows.append([photo, *(generator(photo.to(self.device), c).cpu() for c in codes)])
        return rows


def grams_by_term(objective: Objective, paintings: list[Tensor]) -> dict[str, dict]:
    """Term -> its Gram matrices by name, (S, C, C), one per painting."""
    return {
        name: _of_all(term, objective.backbone, paintings)
        for name, term in objective.terms.items()
        if isinstance(term, StyleTerm | CoarseTerm)
    }


def _of_all(term: StyleTerm | CoarseTerm, backbone: Backbone, paintings: list[Tensor]) -> dict:
    """The Gram matrices that are a term's target for each painting, those that all have."""
    found = []
    for painting in paintings:
        with torch.no_grad():
            features = backbone(painting, set(term.weights))
        target = Target(backbone, term.weights, (), features, painting=painting)
        found.append(type(term)(target).grams)
    shared = [key for key in found[0] if all(key in grams for grams in found)]
    return {key: torch.cat([grams[key] for grams in found]) for key in shared}


def kept_colors(paintings: list[Tensor]) -> Tensor:
    """(S, 3, 1, K) mean colors of K cells of each painting, K those of the smallest: paintings of
    one batch need as many. Which ones is drawn once."""
    cells = [cell_colors(painting).flatten(2) for painting in paintings]
    count = min(c.shape[2] for c in cells)
    drawn = torch.Generator().manual_seed(0)
    kept = [c[:, :, torch.randperm(c.shape[2], generator=drawn)[:count]] for c in cells]
    return torch.cat(kept)[:, :, None]


def paintings_of(folder: Path, exclude: Sequence[str] = ()) -> list[Path]:
    """Sorted pictures of a folder.

    Raises:
        UsageError: none left, or an excluded name that is not there.
    """
    if not folder.is_dir():
        raise UsageError(f'--style is a folder of paintings here, "{folder}" is none')
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    missing = set(exclude) - {path.stem for path in found}
    if missing:
        raise UsageError(f'options.exclude names {", ".join(sorted(missing))}: not in "{folder}"')
    kept = [path for path in found if path.stem not in exclude]
    if not kept:
        raise UsageError(f'no painting in "{folder}"')
    return kept


PLUGIN = Multi
