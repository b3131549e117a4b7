"""A new painting in minutes: `methods.perceptual` that starts from a trained base.

The base is a checkpoint of a many-style network ("cin", recipe `many`) or of a lean one. Of a
many-style base the painting whose result already has the least objective on two photos is folded
into a plain lean network; then all weights learn. A Gatys preview of the target is written first.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from runtime.errors import UsageError

from .. import networks
from ..checkpoint import find_checkpoint, load_checkpoint
from ..config import Recipe
from ..data.images import to_bytes, to_tensor
from ..networks.cin import one_hot
from ..optimize import optimize_image
from . import Assets, cut_to_multiple, perceptual
from .perceptual import Perceptual, read_options

PREVIEW_PX = 256  # side of the preview
PREVIEW_EVALUATIONS = 60  # 10-20 s on one core; the style is plain from about 40 on


@dataclass(frozen=True)
class Options(perceptual.Options):
    """Settings of the method, `[options]` in a recipe."""

    base: str = "many.safetensors"  # checkpoint to start from: a path, or a file in models/
    preview: bool = True  # write preview.png before the first step


class Adapt(Perceptual):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        options: Options = read_options(Options, recipe.options, "adapt")
        base = load_checkpoint(find_checkpoint(options.base, "options.base"))
        lean = _lean_settings(base.network, options.base)
        inner = {k: v for k, v in recipe.options.items() if k not in ("base", "preview")}
        recipe = replace(recipe, network=lean)
        super().__init__(replace(recipe, options=inner), assets)
        self.recipe, self.preview = recipe, options.preview
        self.start = self._load(base.build_generator())

    def _load(self, base: nn.Module) -> str:
        """Take the base's weights; returns what was taken, for the log."""
        generator = self.networks["generator"]
        if base.name != "cin":
            generator.load_state_dict(base.state_dict())
            return f"{base.name} network"
        base.to(self.device)
        totals = []
        for index in range(base.styles):  # type: ignore[arg-type]
            code = one_hot(index, base.styles).to(self.device)  # type: ignore[arg-type]
            totals.append(self._total(lambda photo, code=code: base(photo, code)))
        best = min(range(len(totals)), key=totals.__getitem__)
        code = one_hot(best, base.styles).to(self.device)  # type: ignore[arg-type]
        modulation = base.modulation(code)[0]  # type: ignore[operator]
        generator.load_state_dict(base.folded_state(modulation))  # type: ignore[operator]
        return f"painting {best} of {base.styles}"

    def _photos(self) -> list[Tensor]:
        return [
            cut_to_multiple(to_tensor(image)[:, :, :PREVIEW_PX, :PREVIEW_PX], 8).to(self.device)
            for image in self.shown[:2]
        ]

    @torch.no_grad()
    def _total(self, paint) -> float:
        """Objective without motion, summed over two photos."""
        found = 0.0
        for photo in self._photos():
            values = self.objective(paint(photo), self.objective.content_features(photo))
            found += float(values["total"])
        return found

    def begin(self, output: Path) -> None:
        """Write `preview.png`: photo, and what Gatys' method makes of it."""
        if not self.preview:
            return
        photo = self._photos()[0]
        found = optimize_image(photo, self.objective, PREVIEW_EVALUATIONS)
        both = torch.cat([photo, found.image], 3).cpu()
        Image.fromarray(to_bytes(both)).save(output / "preview.png")


def _lean_settings(network: dict, base: str) -> dict:
    """The lean network that continues a base."""
    settings = dict(network)
    name = settings.pop("name")
    if name == "cin":
        return {"name": "lean", **networks.build("cin", **settings).lean_config}
    if name == "lean":
        return {"name": "lean", **settings}
    raise UsageError(f'base "{base}" is a "{name}" network; adapt starts from "cin" or "lean"')


PLUGIN = Adapt
