"""A clip that follows its painted keyframes (Texler et al., SIGGRAPH 2020, arXiv:2004.14489).

One to three frames of a clip are painted, with any tool; a network learns them on small squares and
paints the other frames, alone or live. The terms are those of `methods.filter`; l1 4, perceptual 6,
adversarial 0.5 (LSGAN), Adam at 4e-4 and 40 squares of 36 px a step are the paper's.

Deviations: a lean network that bytes can hold; the compressed VGG's features, relative to their
energy; the motion term, on squares of the unpainted frames, in the place of the paper's bilateral
temporal filter and its additional mixture-of-Gaussians layer.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from runtime.frame import Image

from ..config import find_data
from ..data import keyframes
from ..data.images import to_tensor
from . import Assets, filter
from .filter import SHOWN


@dataclass(frozen=True)
class Options(filter.Options):
    """Settings of the method: the filter's, and the clip."""

    clip: str = ""
    keys: tuple[str, ...] = ()  # painted frames, named by their number


class Keyframes(filter.Filter):
    """See the module's docstring; obligations in `training.methods.Method`."""

    options_type = Options
    pairs: keyframes.Keyframes

    def open_pairs(self, assets: Assets) -> keyframes.Keyframes:
        """The keys and the frames they were painted on."""
        options = self.options
        assert isinstance(options, Options)
        pairs = keyframes.Keyframes(
            find_data(options.clip, "clip"), [Path(key) for key in options.keys]
        )
        wrong = filter.displaced(pairs.images, pairs.names) if options.aligned else {}
        self.notes += [
            f"keyframe {name} {why}: is its number right? The first frame is 0"
            for name, why in wrong.items()
        ]
        return pairs

    def like_those_painted(self) -> list[Image]:
        """Frames of the clip."""
        return self.pairs.frames

    def hold_out(self) -> list[tuple[Image, Image]]:
        """The keys: they are judged by, and learned from, for there are no others."""
        return list(self.pairs.images)

    def moving(self, before: Tensor) -> Tensor:
        """Squares of unpainted frames."""
        count, _, height, _ = before.shape
        return self._place(self.pairs.unpainted(count, height, self.rng))

    def sheet(self, generator: nn.Module) -> list[list[Tensor]]:
        """Rows: frames of the clip, evenly spread, and what is made of them."""
        at = np.linspace(0, len(self.pairs.frames) - 1, SHOWN).round().astype(int)
        frames = [to_tensor(self.pairs.frames[i]) for i in dict.fromkeys(at.tolist())]
        return self._rows(generator, frames, [])


PLUGIN = Keyframes
