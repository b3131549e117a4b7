"""Models of several graphs: one for the frame and a companion that turns a style into its code.

The companion runs once per style, the frame's graph once per frame. Both are checked against
PyTorch before either gets its name.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from runtime.card import JsonObject, ModelCard
from runtime.checksum import sha256
from runtime.engines import TensorInfo
from runtime.errors import ParityError, UsageError
from runtime.frame import Image
from runtime.model.formats import open_model
from runtime.model.session import StyleSession, open_session
from training.networks import Graph

from . import onnx_tools
from .source import ExportSource
from .tracing import EXAMPLE_CELLS, to_onnx
from .verify.delivery import deliver
from .verify.parity import SIZES, Parity, check, refuse
from .verify.photos import cover
from .verify.report import Report, make_report, origin_of, write_report

if TYPE_CHECKING:
    from onnx import ModelProto

    from .artifact import Request

# Largest relative error of a code, float32 graph against PyTorch: roots of covariances amplify the
# order of summation; measured on our models about 1e-5.
LARGEST_CODE_ERROR = 1e-3


def card_for(source: ExportSource, graph: Graph) -> ModelCard:
    """The card of one graph of a model."""
    return replace(
        source.card,
        name=source.card.name + graph.suffix,
        inputs=graph.inputs,
        outputs=graph.outputs,
    )


def trace(graph: Graph, card: ModelCard, opset: int) -> ModelProto:
    """One graph as an `onnx.ModelProto` with free picture sizes."""
    free = [max(cells * card.multiple_of, card.minimum) for cells in EXAMPLE_CELLS]
    examples, shapes = [], []
    for port in graph.inputs:
        # Not by name: named axes must be free from 2 px on, these networks have a minimum.
        free_axis = torch.export.Dim.DYNAMIC
        axes = {i: free_axis for i, axis in enumerate(port.shape) if isinstance(axis, str)}
        sides = iter(free)
        size = [axis if isinstance(axis, int) else next(sides) for axis in port.shape]
        examples.append(torch.rand(*size))
        shapes.append(axes or None)
    names = [port.name for port in graph.inputs]
    if len(names) > 1 and _is_variadic(graph.module):
        fixed = _fixed_arguments(graph.module)
        shapes = (*shapes[:fixed], tuple(shapes[fixed:]))
    outputs = [port.name for port in graph.outputs]
    return to_onnx(graph.module, examples, opset, names, outputs, tuple(shapes))


def _is_variadic(module: torch.nn.Module) -> bool:
    return bool(module.forward.__code__.co_flags & 0x04)


def _fixed_arguments(module: torch.nn.Module) -> int:
    return module.forward.__code__.co_argcount - 1  # without self


@dataclass
class TorchGraph:
    """One graph's module as a `runtime.engines.Engine`."""

    graph: Graph
    device: str = "cpu"
    note: str = ""

    def __post_init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.inputs = tuple(TensorInfo(p.name, p.shape, p.dtype) for p in self.graph.inputs)
        self.outputs = tuple(TensorInfo(p.name, p.shape, p.dtype) for p in self.graph.outputs)

    @torch.inference_mode()
    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs."""
        found = self.graph.module(*(torch.tensor(feeds[p.name]) for p in self.graph.inputs))
        found = found if isinstance(found, tuple) else (found,)
        names = [port.name for port in self.graph.outputs]
        return {name: value.numpy() for name, value in zip(names, found, strict=True)}

    def close(self) -> None:
        """Nothing to free."""


class _Styled:
    """A session with a fixed style, for `parity.check`."""

    def __init__(self, session: StyleSession, conditions: JsonObject) -> None:
        self.session, self.conditions = session, conditions

    def stylize_float(self, picture: np.ndarray) -> np.ndarray:
        return self.session.stylize_float(picture, **self.conditions)

    def reset(self) -> None:
        self.session.reset()


def export(
    request: Request, source: ExportSource, photos: list[Image], tell: Callable[[str], None]
) -> Report:
    """Write all graphs of a model beside `request.path`; returns the report of the frame's.

    Raises:
        UsageError: a target, precision or fixed size these models are not written in.
        ParityError: a graph does not match PyTorch; it is left as `<name>.rejected`.
    """
    if request.target != "onnx" or request.precision != "fp32" or request.size is not None:
        raise UsageError(
            f'"{source.card.name}" is a model of several graphs: it is written with --target onnx '
            "--precision fp32 and free sizes only"
        )
    graphs = source.generator.exports(request.path.stem)  # type: ignore[operator]
    frame, companions = graphs[0], graphs[1:]
    named = replace(source, card=replace(source.card, name=request.path.stem))
    steps = [f"torch.onnx.export (dynamo), opset {request.opset}, {len(graphs)} graphs"]
    names = [f"{request.path.stem}{graph.suffix}.onnx" for graph in companions]
    for graph, name in zip(companions, names, strict=True):
        path = request.path.with_name(name)
        tell(f"writing {path.name}")
        _deliver_companion(graph, named, path, photos, request.opset)
    parities: list[Parity] = []

    def write(path: Path) -> None:
        tell(f"writing {request.path.name}")
        _write(frame, named, path, request.opset)

    def verify(path: Path) -> None:
        tell("comparing with PyTorch at " + ", ".join(f"{w}x{h}" for w, h in SIZES))
        card = card_for(named, frame)
        conditions = _conditions(card, photos)
        ours = StyleSession(TorchGraph(frame), card, path, "onnxruntime", source.sha256)
        with (
            ours,
            _beside(path, [request.path.with_name(name) for name in names]),
            open_session(path) as theirs,
        ):
            source_side, shipped = _Styled(ours, conditions), _Styled(theirs, conditions)
            parities.append(check(source_side, shipped, photos[:2], "fp32"))
        refuse(parities[0], request.path.name)

    delivered = deliver(request.path, write, verify)
    facts = {"target": "onnx", "precision": "fp32"}
    report = make_report(origin_of(named), delivered, steps, parities[0], facts)
    report["companions"] = {name: sha256(request.path.with_name(name)) for name in names}
    write_report(report, request.path)
    return report


@contextlib.contextmanager
def _beside(path: Path, companions: list[Path]) -> Iterator[None]:
    """The companions beside a graph that is still in its staging folder, while it is tried."""
    copies = [path.with_name(companion.name) for companion in companions]
    try:
        for companion, copy in zip(companions, copies, strict=True):
            shutil.copyfile(companion, copy)
        yield
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


def _conditions(card: ModelCard, photos: list[Image]) -> JsonObject:
    """A style for graphs that have a companion, an uneven mix for those that have none, a variation
    for those that have many answers."""
    if any(port.role == "noise" for port in card.inputs):
        return {"variation": 1}
    codes = [port for port in card.inputs if port.role == "code"]
    if any(port.companion for port in codes):
        return {"style": cover(photos[-1], 512, 384)}
    size = int(codes[0].shape[1])
    return {"code": np.linspace(0.0, 2.0 / size, size, dtype=np.float32)}


def _write(graph: Graph, source: ExportSource, path: Path, opset: int) -> None:
    card = card_for(source, graph)
    model = trace(graph, card, opset)
    onnx_tools.tidy(model)
    onnx_tools.save(model, card, path)


def _deliver_companion(
    graph: Graph, source: ExportSource, path: Path, photos: list[Image], opset: int
) -> None:
    def verify(written: Path) -> None:
        theirs, ours = open_model(written), TorchGraph(graph)
        for width, height in ((256, 256), (384, 320)):
            picture = cover(photos[0], width, height).astype(np.float32) / np.float32(255)
            feeds = {graph.inputs[0].name: picture.transpose(2, 0, 1)[None].copy()}
            a, b = ours.run(feeds), theirs.run(feeds)
            for name, value in a.items():
                error = float(np.linalg.norm(value - b[name]) / np.linalg.norm(value))
                if not error <= LARGEST_CODE_ERROR:
                    raise ParityError(
                        f"{path.name}: {name} differs by {error:.1e} of its size at "
                        f"{width}x{height}, at most {LARGEST_CODE_ERROR:.0e} is allowed"
                    )
        theirs.close()

    deliver(path, lambda target: _write(graph, source, target, opset), verify)
