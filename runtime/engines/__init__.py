"""Engines run a model file; one module each, listed by `runtime.plugins.names(engines)`.

`PLUGIN.open(model, device, threads)` gives an `Engine`. An engine knows tensors, not pictures:
what the tensors mean is the model card's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .. import plugins


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
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs. Raises StyleError if the graph fails."""
        ...

    def close(self) -> None:
        """Free the model; may be called twice."""
        ...


class EnginePlugin(Protocol):
    """What `PLUGIN` of an engine module offers."""

    @staticmethod
    def open(model: Path | bytes, device: str = "auto", threads: int | None = None) -> Engine:
        """Load a file, or a serialized model, on "auto", "cpu", "cuda" or "cuda:1".

        Raises:
            EngineUnavailable: the device or the library is absent.
            CardMismatch: the file is no model this engine can load.
        """
        ...


def open_model(
    model: Path | bytes, engine: str = "auto", device: str = "auto", threads: int | None = None
) -> Engine:
    """Open a model with the engine of this name; "auto" is ONNX Runtime, which runs everywhere."""
    from .. import engines

    plugin: EnginePlugin = plugins.load(engines, "onnxruntime" if engine == "auto" else engine)
    return plugin.open(model, device, threads)
