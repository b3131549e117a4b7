"""The card of a model: where it stands, and whether it fits its graph. Converters change sizes,
types and axes, but not cards.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..card import KEY, ModelCard, Port, beside
from ..engines import Engine, TensorInfo
from ..errors import CardMismatch
from . import arrays

# A card is some kilobytes; what is a thousand times as long is none.
MOST_BYTES = 16 << 20
# Kinds of files whose graphs tell a free axis from the largest one that fits; ExecuTorch's do not.
SAYS_FREE = (".onnx", ".ort")
FLOATS = ("float32", "float16")
AGAIN = "export the model again, or remove its card (the metadata key impasto.card)"


def card_of(engine: Engine, path: Path) -> ModelCard | None:
    """The card of an open model as it stands there (`card_check.fitted` compares it with the
    graph); None if it has none.

    Raises:
        CardMismatch: it is damaged.
    """
    text = engine.metadata.get(KEY)
    if text is None:
        text = read_beside(path)
    return None if text is None else ModelCard.from_json(text, f'"{path}"')


def read_beside(model: Path) -> str | None:
    """The text of the card beside a model; None if there is none.

    Raises:
        CardMismatch: it cannot be read.
    """
    path = beside(model)
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CardMismatch(f'"{path}" is no card: it has more than {MOST_BYTES >> 20} MB')
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CardMismatch(f'the card "{path}" cannot be read: {error}') from None


def fitted(card: ModelCard, engine: Engine, path: Path) -> tuple[ModelCard, list[str]]:
    """The card, corrected where the graph itself leaves no doubt, and a line for each correction.

    Raises:
        CardMismatch: they contradict each other, so that the picture would be a wrong one.
    """
    given = {info.name: info for info in engine.inputs}
    made = {info.name: info for info in engine.outputs}
    _check_names([port.name for port in card.inputs], given, path, "inputs")
    _check_names([port.name for port in card.outputs], made, path, "outputs")
    unknown = given.keys() - {port.name for port in card.inputs}
    if unknown:
        raise CardMismatch(
            f'"{path}" takes {", ".join(sorted(unknown))}, of which its card says nothing; {AGAIN}'
        )
    notes: list[str] = []

    def checked(port: Port, info: TensorInfo) -> Port:
        if port.role not in ("image", "style"):
            return port
        corrected = _corrected(port, info, path)
        if corrected != port:
            notes.append(
                f'{path.name}: "{port.name}" is {list(info.shape)} {info.dtype} in the graph, not '
                "as its card says; the graph counts"
            )
        return corrected

    inputs = tuple(checked(port, given[port.name]) for port in card.inputs)
    outputs = tuple(checked(port, made[port.name]) for port in card.outputs)
    return (replace(card, inputs=inputs, outputs=outputs) if notes else card), notes


def _check_names(named: Sequence[str], known: dict[str, TensorInfo], path: Path, what: str) -> None:
    missing = [name for name in named if name not in known]
    if missing:
        raise CardMismatch(
            f'the card in "{path}" names {what} the graph does not have: {", ".join(missing)} '
            f"(it has: {', '.join(sorted(known))})"
        )


def _corrected(port: Port, info: TensorInfo, path: Path) -> Port:
    """The port with the graph's type, order of axes and fixed size."""
    if len(info.shape) != 4:
        return port  # some engines do not tell
    if info.dtype != port.dtype:
        if not {info.dtype, port.dtype} <= set(FLOATS):
            raise CardMismatch(
                f'"{path}" holds "{port.name}" as {info.dtype}, its card says {port.dtype}; {AGAIN}'
            )
        port = replace(port, dtype=info.dtype)  # type: ignore[arg-type]
    channels = info.shape[arrays.spatial_axes(port)[2]]
    if channels != 3:
        other = replace(port, layout="NHWC" if port.layout == "NCHW" else "NCHW")
        if info.shape[arrays.spatial_axes(other)[2]] == 3:
            port = replace(other, shape=info.shape)
        elif isinstance(channels, int):
            raise CardMismatch(
                f'"{path}" holds "{port.name}" as {list(info.shape)}, which is no picture in '
                f"{port.layout}, as its card says; {AGAIN}"
            )
    size = arrays.fixed_size(replace(port, shape=info.shape))
    free = arrays.fixed_size(port) is None
    if free and path.suffix not in SAYS_FREE:
        return port
    if size is not None and size != arrays.fixed_size(port):
        port = replace(port, shape=info.shape)
    return port
