"""Formats a checkpoint can be written in: one module each, the folder is the list.

`PLUGIN` is a subclass of `Target`. Its constants drive the command's help, its checks of arguments,
`--list` and `--target all`; so a target module imports at its top only what is light (no torch, no
converter), and loads the rest inside its functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from runtime import engines, plugins
from runtime.card import JsonObject

if TYPE_CHECKING:
    from runtime.card import ModelCard
    from runtime.frame import Image
    from runtime.model.session import StyleSession

    from ..verify.parity import Parity

# What `--target` and `--precision` call all there are.
EVERY = "all"


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        size: (width, height) of a graph for one size, None for free sizes.
        opset: version of the ONNX operator set.
        photos: photographs: for "int8" those of the calibration, else a few.
        extra: `--option KEY=VALUE`, keys as in `Target.options`.
        tell: called with a line now and then by what takes long.
    """

    precision: str = "fp32"
    size: tuple[int, int] | None = None
    opset: int = 18
    photos: Sequence[Image] = ()
    extra: dict[str, str] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Written:
    """What a target made.

    Attributes:
        card: of the artifact, stored in it or beside it (`_card_file`); None for an artifact that
            is no single model.
        steps: what was done, in order, for the report.
        facts: figures for the report that the target knows (calibration, folding).
    """

    card: ModelCard | None
    steps: list[str]
    facts: JsonObject = field(default_factory=dict)


class Target(ABC):
    """What `PLUGIN` of a target module is; nobody makes instances.

    Attributes:
        suffix: of the artifact, a file or (`folder`) a folder; "" for a folder of any name.
        beside: suffixes of further files that belong to it, in place of `suffix`.
        folder: whether the artifact is a folder.
        precisions: what `--precision` may be, the default first.
        engine: name of the runtime engine that runs the result here and proves it, or None.
        examined_by: of targets without an engine: what its `check` or emulation is, for people.
        modules: libraries that `write` imports.
        extra: the pip extra that brings them.
        environment: name of the virtual environment they are kept in, for converters that cannot
            live beside others (`export.environments`); "" for the common one.
        runs_on: where the result runs, for people.
        takes_paintings: whether `--model all` means models of many or any paintings, too.
        starts_from: "checkpoint", or "models": finished model files (`--model`).
        takes_all: of those that start from models: whether it is given everything there is of a
            checkpoint, and not the ONNX file only.
        default_size: (width, height) written when the user names none; None where sizes are free.
        options: `--option` keys this target knows, with a line of help each.
        in_all: whether `--target all` makes it.
    """

    suffix: ClassVar[str] = ""
    beside: ClassVar[tuple[str, ...]] = ()
    folder: ClassVar[bool] = False
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    engine: ClassVar[str | None] = None
    examined_by: ClassVar[str] = ""
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "export"
    environment: ClassVar[str] = ""
    runs_on: ClassVar[str] = ""
    takes_paintings: ClassVar[bool] = False
    starts_from: ClassVar[Literal["checkpoint", "models"]] = "checkpoint"
    takes_all: ClassVar[bool] = False
    default_size: ClassVar[tuple[int, int] | None] = None
    options: ClassVar[dict[str, str]] = {}
    in_all: ClassVar[bool] = True

    @classmethod
    def available(cls) -> str:
        """What this machine lacks to write and check it, and how to get that, in one line; empty
        if nothing. Looks only: nothing heavy is imported."""
        absent = [name for name in cls.modules if not plugins.installed(name)]
        if absent and cls.environment:
            return (
                f"needs {', '.join(absent)}: python -m export.environments {cls.environment}, "
                "which makes an environment of their own; or, in one that you made, "
                f"pip install -e '.[{cls.extra}]'"
            )
        if absent:
            return f"needs {', '.join(absent)}: pip install -e '.[{cls.extra}]'"
        return engines.why_not(cls.engine) if cls.engine else ""

    @staticmethod
    @abstractmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write the artifact to `path`, card included, and nothing outside of `path`'s folder.

        Args:
            source: `export.source.ExportSource`; for targets that start from models, their paths.
            path: has its final name (and lies in an empty folder of its own until it is proven).
            options: what the user asked for.

        Raises:
            EngineUnavailable: a needed library is absent.
            UsageError: the network or an option does not fit this target.
        """

    @staticmethod
    def emulate(path: Path) -> StyleSession | None:
        """For targets without an engine: a session that computes the artifact by other means, so
        that it can be compared with its source here; None if there are no such means."""
        return None

    @staticmethod
    def check(source: Any, path: Path, options: Options) -> Parity | list[str]:
        """For targets without an engine: examine what was written as far as this machine can.

        Returns:
            the comparison it passed, if this machine can run it by other means; else what was
            found to be right, one sentence each. Both for the report.

        Raises:
            ParityError: it is wrong, and must not be shipped.
        """
        return []
