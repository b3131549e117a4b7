"""Engines run a model file; one module each, listed by `runtime.plugins.names(engines)`.

`PLUGIN.open(model, device, threads)` gives an `Engine`. An engine knows tensors, not pictures:
what the tensors mean is the model card's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .. import plugins

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, shape (a name stands for a free axis, "" for one without a name) and numpy dtype of a
    graph's input or output."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class Engine(Protocol):
    """A loaded model.

    Attributes:
        inputs, outputs: what the graph takes and gives, in its order.
        metadata: the key-value pairs stored in the file.
        device: "cpu" or "cuda:0": where it really runs, read back after loading.
        note: what the user should know about that, "" if nothing.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    device: str
    note: str

    def run(
        self, feeds: "dict[str, np.ndarray]", outputs: Sequence[str] | None = None
    ) -> "dict[str, np.ndarray]":
        """All outputs (or those named) for these inputs. Raises StyleError if the graph fails."""
        ...

    def close(self) -> None:
        """Free the model; may be called twice."""
        ...


@runtime_checkable
class SharingEngine(Engine, Protocol):
    """An engine whose sessions share one arena of memory.

    Attributes:
        optimized: the graph as the engine optimized it for this machine, if it was to keep it.
    """

    optimized: bytes | None

    def give_back(self, feeds: "dict[str, np.ndarray]") -> None:
        """Run once on small pictures; what the arena holds unused goes back to the system."""
        ...


@runtime_checkable
class RecordingEngine(Engine, Protocol):
    """An engine that may launch recorded work (CUDA graphs)."""

    @property
    def recorded(self) -> int:
        """How many graphs it launches now, one for a size of picture."""
        ...


@runtime_checkable
class RememberingEngine(Engine, Protocol):
    """An engine whose answer also depends on the pictures before."""

    @property
    def begins_scene(self) -> bool:
        """Whether the last picture began a scene: nothing before it mattered."""
        ...

    def reset(self) -> None:
        """The next picture begins a new scene."""
        ...


class EnginePlugin(Protocol):
    """What `PLUGIN`, a class of an engine module, offers.

    All but `open` are literals in the class body: `runtime.model.formats` and the commands read
    them from the source text. The module itself imports nothing but numpy; the library
    is loaded by `open`.

    Attributes:
        suffixes: of the files it reads, its own format first. A file that several engines read goes
            to ONNX Runtime unless the user names another.
        beside: suffix -> suffix of the second file such a model needs ({".xml": ".bin"}).
        devices: what `--device` may name, besides "auto".
        hints: what `--precision-hint` may name, the one that is exact (and the default) first;
            `open` takes it as the keyword argument `hint`. Empty: it computes as the file says.
        label: what people call it.
        module: the library, as imported.
        other_modules: libraries that do as well where it is absent.
        install: the command that brings it.
    """

    suffixes: tuple[str, ...]
    beside: dict[str, str]
    devices: tuple[str, ...]
    hints: tuple[str, ...]
    label: str
    module: str
    other_modules: tuple[str, ...]
    install: str

    @staticmethod
    def open(
        model: Path | bytes, device: str = "auto", threads: int | None = None, **options: Any
    ) -> Engine:
        """Load a file, or a serialized model, on "auto", "cpu", "cuda" or "cuda:1".

        Raises:
            EngineUnavailable: the device or the library is absent.
            CardMismatch: the file is no model this engine can load.
            UsageError: a device that this engine does not know.
        """
        ...


def why_not(engine: str) -> str:
    """What is missing for this engine, and how to get it; empty if its library is installed."""
    from .. import engines

    plugin: EnginePlugin = plugins.load(engines, engine)
    return "" if library_of(plugin) else f"{plugin.label} is not installed: {plugin.install}"


def library_of(plugin: EnginePlugin) -> str:
    """The module that an engine would import: `module`, or where that is absent the first of its
    `other_modules` that is installed; "" if none is."""
    names = (plugin.module, *plugin.other_modules)
    return next((name for name in names if plugins.installed(name)), "")
