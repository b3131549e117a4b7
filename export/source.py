"""What an export starts from: a checkpoint, its generator, and the card drafted from both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.card import JsonObject, ModelCard, Port
from runtime.checksum import sha256
from runtime.errors import UsageError
from runtime.model.variants import parse_name
from training.checkpoint import Checkpoint, checkpoint_of, load_checkpoint, of_one_style
from training.portable import portable_recipe

# Largest picture side tried when the smallest one a graph accepts is looked for; reflection padding
# of 9x9 convolutions needs 12 px, nothing we know more than 32.
LARGEST_MINIMUM = 64


@dataclass(frozen=True)
class ExportSource:
    """A trained generator, ready to be written.

    Attributes:
        generator: in evaluation mode, float32, on the CPU.
        card: everything known before the target adds its own facts.
        path: the checkpoint file.
        sha256: of the checkpoint file.
        step: training steps behind it.
        recipe: with the paths of this machine, which the card leaves out.
    """

    generator: nn.Module
    card: ModelCard
    path: Path
    sha256: str
    step: int
    recipe: JsonObject


class Clamped(nn.Module):
    """The generator as it is shipped: images (N, 3, H, W) in [0, 1] -> the same, clamped."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> Tensor:
        """Style a batch."""
        return self.generator(image).clamp(0.0, 1.0)


class WholeLevels(nn.Module):
    """The same for pictures of bytes: its answer is in whole levels 0..255."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.inner = Clamped(generator)

    def forward(self, image: Tensor) -> Tensor:
        """Style a batch."""
        return torch.round(self.inner(image) * 255.0)


def one_style(settings: Sequence[str]) -> tuple[str, list[str]]:
    """The NAME of "style=NAME" ("" without one), and the settings beside it."""
    pairs = [setting.partition("=") for setting in settings]
    names = [value.strip() for key, _, value in pairs if key.strip() == "style"]
    rest = [s for s, (key, _, _) in zip(settings, pairs, strict=True) if key.strip() != "style"]
    return names[-1] if names else "", rest


def load_source(path: Path, name: str, settings: Sequence[str] = ()) -> ExportSource:
    """Read a checkpoint and draft the card of a model called `name`.

    Args:
        path: the checkpoint, or its run folder.
        name: for the card.
        settings: "key=value" changes to the network's configuration that need no other weights,
            such as "margin=32"; "style=NAME" makes a lean network of one style of a network that
            knows several.

    Raises:
        UsageError: unknown setting, or one that the weights do not fit.
    """
    path = checkpoint_of(path)
    checkpoint = load_checkpoint(path)
    style, settings = one_style(settings)
    if style:
        checkpoint = of_one_style(checkpoint, style)
    for setting in settings:
        key, separator, value = setting.partition("=")
        try:
            checkpoint.network[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            if not separator:
                raise UsageError(f'--set takes key=value, not "{setting}"') from None
            checkpoint.network[key.strip()] = value.strip()
    generator = checkpoint.build_generator().float().eval().requires_grad_(False)
    if getattr(generator, "from_noise", False):
        raise UsageError(
            f'"{path}" holds "{generator.name}", which makes pictures out of noise and takes none; '
            f"python -m training.sample --checkpoint {path} writes them"
        )
    digest = sha256(path)
    card = draft_card(checkpoint, generator, name, digest)
    return ExportSource(generator, card, path, digest, checkpoint.step, checkpoint.recipe)


def draft_card(
    checkpoint: Checkpoint, generator: nn.Module, name: str, sha256: str = ""
) -> ModelCard:
    """The card of a float graph with free height and width."""
    recipe = checkpoint.recipe
    style = recipe.get("style", {})
    shape = (1, 3, "height", "width")
    multiple = int(getattr(generator, "multiple_of", 1))
    return ModelCard(
        name=name,
        method=recipe.get("method", "perceptual"),
        inputs=(Port("image", shape=shape),),
        outputs=(Port("styled", shape=shape),),
        grade=parse_name(name).grade,
        multiple_of=multiple,
        minimum=smallest_size(generator, multiple),
        overlap=int(getattr(generator, "overlap", 0)),
        network=dict(checkpoint.network),
        normalization=getattr(generator, "normalization", "none"),
        recipe=portable_recipe(recipe),
        checkpoint_sha256=sha256,
        style={key: style[key] for key in ("title", "artist", "license", "source") if key in style},
        license=recipe.get("license", "") or "Apache-2.0",
    )


@torch.no_grad()
def smallest_size(generator: nn.Module, multiple: int) -> int:
    """Smallest side, a multiple of `multiple`, of a square picture the generator accepts.

    What the generator says in `minimum`, or found by trying: padding by reflection and statistics
    over one pixel fail below it.

    Raises:
        UsageError: not even LARGEST_MINIMUM px work.
    """
    if hasattr(generator, "minimum"):
        return int(generator.minimum)  # type: ignore[arg-type]
    for side in range(multiple, LARGEST_MINIMUM + 1, multiple):
        try:
            generator(torch.zeros(1, 3, side, side))
        except (RuntimeError, ValueError):
            continue
        return side
    raise UsageError(f"the network fails on pictures up to {LARGEST_MINIMUM} px")


def with_size(card: ModelCard, size: tuple[int, int] | None) -> ModelCard:
    """The card of a graph for one (width, height); None leaves the sizes free.

    Raises:
        UsageError: the network does not accept this size.
    """
    if size is None:
        return card
    width, height = size
    step = card.multiple_of
    if width % step or height % step or min(size) < card.minimum:
        raise UsageError(
            f"--size {width}x{height}: both sides must be multiples of {step} and at least "
            f"{card.minimum} px"
        )

    def fixed(port: Port) -> Port:
        return replace(port, shape=(1, 3, height, width))

    return replace(
        card, inputs=tuple(map(fixed, card.inputs)), outputs=tuple(map(fixed, card.outputs))
    )
