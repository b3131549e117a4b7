"""Arbitrary style transfer in one pass (Huang and Belongie, ICCV 2017, arXiv:1703.06868).

One step: photos and as many style crops, `output = generator(photos, generator.encode(styles))`,

    content      distance to AdaIN(F(photo), F(style)) at the content layer (eq. 12)
    moments      distance of channel means and deviations at the style layers (eq. 13)
    style        Gram distance, off by default
    coarse       Gram distance of reduced copies (`losses.coarse`), off by default
    periodicity  texture that repeats with the decoder's own grid of 2^level px, off by default
    phase_roughness  stairs and cells of that grid (`losses.phase_roughness`), off by default
    tv, range    as everywhere

Works for every network with `encode`: "adain" (the paper's) and "microast" (no VGG at run time).
Deviation: all distances are relative, see `losses.moments`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.plugins import suggest

from .. import networks
from ..backbones import open_backbone, recompute
from ..config import Recipe, find_data
from ..data.images import Photos, load_image, random_square, resized, to_bytes, to_tensor
from ..feature_statistics import adain, channel_moments
from ..losses import ENERGY
from ..losses.coarse import coarse_features
from ..losses.content import content_distance
from ..losses.moments import moments_distance
from ..losses.periodicity import periodicity_energy
from ..losses.phase_roughness import phase_roughness
from ..losses.range import out_of_range
from ..losses.style import gram_energy, gram_matrix
from ..losses.tv import total_variation
from ..settings import Enlargement, Side
from ..updates import Updates
from . import Assets, Method, cut_to_multiple
from ._trunk import begin_from, learn_codes
from .multi import paintings_of
from .perceptual import learning_rate, read_options

TERMS = (
    "content",
    "moments",
    "style",
    "coarse",
    "periodicity",
    "phase_roughness",
    "tv",
    "range",
)
Copies = dict[tuple[int, str], Tensor]
SHOWN = 3  # photos, and styles, on the contact sheet


@dataclass(frozen=True)
class Options:
    """Settings of the method, `[options]` in a recipe."""

    styles: tuple[str, ...] = ("style", "monet")  # folders of paintings
    style_side: Side = 384  # px, short side the paintings are kept at
    style_zoom: Enlargement = 2.0  # style squares are cut up to this much larger than the crop
    # Checkpoint of this very network to go on from; microast takes a "lean" or "cin" one as trunk.
    start: str = ""
    blend: bool = True  # content target: AdaIN of the features; else the photo's own features


class AdaIn(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        options: Options = read_options(Options, recipe.options, "adain")
        self.options = replace(options, styles=tuple(options.styles))
        for term in recipe.objective:
            if term not in TERMS:
                raise UsageError(f'method "adain" has no term "{term}".{suggest(term, [*TERMS])}')
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        data = recipe.data
        folder = assets.content or find_data(data.content, "content")
        self.photos = Photos(folder, data.short_side, data.limit, data.enlarge, recipe.seed)
        # --style replaces them.
        self.folders = (
            [assets.style] if assets.style else [find_data(f, "style") for f in options.styles]
        )
        self.paintings = self._open_paintings()
        self.backbone = open_backbone(recipe.backbone.name, _folder(assets.weights))
        self.backbone.to(self.device)
        recompute(self.backbone, recipe.compute.recompute)
        self.backbone.check_layers([*recipe.backbone.style_layers, *recipe.backbone.content_layers])
        settings = dict(recipe.network)
        generator = networks.build(settings.pop("name"), **settings)
        if hasattr(generator, "load_pretrained"):
            generator.load_pretrained(assets.weights)  # type: ignore[operator]
        if options.start:
            self._begin(generator)
        self.networks = {"generator": generator.to(self.device).train()}
        learned = [p for p in generator.parameters() if p.requires_grad]
        config = recipe.optimizer
        self.optimizers = {
            "generator": torch.optim.Adam(learned, config.lr, (config.beta1, config.beta2))
        }

    def _open_paintings(self) -> Photos:
        """All folders of paintings as one."""
        # In another order than the photos: folders of one size would always show the same two.
        seed = self.recipe.seed + 1
        opened = [Photos(folder, self.options.style_side, seed=seed) for folder in self.folders]
        for other in opened[1:]:
            opened[0].images += other.images
            opened[0].skipped += other.skipped
        return opened[0]

    def _begin(self, generator: nn.Module) -> None:
        """From the checkpoint; what it knows of paintings that are here, the encoder learns."""
        known = begin_from(generator, self.recipe.network["name"], self.options.start)
        paths = [path for folder in dict.fromkeys(self.folders) for path in paintings_of(folder)]
        found = {path.stem: path for path in paths if path.stem in known}
        if not found:
            return
        images = [load_image(path, self.options.style_side) for path in found.values()]
        paintings = [to_bytes(image) for image in images]
        crop, zoom = self.recipe.data.crop, self.options.style_zoom

        def square(image: np.ndarray) -> Tensor:
            side = crop * self.rng.uniform(1, zoom)
            return resized(to_tensor(image[random_square(image, side, self.rng)]), crop)

        learn_codes(
            generator,
            lambda: torch.cat([square(painting) for painting in paintings]),
            torch.stack([known[name] for name in found]),
        )

    def step(self, step: int) -> dict[str, float]:
        """One Adam step."""
        recipe, generator = self.recipe, self.networks["generator"]
        for group in self.optimizers["generator"].param_groups:
            group["lr"] = learning_rate(recipe.optimizer, step, recipe.steps)
        data = recipe.data
        photos = self.photos.batch(step, recipe.batch, data.crop, data.zoom, self.rng)
        zoom = self.options.style_zoom
        styles = self.paintings.batch(step, recipe.batch, data.crop, zoom, self.rng)
        photos, styles = photos.to(self.device), styles.to(self.device)
        energies = self.updates.energies(
            len(photos), lambda rows: self.wanted(photos[rows], styles[rows])[1]
        )

        def loss(rows: slice) -> dict[str, Tensor]:
            code = generator.encode(styles[rows])  # type: ignore[operator]
            output = self.updates.call(generator, photos[rows], code)
            return self.losses(output, photos[rows], styles[rows], energies)

        return self.updates.minimize(len(photos), loss, self.optimizers["generator"])

    @torch.no_grad()
    def wanted(self, photos: Tensor, styles: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Features of the styles, and those that the content term compares with."""
        chosen = self.recipe.backbone
        wanted = self.backbone(styles, {*chosen.style_layers, *chosen.content_layers})
        contents = self.backbone(photos, set(chosen.content_layers))
        if self.options.blend:
            contents = {
                layer: adain(f, *channel_moments(wanted[layer])) for layer, f in contents.items()
            }
        return wanted, contents

    def losses(
        self,
        output: Tensor,
        photos: Tensor,
        styles: Tensor,
        energies: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> dict[str, Tensor]:
        """Every term of the recipe's objective, and the total; each picture has its own style.

        `energies` are `Updates.energies`, where these pictures are a part of a batch.
        """
        chosen = self.recipe.backbone
        style_layers, content_layers = chosen.style_layers, chosen.content_layers
        features = self.backbone(output, {*style_layers, *content_layers})
        wanted, contents = self.wanted(photos, styles)
        copies, wanted_copies = self._copies(output, styles)
        with torch.autocast(self.device, enabled=False):
            terms = {
                "content": lambda: _mean(
                    content_distance(features[x], contents[x], energies.get(ENERGY + x))
                    for x in content_layers
                ),
                "moments": lambda: _mean(
                    moments_distance(features[x], *channel_moments(wanted[x])) for x in style_layers
                ),
                "style": lambda: _mean(self._gram(features[x], wanted[x], x) for x in style_layers),
                "coarse": lambda: _mean(
                    self._gram(copies[x], wanted_copies[x], x[1]) for x in copies
                ),
                "periodicity": lambda: periodicity_energy(output.float()),
                "phase_roughness": lambda: phase_roughness(output.float()),
                "tv": lambda: total_variation(output),
                "range": lambda: out_of_range(output),
            }
            weights = self.recipe.objective
            values = {name: term() for name, term in terms.items() if weights.get(name)}
        total = torch.zeros((), device=output.device)
        for name, value in values.items():
            total = total + weights[name] * value
        return {**values, "total": total}

    def _copies(self, output: Tensor, styles: Tensor) -> tuple[Copies, Copies]:
        """(factor, layer) -> features of reduced copies, of the output and of the styles; of none
        where the coarse term is off."""
        if not self.recipe.objective.get("coarse"):
            return {}, {}
        layers = self.recipe.backbone.style_layers
        painted = coarse_features(self.backbone, output, layers)
        with torch.no_grad():
            wanted = coarse_features(self.backbone, styles, layers)
        return {key: painted[key] for key in painted if key in wanted}, wanted

    def _gram(self, features: Tensor, wanted: Tensor, layer: str) -> Tensor:
        metric = self.backbone.metric(layer)
        gram = gram_matrix(wanted)
        difference = gram_energy(gram_matrix(features) - gram, metric)
        return (difference / gram_energy(gram, metric)).mean()

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """A table: paintings above, photos on the left, every combination."""
        photos = [to_tensor(image)[:, :, :256, :256] for image in self.photos.images[-SHOWN:]]
        paintings = [to_tensor(i)[:, :, :256, :256] for i in self.paintings.images[:SHOWN]]
        photos = [cut_to_multiple(photo, generator.multiple_of) for photo in photos]  # type: ignore[arg-type]
        paintings = [cut_to_multiple(picture, 16) for picture in paintings]
        rows = [[torch.ones_like(photos[0]), *paintings]]
        with torch.no_grad():
            codes = [generator.encode(picture.to(self.device)) for picture in paintings]  # type: ignore[operator]
            for photo in photos:
                styled = [generator(photo.to(self.device), code).cpu() for code in codes]
                rows.append([photo, *styled])
        return rows


def _mean(values) -> Tensor:
    """Mean of scalars; 0 of none."""
    found = list(values)
    return sum(found[1:], found[0]) / len(found) if found else torch.zeros(())


def _folder(weights: Path | None) -> Path | None:
    """--weights is a folder here: the generator needs files of its own."""
    if weights is not None and not weights.is_dir():
        raise UsageError(
            f'method "adain" reads several weight files: --weights must be their folder, '
            f'"{weights}" is none'
        )
    return weights


PLUGIN = AdaIn
