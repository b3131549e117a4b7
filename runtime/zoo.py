"""What lies in a folder of models, found out without loading any: cards are read straight from the
file, a millisecond each, where opening a session takes a hundred.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from . import formats
from .card import KEY, ModelCard, beside
from .errors import CardMismatch

# Field numbers of ONNX's ModelProto and StringStringEntryProto (onnx.proto) and the wire types of
# protocol buffers (encoding.md): varint, 8 bytes, length-delimited, 4 bytes.
METADATA_PROPS, ENTRY_KEY, ENTRY_VALUE = 14, 1, 2
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
# A varint of 64 bits has at most 10 bytes.
VARINT_BYTES = 10


def read_card(path: Path) -> ModelCard | None:
    """The card inside an ONNX or OpenVINO file, or beside a file of another kind; None if there is
    none."""
    try:
        if path.suffix == ".xml" and (found := _xml_card(path)) is not None:
            return found
        if beside(path).is_file():
            return ModelCard.from_json(beside(path).read_text(encoding="utf-8"), f'"{path}"')
        text = read_metadata(path).get(KEY)
        return None if text is None else ModelCard.from_json(text, f'"{path}"')
    except (OSError, EOFError, UnicodeDecodeError, CardMismatch, ElementTree.ParseError):
        return None


def read_metadata(path: Path) -> dict[str, str]:
    """The key-value pairs stored in an ONNX file.

    Raises:
        OSError, EOFError, UnicodeDecodeError: it cannot be read, or is no ONNX file.
    """
    with path.open("rb") as stream:
        entries = list(_fields(stream, 0, path.stat().st_size, METADATA_PROPS))
        pairs = [dict(_strings(stream, *entry)) for entry in entries]
    return {pair[ENTRY_KEY]: pair.get(ENTRY_VALUE, "") for pair in pairs if ENTRY_KEY in pair}


def _xml_card(path: Path) -> ModelCard | None:
    """The card in the metadata of an OpenVINO file: `<impasto.card value="..." />`."""
    for _, element in ElementTree.iterparse(path):
        if element.tag == KEY:
            return ModelCard.from_json(element.get("value", ""), f'"{path}"')
    return None


def is_style(card: ModelCard | None) -> bool:
    """Whether a model of this card can be switched to as it is: picture in, picture out."""
    if card is None:
        return False
    pictures = any(port.role == "image" for port in card.outputs)
    return pictures and all(port.role in ("image", "scalar", "state") for port in card.inputs)


def variants_of(model: Path) -> list[Path]:
    """Other files of the same style and kind beside `model`: `starry-int8.onnx`, `starry-fast.onnx`
    for `starry.onnx`. A file belongs to it if its name begins so and the cards agree on the
    style."""
    mine = read_card(model)
    if mine is None:
        return []
    found = []
    for path in _of_its_kind(model):
        if path.stem.startswith(f"{model.stem}-"):
            card = read_card(path)
            if card is not None and is_style(card) and card.style == mine.style:
                found.append(path)
    return found


def neighbors_of(model: Path) -> list[Path]:
    """The other styles in the folder of `model`, by name; variants of any style are left out, and
    files of another kind (the same style for another engine)."""
    cards = {path: card for path in _of_its_kind(model) if is_style(card := read_card(path))}
    stems = {path.stem for path in cards} | {model.stem}
    return [
        path
        for path in cards
        if path.name != model.name
        and not any(path.stem.startswith(f"{stem}-") for stem in stems)
        and not model.stem.startswith(f"{path.stem}-")
    ]


def _of_its_kind(model: Path) -> list[Path]:
    """All models in the folder whose files end as this one's does, by name."""
    suffix = formats.suffix_of(model)
    return [
        path
        for path in sorted(model.parent.iterdir())
        if formats.is_model(path) and formats.suffix_of(path) == suffix
    ]


def _fields(stream: BinaryIO, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each length-delimited field `wanted`; all others are jumped over."""
    at = start
    while at < end:
        stream.seek(at)
        tag = _varint(stream)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _varint(stream)
            length = 0
        elif kind in (EIGHT, FOUR):
            length = 8 if kind == EIGHT else 4
        elif kind == BYTES:
            length = _varint(stream)
        else:
            raise EOFError(f"wire type {kind} is not one of ONNX")
        body = stream.tell()
        at = body + length
        if at > end:
            raise EOFError("the file is truncated")
        if number == wanted and kind == BYTES:
            yield body, at


def _strings(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, str]]:
    for wanted in (ENTRY_KEY, ENTRY_VALUE):
        for body, stop in _fields(stream, start, end, wanted):
            stream.seek(body)
            yield wanted, stream.read(stop - body).decode("utf-8")


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 7 * VARINT_BYTES, 7):
        byte = stream.read(1)
        if not byte:
            raise EOFError("the file is truncated")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise EOFError("a number is too long")
