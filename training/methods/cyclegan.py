"""Unpaired translation (Zhu, Park, Isola, Efros, ICCV 2017, arXiv:1703.10593).

"generator" maps photos to the second domain (the paper's G), "backward" the second domain to photos
(F). One step trains both on

    gan(G) + gan(F) + cycle * (|F(G(a)) - a| + |G(F(b)) - b|)
                    + cycle * identity * (|G(b) - b| + |F(a) - a|)

then both discriminators, on made pictures that went through a pool. Weights are the paper's, for
differences in [-1, 1]: ours, in [0, 1], are doubled to match.

Four options are not the paper's, and off by default. `settle`: generators of another family than
its ResNet, which begin far from any picture, first learn to leave pictures as they are.
`periodicity` and `phase_roughness`: what a generator hides for the way back, a lean one hides in a
pattern on its own grid, which shows as a weave; the losses of these names forbid that place.
`style`: the second domain's mean Gram matrices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..backbones import Backbone, open_backbone
from ..checkpoint import load_checkpoint
from ..config import Recipe
from ..data.image_pool import ImagePool
from ..data.images import to_tensor
from ..losses import LossInputs, Target
from ..losses.periodicity import periodicity_energy
from ..losses.phase_roughness import phase_roughness
from ..losses.style import StyleTerm, gram_matrix
from ..settings import Count, Share, Weight
from ..updates import Values
from . import Assets, cut_to_multiple
from ._adversarial import Adversarial, Fakes, PlayOptions, build_network, set_lr, two_folders
from ._adversary import Shown, build_discriminator
from .perceptual import read_options

SHOWN = 4  # photos on the contact sheet
SIDES = {"first": "discriminator_first", "second": "discriminator_second"}
Domains = tuple[Tensor, Tensor]  # pictures of the first and of the second


@dataclass(frozen=True)
class Options(PlayOptions):
    """Settings of the method, `[options]` in a recipe; the defaults are the paper's."""

    second: str = "monet"  # folder of the second domain; the first is data.content
    cycle: Weight = 10.0
    identity: Weight = 0.5  # share of `cycle`; the paper's for painting, 0 else
    pool: Count = 50
    settle: Share = 0.0  # share of the run in which both generators learn only |G(x) - x|
    settle_rate: Weight = 5.0  # learning rate meanwhile, as a multiple of the later one
    periodicity: Weight = 0.0  # weight of `losses.periodicity` on what both generators make
    phase_roughness: Weight = 0.0  # and of `losses.phase_roughness`
    style: Weight = 0.0  # weight of `losses.style` to the second domain's mean Gram matrices
    start: str = ""  # checkpoint whose generators and discriminators this run begins with


class CycleGan(Adversarial[Domains]):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.options: Options = read_options(Options, recipe.options, "cyclegan")
        super().__init__(recipe, assets, self.options)
        self.photos = two_folders(recipe, assets, self.options.second)
        makers = {n: build_network(recipe, self.device) for n in ("generator", "backward")}
        shape = self.options.discriminator
        discriminators = {n: build_discriminator(shape, 3, self.device) for n in SIDES.values()}
        self.enter(makers, discriminators)
        self.style = self._open_style(assets) if self.options.style else None
        if self.options.start:
            self._begin_from(self.options.start)
        self.pools = {side: ImagePool(self.options.pool) for side in SIDES}

    def _open_style(self, assets: Assets) -> tuple[Backbone, StyleTerm]:
        """The loss network, and the term with the mean over the second domain as its target."""
        chosen = self.recipe.backbone
        backbone = open_backbone(chosen.name, assets.weights).to(self.device)
        layers = chosen.weighted_style()
        backbone.check_layers(list(layers))
        sums: dict[str, Tensor] = {}
        pictures = self.photos.second.images
        with torch.no_grad():
            for image in pictures:
                features = backbone(to_tensor(image).to(self.device), set(layers))
                sums = {n: gram_matrix(f) + sums.get(n, 0.0) for n, f in features.items()}
        term = StyleTerm(Target(backbone, layers, (), features))
        term.set_target({layer: total / len(pictures) for layer, total in sums.items()})
        return backbone, term

    def _begin_from(self, path: str) -> None:
        found = load_checkpoint(path)
        for name, network in self.networks.items():
            try:
                network.load_state_dict(found.group(name))
            except RuntimeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise UsageError(
                    f'options.start "{path}" has another network "{name}" ({reason}); allowed is a '
                    "checkpoint of cyclegan with the same shapes"
                ) from None

    def step(self, step: int) -> dict[str, float]:
        """One step of the generators, then one of the discriminators."""
        if step >= self.options.settle * self.recipe.steps:
            return super().step(step)
        set_lr({"": self.making}, self.learning_rate(step) * self.options.settle_rate)
        return self._settle(torch.cat(self.draw(step)))

    def draw(self, turn: int) -> Domains:
        """Squares of as many pictures of each domain; none belong together."""
        data = self.recipe.data
        batch = self.photos.batch(turn, self.recipe.batch, data.crop, data.zoom, self.rng)
        return batch[0].to(self.device), batch[1].to(self.device)

    def real(self, batch: Domains) -> Mapping[str, Shown]:
        """Each domain's pictures for its discriminator."""
        return {name: Shown(side) for name, side in zip(SIDES.values(), batch, strict=True)}

    def replay(self, fakes: Fakes) -> Fakes:
        """New pictures, or old ones out of the pools."""
        pools = {name: self.pools[side] for side, name in SIDES.items()}
        return {n: Shown(pool.swap(fakes[n].images, self.rng)) for n, pool in pools.items()}

    def _settle(self, pictures: Tensor) -> dict[str, float]:
        """Both generators learn to leave pictures of either domain as they are."""
        networks = (self.networks["generator"], self.networks["backward"])

        def loss(rows: slice) -> Values:
            call, wanted = self.updates.call, pictures[rows]
            off = [(call(network, wanted) - wanted).abs().mean() for network in networks]
            return {"identity": (off[0] + off[1]) / 2, "total": off[0] + off[1]}

        return self.updates.minimize(len(pictures), loss, self.making)

    def generate(self, batch: Domains, rows: slice) -> tuple[dict[str, Tensor], Fakes]:
        """Translations both ways, there and back."""
        options, call = self.options, self.updates.call
        forward, backward = self.networks["generator"], self.networks["backward"]
        one, two = batch[0][rows], batch[1][rows]
        made_two, made_one = call(forward, one), call(backward, two)
        back_one, back_two = call(backward, made_two), call(forward, made_one)
        cycle = (back_one - one).abs().mean() + (back_two - two).abs().mean()
        total = 2 * options.cycle * cycle
        identity = torch.zeros((), device=self.device)
        if options.identity:
            identity = (call(forward, two) - two).abs().mean()
            identity = identity + (call(backward, one) - one).abs().mean()
            total = total + 2 * options.cycle * options.identity * identity
        values = {"cycle": cycle / 2, "identity": identity / 2}
        if options.periodicity:
            values["periodicity"] = periodicity_energy(made_two) + periodicity_energy(made_one)
            total = total + options.periodicity * values["periodicity"]
        if options.phase_roughness:
            values["phase_roughness"] = phase_roughness(made_two.float()) + phase_roughness(
                made_one.float()
            )
            total = total + options.phase_roughness * values["phase_roughness"]
        if self.style is not None:
            backbone, term = self.style
            features = backbone(made_two, set(term.weights))
            values["style"] = term(LossInputs(made_two, features))
            total = total + options.style * values["style"]
        values |= {"total": total, "deviation": made_two.std((2, 3)).mean()}
        return values, {SIDES["first"]: Shown(made_one), SIDES["second"]: Shown(made_two)}

    def fake(self, batch: Domains, rows: slice) -> Fakes:
        """Translations both ways."""
        call = self.updates.call
        made_two = call(self.networks["generator"], batch[0][rows])
        made_one = call(self.networks["backward"], batch[1][rows])
        return {SIDES["first"]: Shown(made_one), SIDES["second"]: Shown(made_two)}

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def extra_tensors(self) -> dict[str, Tensor]:
        """The pools."""
        return {f"{s}.{k}": t for s, p in self.pools.items() for k, t in p.tensors().items()}

    def restore_extra(self, tensors: dict[str, Tensor]) -> None:
        """Put the pools back."""
        for side, pool in self.pools.items():
            kept = {k.split(".", 1)[1]: t for k, t in tensors.items() if k.startswith(side + ".")}
            pool.restore(kept, self.device)

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: photos, translated, and translated back."""
        images = self.photos.first.images[-SHOWN:]
        photos = [cut_to_multiple(to_tensor(i), generator.multiple_of) for i in images]
        backward = self.networks["backward"]
        with torch.no_grad():
            styled = [generator(photo.to(self.device)) for photo in photos]
            back = [backward(picture).cpu() for picture in styled]
        return [photos, [picture.cpu() for picture in styled], back]


PLUGIN = CycleGan
