"""The elements Matroska and WebM files are made of (EBML, RFC 8794): reading and writing them.

    element = identifier, size, data          both numbers of 1 to 8 bytes, the first set bit of
                                              which says how many bytes they have

Only what `runtime.media.matroska` needs; nothing here knows what an element means.
"""

from collections.abc import Iterator
from dataclasses import dataclass

VOID = 0xEC
CRC32 = 0xBF
# An identifier has up to 4 bytes, a size up to 8.
LONGEST_HEAD = 12


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an element.

    Attributes:
        name: its identifier, with the bits that say how long that is.
        length: bytes of identifier and size.
        size: bytes of its data; None if the file does not say (live streams).
    """

    name: int
    length: int
    size: int | None


def read_head(data: bytes) -> Head | None:
    """The head at the beginning of `data`; None if there is none (damage, or too few bytes)."""
    first = _width(data[:1])
    if first is None or first > 4 or len(data) < first + 1:
        return None
    width = _width(data[first : first + 1])
    if width is None or len(data) < first + width:
        return None
    value = int.from_bytes(data[first : first + width], "big") & ((1 << 7 * width) - 1)
    size = None if value == (1 << 7 * width) - 1 else value
    return Head(int.from_bytes(data[:first], "big"), first + width, size)


def _width(first: bytes) -> int | None:
    """How many bytes a number has, from its first; None for a byte that begins no number."""
    return 9 - first[0].bit_length() if first and first[0] else None


def children(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(identifier, head, data) of each element in `data`; head and data are its bytes.

    Raises:
        ValueError: `data` is no sequence of whole elements.
    """
    at = 0
    while at < len(data):
        head = read_head(data[at : at + LONGEST_HEAD])
        if head is None or head.size is None or at + head.length + head.size > len(data):
            raise ValueError(f"no whole element at byte {at} of {len(data)}")
        start = at + head.length
        yield head.name, data[at:start], data[start : start + head.size]
        at = start + head.size


def element(name: int, data: bytes, width: int = 0) -> bytes:
    """One element with these data; `width` bytes are its size field, 0 for the fewest."""
    # A size of all ones means "unknown", so the largest that fits is one less.
    width = width or next(w for w in range(1, 9) if len(data) < (1 << 7 * w) - 1)
    size = (1 << 7 * width) | len(data)
    return name.to_bytes(-(-name.bit_length() // 8), "big") + size.to_bytes(width, "big") + data


def number(name: int, value: int) -> bytes:
    """An element that holds an unsigned number."""
    return element(name, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big"))


def void(length: int) -> bytes:
    """`length` bytes that mean nothing: 0, or 2 and more."""
    if length < 10:
        return element(VOID, bytes(length - 2)) if length else b""
    return element(VOID, bytes(length - 9), 8)
