"""What every ONNX file of ours gets: no traces of the tool, a card, and a check by onnx itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from runtime.card import KEY, ModelCard, Port, image_metadata
from runtime.errors import EngineUnavailable, StyleError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

PRODUCER = "impasto"


def library() -> ModuleType:
    """The onnx package. Raises EngineUnavailable if it is not installed."""
    try:
        import onnx
    except ImportError:
        raise EngineUnavailable("onnx is not installed: pip install -e '.[export]'") from None
    return onnx


def tidy(model: ModelProto) -> None:
    """Remove what the exporter noted on nodes and values: stack traces with paths of this machine,
    and value shapes that the engine infers again. In place."""
    graph = model.graph
    del graph.value_info[:]
    graph.doc_string = ""
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]


def save(
    model: ModelProto, card: ModelCard, path: Path, extra: dict[str, str] | None = None
) -> None:
    """Write a model, finished as `finish` does."""
    path.write_bytes(finish(model, card, extra))


def finish(model: ModelProto, card: ModelCard, extra: dict[str, str] | None = None) -> bytes:
    """Embed the card, name the axes as it does, and let onnx check the model; the file's version
    becomes the lowest that holds its operators, for the sake of older readers.

    Args:
        model: `onnx.ModelProto`, changed in place.
        card: stored as JSON, with the standard `Image.*` keys beside it.
        extra: further metadata.

    Returns:
        the serialized model.

    Raises:
        StyleError: onnx finds the model invalid (a bug of ours, or of the exporter).
    """
    onnx = library()
    _name_axes(model.graph.input, card.inputs)
    _name_axes(model.graph.output, card.outputs)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    model.producer_name = PRODUCER
    model.producer_version = _version()
    model.graph.name = card.name
    onnx.helper.set_model_props(
        model, {KEY: card.to_json(), **image_metadata(card), **(extra or {})}
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise StyleError(f"onnx refuses the graph: {' '.join(str(error).split())[:300]}") from None
    return model.SerializeToString()


def _name_axes(values: Iterable[ValueInfoProto], ports: Sequence[Port]) -> None:
    for value, port in zip(values, ports, strict=True):
        for axis, size in zip(value.type.tensor_type.shape.dim, port.shape, strict=True):
            if isinstance(size, str):
                axis.dim_param = size


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version(PRODUCER)
    except metadata.PackageNotFoundError:
        return "source"
