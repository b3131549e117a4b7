"""What lies in a folder of models, found out without loading any: cards are read straight from the
file, a millisecond each, where opening a session takes a hundred.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..card import KEY, ModelCard
from ..errors import CardMismatch
from .card_check import read_beside

# Field numbers of ONNX's ModelProto and StringStringEntryProto (onnx.proto) and the wire types of
# protocol buffers (encoding.md): varint, 8 bytes, length-delimited, 4 bytes.
METADATA_PROPS, ENTRY_KEY, ENTRY_VALUE = 14, 1, 2
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
# A varint of 64 bits has at most 10 bytes.
VARINT_BYTES = 10
# Roles of inputs that a model can do without being given anything.
TAKEN = ("image", "scalar", "state", "noise")


def read_card(path: Path) -> ModelCard | None:
    """The card inside an ONNX or OpenVINO file, or beside a file of another kind; None if there is
    none."""
    try:
        if path.suffix == ".xml" and (found := _xml_card(path)) is not None:
            return found
        text = read_beside(path)
        if text is None:
            text = read_metadata(path).get(KEY)
        return None if text is None else ModelCard.from_json(text, f'"{path}"')
    except (OSError, EOFError, UnicodeDecodeError, CardMismatch):
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
    from xml.etree import ElementTree  # 2 ms of a start that needs no OpenVINO file

    try:
        for _, element in ElementTree.iterparse(path):
            if element.tag == KEY:
                return ModelCard.from_json(element.get("value", ""), f'"{path}"')
    except ElementTree.ParseError as error:
        raise CardMismatch(f'"{path}" is no XML: {error}') from None
    return None


def is_style(card: ModelCard | None) -> bool:
    """Whether a model of this card can be switched to as it is: picture in, picture out."""
    if card is None:
        return False
    pictures = any(port.role == "image" for port in card.outputs)
    return pictures and all(port.role in TAKEN for port in card.inputs)


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
