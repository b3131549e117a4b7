"""A filter learned from pairs: what a teacher makes of photos, however it does it.

    total = sum of the recipe's terms on G(x), of which
      l1        mean |G(x) - y|
      content   distance of features to those of y          (the perceptual term of such methods)
      motion    a moved, noisy photo becomes the moved picture, on every `motion_every`-th step
      gan       a discriminator (PatchGAN) takes G(x) for one of the teacher's pictures

x is a photo, y the teacher's picture of it; where a term asks for a photo or for a painting, y is
meant, so that all terms of `training.losses` may be used. Isola et al. 2017 (arXiv:1611.07004) with
the perceptual loss of Johnson et al. 2016 beside L1, as effects of large video platforms are made.

Pairs are made by the teacher (`training.teachers`) before the first step, or are there already.

Networks do not begin as the identity, near which most filters are: its kernels are one tap beside
nothing, which bytes cannot share a scale with (13 dB after 650 steps), and after 100 steps from
random numbers L1 was lower than from there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from runtime.errors import UsageError
from runtime.frame import Image

from .. import distributed
from ..backbones import open_backbone, recompute
from ..config import Recipe, find_data
from ..data.images import to_tensor
from ..data.paired import Pairs
from ..losses.gan import GanTerm, check_kind
from ..objective import Objective
from ..pairs import held_out
from ..pairs.alignment import displaced
from ..pairs.making import View, make_pairs
from ..settings import Between, Positive
from ..updates import Updates, Values
from . import Assets, Method, _adversarial, _moved, cut_to_multiple
from ._adversary import Adversary, AdversaryOptions, Shown, build_discriminator
from .perceptual import learning_rate, read_options, start_weights

GAN = "gan"
Workers = Annotated[int, Between(0, 256)]
SHOWN = 4  # pairs on the contact sheet
LEAST_PAIRS = 20  # with fewer, a network learns the photos and not the effect
NAMED = 5  # files that a note names


@dataclass(frozen=True)
class Options(AdversaryOptions):
    """Settings of the method, `[options]` in a recipe.

    `teacher` is a folder of pairs, or what `training.teachers` understands; several are a chain.
    """

    teacher: tuple[str, ...] = ()
    workers: Workers = 0  # photos that the teacher works on at once; 0 chooses
    aligned: bool = True  # leave out pairs that do not lie on one another
    motion_every: Positive = 4  # steps between motion terms, whose weight is multiplied by it
    start: str = ""  # checkpoint or file in models/ to begin with


class Filter(Method):
    """See the module's docstring; obligations in `training.methods.Method`.

    Attributes:
        notes: what a person should know about the pairs, one line each.
        held: pairs that training does not see.
    """

    options_type: type[Options] = Options

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe, self.device = recipe, assets.device
        self.options: Options = read_options(self.options_type, recipe.options, recipe.method)
        check_kind(self.options.gan)
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        # Before the teacher is asked, which may take hours: its weights may be missing.
        backbone = open_backbone(recipe.backbone.name, assets.weights).to(
            self.device, memory_format=torch.channels_last
        )
        recompute(backbone, recipe.compute.recompute)
        self.updates = Updates(recipe, self.device)
        self.notes: list[str] = []
        self.pairs = self.open_pairs(assets)
        self.held = self.hold_out()
        self.objective = Objective(
            backbone,
            to_tensor(self.pairs.images[0][1]).to(self.device),
            recipe.backbone.weighted_style(),
            recipe.backbone.content_layers,
            recipe.objective,
        )
        generator = _adversarial.build_network(recipe, self.device)
        if self.options.start:
            generator.load_state_dict(start_weights(self.options.start, recipe.network))
        generator.to(self.device, memory_format=torch.channels_last)
        self.networks: dict[str, nn.Module] = {"generator": generator}
        self.optimizers: dict[str, Optimizer] = {"generator": _adversarial.adam(recipe, generator)}
        self.adversary = self._add_discriminator() if recipe.objective.get(GAN) else None

    def open_pairs(self, assets: Assets) -> Pairs:
        """The folder of pairs, or the one that the teacher fills first."""
        texts = self.options.teacher
        data = self.recipe.data
        if len(texts) == 1 and Path(texts[0]).is_dir():
            pairs = Pairs(texts[0], 0, data.limit, self.recipe.seed)
        else:
            view = View(data.short_side, data.enlarge, data.limit)
            photos = assets.content or find_data(data.content, "content")
            run = assets.run or Path("runs") / self.recipe.name
            made = make_pairs(
                photos,
                texts,
                run,
                view,
                self.options.workers,
                ask=distributed.is_main(),
                quiet=assets.quiet,
                trusted=assets.teachers,
            )
            distributed.wait()
            self._note("photos have no picture; the teacher is asked again next time", made.failed)
            pairs = Pairs(made.folder, 0, data.limit, self.recipe.seed)
        self._note("pairs cannot be used", pairs.skipped)
        if self.options.aligned:
            wrong = displaced(pairs.images, pairs.names)
            if len(wrong) == len(pairs.names):
                name, why = next(iter(wrong.items()))
                raise UsageError(
                    f'no pair lies on its photo; "{name}", for one, {why}. If that is the effect, '
                    "--set options.aligned=false"
                )
            pairs.drop(wrong)
            self._note("pairs do not lie on one another and are left out", wrong)
        if len(pairs.images) < LEAST_PAIRS:
            self.notes.append(
                f"{len(pairs.images)} pairs are few: the filter will know these pictures and not "
                f"the effect; {LEAST_PAIRS} are the least, hundreds are usual"
            )
        return pairs

    def hold_out(self) -> list[tuple[Image, Image]]:
        """Take the pairs out of training that the filter is judged by."""
        chosen = held_out.split(len(self.pairs.images))
        held = [self.pairs.images[at] for at in chosen]
        self.pairs.drop([self.pairs.names[at] for at in chosen])
        if not held:
            self.notes.append("too few pairs to hold one out: the filter is not judged")
        return held

    def begin(self, output: Path) -> None:
        """Keep the pairs it is judged by with the run, and pictures as it will be given."""
        if self.held:
            held_out.write(output, self.held)
        held_out.write_seen(output, self.like_those_painted())

    def like_those_painted(self) -> list[Image]:
        """Pictures as the filter is meant for."""
        return [before for before, _ in self.pairs.images]

    def step(self, step: int) -> dict[str, float]:
        """One step of the generator, then one of the discriminator if there is one."""
        recipe, data = self.recipe, self.recipe.data
        rate = learning_rate(recipe.optimizer, step, recipe.steps)
        _adversarial.set_lr(self.optimizers, rate)
        before, after = (
            self._place(images)
            for images in self.pairs.batch(step, recipe.batch, data.crop, data.zoom, self.rng)
        )
        every = self.options.motion_every
        moving = bool(recipe.objective.get("motion")) and step % every == every - 1
        images = self.moving(before) if moving else before
        motion = _moved.draw(images, self.rng, self.updates) if moving else None
        contents = self.objective.content_features
        energies = self.updates.energies(len(after), lambda rows: contents(after[rows]))
        pieces: list[Tensor] = []

        def loss(rows: slice) -> Values:
            made = self._paint(before[rows])
            pieces.append(made.detach())
            moved = None
            if motion:
                base = made if images is before else self._paint(images[rows])
                moved = _moved.pair(self._paint, images[rows], base, *(m[rows] for m in motion))
            known = {**contents(after[rows]), **energies}
            return self.objective(made, known, moved, {"motion": every * float(moving)})

        if self.adversary is not None:
            self.adversary.learn(False)
        values = self.updates.minimize(len(before), loss, self.optimizers["generator"])
        if self.adversary is not None:
            self.adversary.learn(True)
            self.adversary.set_lr(rate)
            made = self.updates.gather(pieces, len(before))
            sides = ({"discriminator": Shown(pictures)} for pictures in (after, made))
            values |= self.adversary.train(*sides, turn=step)
        return values

    def moving(self, before: Tensor) -> Tensor:
        """The pictures (N, 3, H, W) that the motion term moves."""
        return before

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: photos, made pictures, wanted pictures."""
        shown = (self.held or self.pairs.images)[:SHOWN]
        pairs = [[to_tensor(image) for image in pair] for pair in shown]
        return self._rows(generator, [pair[0] for pair in pairs], [pair[1] for pair in pairs])

    def diagnose(self, means: dict[str, float]) -> str:
        """What goes wrong between the two networks, or nothing."""
        return _adversarial.diagnose(means)

    def _rows(
        self, generator: nn.Module, photos: list[Tensor], wanted: list[Tensor]
    ) -> list[list[Tensor]]:
        multiple = int(generator.multiple_of)  # type: ignore[arg-type]
        photos = [cut_to_multiple(photo, multiple) for photo in photos]
        with torch.no_grad():
            made = [generator(photo.to(self.device)).cpu() for photo in photos]
        return [photos, made, *([[cut_to_multiple(w, multiple) for w in wanted]] if wanted else [])]

    def _add_discriminator(self) -> Adversary:
        options = self.options
        discriminator = build_discriminator(options.discriminator, 3, self.device)
        optimizer = _adversarial.adam(self.recipe, discriminator)
        self.networks["discriminator"] = discriminator
        self.optimizers["discriminator"] = optimizer
        term = self.objective.terms[GAN]
        assert isinstance(term, GanTerm)
        term.discriminator, term.kind = discriminator, options.gan
        discriminators = {"discriminator": discriminator}
        return Adversary(options, discriminators, optimizer, self.updates, self.rng)

    def _note(self, what: str, found: dict) -> None:
        if not found:
            return
        named = [f"{getattr(key, 'name', key)} ({why})" for key, why in found.items()]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        self.notes.append(f"{len(named)} {what}: {', '.join(named[:NAMED])}{more}")

    def _paint(self, images: Tensor) -> Tensor:
        return self.updates.call(self.networks["generator"], images)

    def _place(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=torch.channels_last)


PLUGIN = Filter
