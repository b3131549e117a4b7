"""Formats a checkpoint can be written in: one module each, the folder is the list.

`PLUGIN` is a class with `suffix`, `precisions` and `write(source, path, options)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runtime.card import ModelCard
from runtime.frame import Image

from ..source import ExportSource


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        size: (width, height) of a graph for one size, None for free sizes.
        opset: version of the ONNX operator set.
        photos: photographs for calibration.
    """

    precision: str = "fp32"
    size: tuple[int, int] | None = None
    opset: int = 18
    photos: Sequence[Image] = ()


@dataclass(frozen=True)
class Written:
    """What a target made.

    Attributes:
        card: of the artefact, stored in it.
        steps: what was done, in order, for the receipt.
        facts: figures for the receipt that the target knows (calibration, folding).
    """

    card: ModelCard
    steps: list[str]
    facts: dict[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """What `PLUGIN` of a target module offers."""

    suffix: str
    precisions: tuple[str, ...]

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write the artefact to `path`, card included.

        Raises:
            EngineUnavailable: a needed library is absent.
            UsageError: the network or an option does not fit this target.
        """
        ...
