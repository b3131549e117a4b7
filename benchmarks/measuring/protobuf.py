"""Just enough protocol buffers to read and write small ONNX files without the `onnx` package.

A message is a sequence of fields, each a key (field number * 8 + wire type) and a value. ONNX uses
three wire types: 0 (varint), 2 (length and bytes) and 5 (32 bits). See "Encoding" at protobuf.dev.
"""

import struct
from collections.abc import Iterator

Value = int | float | str | bytes


def varint(value: int) -> bytes:
    """Seven bits per byte, lowest first; negative numbers as 64-bit two's complement."""
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(number: int, value: Value) -> bytes:
    """One field: an int as varint, a float as 32 bits, text and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields: tuple[int, Value]) -> bytes:
    """Several fields, as (number, value)."""
    return b"".join(encode(number, value) for number, value in fields)


def decode(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Fields of a message as (number, value): an int, or the bytes of anything else.

    Raises:
        ValueError: the data ends inside a field, or has a wire type that ONNX does not use.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _varint_at(view, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint_at(view, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint_at(view, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {at}: this is no ONNX file")
        if at + length > len(view):
            raise ValueError("the message ends inside a field: the file is truncated")
        yield number, view[at : at + length]
        at += length


def _varint_at(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("the message ends inside a number: the file is truncated")
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
