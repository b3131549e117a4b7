"""The two graphs of networks whose style is a picture: one for frames, one that runs once for
each style."""

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor, nn

from runtime.card import Port

from .. import Graph

# Codes are statistics of features: any value, if none that only an error would give.
LARGEST = 1e6


class Frame(nn.Module):
    """Image (N, 3, H, W) and style code to the styled image, clamped to 0..1."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, code: Tensor) -> Tensor:
        """As the generator's."""
        return self.generator(image, code).clamp(0.0, 1.0)


class MixedFrame(nn.Module):
    """The same with a strength, `alpha`, and several codes."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, alpha: Tensor, *codes: Tensor) -> Tensor:
        """As the generator's."""
        return self.generator(image, *codes, alpha=alpha).clamp(0.0, 1.0)


class Style(nn.Module):
    """Style picture (N, 3, H, W) to its code, or codes."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, style: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As `generator.encode`."""
        found = self.generator.encode(style)  # type: ignore[operator]
        return found if isinstance(found, Tensor) else tuple(found)


def mixed_graphs(
    generator: nn.Module, name: str, codes: Iterable[tuple[str, tuple[int, ...]]], alpha: float
) -> list[Graph]:
    """Both graphs of a generator with a strength and several codes.

    Args:
        generator: with `encode`, and `alpha` in its call.
        name: of the model.
        codes: names and shapes.
        alpha: its default.
    """
    shape, companion = (1, 3, "height", "width"), f"{name}.style.onnx"
    given = [
        Port(n, "code", code, low=-LARGEST, high=LARGEST, companion=companion) for n, code in codes
    ]
    plain = tuple(replace(port, companion=None) for port in given)
    inputs = (
        Port("image", shape=shape),
        Port("alpha", "scalar", (1,), default=alpha),
        *given,
    )
    styled = (Port("styled", shape=shape),)
    style = Graph(".style", Style(generator), (Port("style", "image", shape),), plain)
    return [Graph("", MixedFrame(generator), inputs, styled), style]
