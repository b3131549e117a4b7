"""Fast neural style transfer: one painting, one network (Johnson, Alahi, Fei-Fei, ECCV 2016).

One step: cut photos, seed them with strokes (half of the steps), style them, compare features. The
motion term styles a moved copy as well; it is computed on every `motion_every`-th step with its
weight multiplied by that number (lazy regularization, Karras et al. 2020, StyleGAN2), because it
doubles the generator's work. The grid-artifact losses take turns with it, on the last of these
steps. With `options.clips`, a folder of real video, every second of the steps with motion paints
two neighboring frames instead, for the terms "luminance" and "frame_difference".
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from runtime.errors import UsageError
from runtime.fields import fill
from runtime.plugins import load

from .. import networks
from ..backbones import open_backbone, recompute
from ..checkpoint import find_checkpoint, load_checkpoint
from ..config import OptimizerConfig, Recipe, find_data
from ..data.frame_pairs import Clips, Pairs
from ..data.images import Photos, input_noise, recolored
from ..data.paintings import load_painting
from ..losses import Film
from ..losses.text import TextTarget
from ..objective import Objective
from ..pruned_start import prune_weights
from ..settings import Positive, Share
from ..updates import Updates
from . import Assets, Method, _moved

FILM_TERMS = ("luminance", "frame_difference")
# Settings of networks that say how a border is painted, or what is asked of the weights from now
# on: the same weights serve.
WEIGHTLESS = ("padding", "margin", "equal_phases")
VALIDATION = 3  # photos shown on the contact sheet; kept out of training


@dataclass(frozen=True)
class Options:
    """Settings of the method, `[options]` in a recipe."""

    motion_every: Positive = 2  # steps between motion terms
    ramp_start: Share = 0.03  # share of the run at which periodicity and motion set in
    ramp_end: Share = 0.13  # and at which they have their full weight
    start: str = ""  # checkpoint or file in models/: of this network, or of a larger lean one
    clips: str = ""  # folder of video, for "luminance" and "frame_difference"; not needed else
    colors: str = "painting"  # or "photos": the painting is recolored to the photos' colors first


def read_options(cls: type, table: dict, method: str):
    """Build an options dataclass; raises UsageError as `settings.fill` does."""
    return fill(cls, table, f'method "{method}"', "option")


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Linear warm-up times cosine from `lr` to `end * lr`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
    return config.lr * warm * (config.end + (1 - config.end) * cosine)


def ramp(step: int, steps: int, start: float, end: float) -> float:
    """0 before `start * steps`, 1 after `end * steps`, linear between."""
    progress = step / max(1, steps)
    return min(1.0, max(0.0, (progress - start) / max(1e-9, end - start)))


def start_weights(path: str, network: dict) -> dict[str, Tensor]:
    """The weights of a checkpoint: as they are if it is of this very network but for what has no
    weights, else pruned to it, which works among lean networks."""
    checkpoint = load_checkpoint(find_checkpoint(path, "options.start"))
    weights = checkpoint.group("ema") or checkpoint.group("generator")
    if _weighted(network) == _weighted(checkpoint.network):
        return weights
    for one, what in ((network, "the network"), (checkpoint.network, path)):
        if one["name"] != "lean":
            raise UsageError(
                f'options.start prunes lean networks only, {what} is "{one["name"]}"; the start of '
                "another network must have exactly its settings"
            )
    return prune_weights(weights, _settings(checkpoint.network), _settings(network))


def _settings(network: dict) -> dict:
    """A network's name and all of its settings."""
    config, _ = load(networks, network["name"])
    given = {key: value for key, value in network.items() if key != "name"}
    return {"name": network["name"], **asdict(config(**given))}


def _weighted(network: dict) -> dict:
    """Those that its weights depend on."""
    return {key: value for key, value in _settings(network).items() if key not in WEIGHTLESS}


def _text(recipe: Recipe, device: str) -> TextTarget | None:
    """The words of the recipe, read by its CLIP model; None where no term asks for them."""
    if not recipe.objective.get("text"):
        if recipe.text.prompt:
            raise UsageError(
                "text.prompt is a style that nothing asks for: set objective.text, its weight"
            )
        return None
    from ..clip.folder import open_clip
    from ..losses.text import TextTarget

    told = recipe.text
    if not (told.prompt and told.clip):
        raise UsageError("objective.text needs text.prompt and text.clip, a folder of CLIP weights")
    reader = open_clip(find_data(told.clip, "CLIP"))
    reader.clip.to(device)
    return TextTarget(reader, told.prompt, told.source, told.patches)


class Perceptual(Method):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        self.recipe = recipe
        self.device = assets.device
        self.options: Options = read_options(Options, recipe.options, "perceptual")
        self.rng = np.random.default_rng(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.updates = Updates(recipe, self.device)
        photos = assets.content or find_data(recipe.data.content, "content")
        data = recipe.data
        self.photos = Photos(photos, data.short_side, data.limit, data.enlarge, recipe.seed)
        self.shown = self.photos.images[-VALIDATION:]
        if len(self.photos.images) > 10 * VALIDATION:
            del self.photos.images[-VALIDATION:]
        self.painting = load_painting(
            assets.style or find_data(recipe.style.image, "style"), recipe.style.size
        )
        if self.options.colors == "photos":
            self.painting = recolored(self.painting, self.photos.images)
        elif self.options.colors != "painting":
            raise UsageError(
                f'options.colors is "{self.options.colors}", allowed are painting, photos'
            )
        backbone = open_backbone(recipe.backbone.name, assets.weights).to(
            self.device, memory_format=torch.channels_last
        )
        recompute(backbone, recipe.compute.recompute)
        self.objective = Objective(
            backbone,
            self.painting.to(self.device),
            recipe.backbone.weighted_style(),
            recipe.backbone.content_layers,
            recipe.objective,
            text=_text(recipe, self.device),
        )
        self.clips = self._open_clips()
        settings = dict(recipe.network)
        generator = networks.build(settings.pop("name"), **settings)
        if self.options.start:
            generator.load_state_dict(start_weights(self.options.start, recipe.network))
        generator.to(self.device, memory_format=torch.channels_last).train()
        self.networks: dict[str, nn.Module] = {"generator": generator}
        learned = self.objective.learn()
        if len(learned):
            self.networks["terms"] = learned.to(self.device)
        config = recipe.optimizer
        self.optimizers: dict[str, Optimizer] = {
            name: Adam(network.parameters(), config.lr, (config.beta1, config.beta2))
            for name, network in self.networks.items()
        }

    def step(self, step: int) -> dict[str, float]:
        """One Adam step; returns the terms, unweighted, and their weighted total."""
        recipe, optimizers = self.recipe, [*self.optimizers.values()]
        for group in (group for each in optimizers for group in each.param_groups):
            group["lr"] = learning_rate(recipe.optimizer, step, recipe.steps)
        data, own = recipe.data, self.updates.own(recipe.batch)
        photos = self.photos.batch(step, recipe.batch, data.crop, data.zoom, self.rng, own)
        noisy = photos
        if recipe.data.noise and self.rng.random() < 0.5:
            deviation = recipe.data.noise * self.rng.random()
            shape = (photos.shape[0], *photos.shape[2:])
            noisy = photos + input_noise(shape, deviation, self.rng)
        photos, noisy = self._place(photos), self._place(noisy)
        strength = ramp(step, recipe.steps, self.options.ramp_start, self.options.ramp_end)
        turn, late = divmod(step, self.options.motion_every)
        filming = bool(strength and self.clips is not None and not late and turn % 2 == 0)
        moving = bool(strength and recipe.objective.get("motion") and not late and not filming)
        motion = _moved.draw(noisy, self.rng, self.updates) if moving else None
        pairs = self._draw_pairs() if filming else None
        every = self.options.motion_every
        lazy = strength * every * (1 if self.clips is None else 2)
        resting = every * float(late == every - 1)
        scale = {"periodicity": strength * resting, "phase_roughness": resting}
        scale |= dict.fromkeys(("motion", *FILM_TERMS), lazy)
        contents = self.objective.content_features
        energies = self.updates.energies(len(photos), lambda rows: contents(photos[rows]))

        def loss(rows: slice) -> dict[str, Tensor]:
            with torch.autocast(self.device, enabled=False):  # targets are exact
                self.begin_part(rows, photos[rows])
            output = self.paint(noisy[rows])
            moved = motion and _moved.pair(
                self.paint, noisy[rows], output, *(m[rows] for m in motion)
            )
            film = self._filmed(pairs[rows]) if pairs else None
            known = {**contents(photos[rows]), **energies}
            return self.objective(output, known, moved, scale, film)

        values = self.updates.minimize(len(photos), loss, *optimizers)
        absent = [*(() if moving else ("motion",)), *(() if filming else FILM_TERMS)]
        return {name: value for name, value in values.items() if name not in absent}

    def begin_part(self, rows: slice, photos: Tensor) -> None:
        """Called before these rows of the batch are painted, with their photos; for methods that
        know more."""

    def paint(self, images: Tensor) -> Tensor:
        """The generator's answer, not clamped."""
        return self.updates.call(self.networks["generator"], images)

    def _open_clips(self) -> Clips | None:
        wanted = [term for term in FILM_TERMS if self.recipe.objective.get(term)]
        if wanted and not self.options.clips:
            raise UsageError(
                f"objective.{wanted[0]} judges video: give --set options.clips=FOLDER, or leave it "
                'out ("motion" needs photos only)'
            )
        if not wanted:
            return None
        data = self.recipe.data
        return Clips(find_data(self.options.clips, "clips"), data.short_side, data.crop)

    def _draw_pairs(self) -> Pairs:
        """A batch of neighboring frames."""
        assert self.clips is not None
        recipe = self.recipe
        return self.clips.batch(recipe.batch, recipe.data.crop, self.rng).to(self.device)

    def _filmed(self, pairs: Pairs) -> Film:
        """Both frames, painted."""
        one, two = (self.paint(self._place(frames)) for frames in (pairs.earlier, pairs.later))
        return Film(pairs.earlier, pairs.later, one, two, pairs.grid, pairs.mask)

    def _place(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=torch.channels_last)

    def unreadable(self) -> Sequence[Path]:
        """See `Method`."""
        return self.photos.skipped

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: photos of the validation set above their styled versions."""
        from ..data.images import to_tensor

        photos = [to_tensor(image)[:, :, :320, :320] for image in self.shown]
        photos = [p[:, :, : p.shape[2] // 8 * 8, : p.shape[3] // 8 * 8] for p in photos]
        with torch.no_grad():
            styled = [generator(p.to(self.device)).cpu() for p in photos]
        return [photos, styled]


PLUGIN = Perceptual
