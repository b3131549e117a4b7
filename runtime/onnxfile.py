"""Reading and cutting ONNX files without the onnx package: just enough protobuf for exact tiling.

Only the lists of nodes, inputs and outputs are taken apart; weights and everything else are
carried over as bytes. Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto).
"""

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .errors import CardMismatch
from .inputs import inside

# ModelProto
GRAPH, OPSET, METADATA, FUNCTION = 7, 8, 14, 25
# GraphProto
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO, SPARSE = 1, 5, 11, 12, 13, 15
# NodeProto
NODE_INPUT, NODE_OUTPUT, OP_TYPE, ATTRIBUTE, DOMAIN = 1, 2, 4, 5, 7
# TensorProto
DIMS, DATA_TYPE, NAME, RAW, OUTSIDE, PLACE = 1, 2, 8, 9, 13, 14
# TensorProto element types.
ELEMENT = {"float32": 1, "int32": 6, "float16": 10, "float64": 11}
# Of those whose numbers can be read: numpy's name, and the field that holds them if not raw.
NUMBERS = {
    1: ("<f4", 4),
    2: ("u1", 5),
    3: ("i1", 5),
    6: ("<i4", 5),
    7: ("<i8", 7),
    10: ("<f2", 5),
    11: ("<f8", 10),
}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

# A number of 64 bits has at most 10 bytes (encoding.md of protocol buffers).
VARINT_BYTES = 10

Field = tuple[int, int, int | bytes]


@contextmanager
def _reading() -> Generator[None, None, None]:
    """Whatever nonsense bytes lead to is one error; most of a file is taken apart when it is asked
    for."""
    try:
        yield
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise CardMismatch(f"this is not an ONNX file, or a damaged one ({error})") from None


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; `rest` holds its attributes and names as they were."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str = ""
    rest: tuple[Field, ...] = field(default=(), repr=False)

    @_reading()
    def ints(self, name: str) -> tuple[int, ...] | None:
        """An integer or integer-list attribute, None if it is not set."""
        for number, _, value in self.rest:
            if number != ATTRIBUTE or not isinstance(value, bytes):
                continue
            entries = list(fields(value))
            if _text(entries, 1) != name:
                continue
            found: list[int] = []
            for entry, _, item in entries:
                if entry == 8 and isinstance(item, bytes):  # ints, packed
                    found.extend(_varints(item))
                elif entry in (3, 8) and isinstance(item, int):  # i, or ints one by one
                    found.append(item)
            return tuple(value - 2**64 if value >= 2**63 else value for value in found)
        return None

    @_reading()
    def attribute(self, name: str) -> bytes | None:
        """A tensor attribute's message, None if it is not set."""
        for entries in self._attributes(name):
            return next(iter(_messages(entries, 5)), None)  # t
        return None

    @_reading()
    def number(self, name: str) -> float | None:
        """A float attribute, None if it is not set."""
        for entries in self._attributes(name):
            for entry, _, item in entries:
                if entry == 2 and isinstance(item, bytes):  # f
                    return float(np.frombuffer(item, "<f4")[0])
        return None

    def _attributes(self, name: str) -> Iterator[list[Field]]:
        for number, _, value in self.rest:
            if number == ATTRIBUTE and isinstance(value, bytes):
                entries = list(fields(value))
                if _text(entries, 1) == name:
                    yield entries


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A parsed model. Nodes are in topological order, as ONNX demands."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    _model: tuple[Field, ...] = field(repr=False)
    _graph: tuple[Field, ...] = field(repr=False)

    @staticmethod
    @_reading()
    def parse(data: bytes) -> "OnnxFile":
        """Take a model apart. Raises CardMismatch if it is not one."""
        model = tuple(fields(data))
        graph = tuple(
            entry
            for number, _, value in model
            if number == GRAPH and isinstance(value, bytes)
            for entry in fields(value)
        )
        nodes = tuple(_node(value) for value in _messages(graph, NODE))
        opset = max(
            (
                _number(list(fields(value)), 2)
                for value in _messages(model, OPSET)
                if _text(list(fields(value)), 1) in ("", "ai.onnx")
            ),
            default=0,
        )
        inputs, outputs = (
            tuple(_text(list(fields(value)), 1) for value in _messages(graph, number))
            for number in (INPUT, OUTPUT)
        )
        return OnnxFile(nodes, inputs, outputs, opset, model, graph)

    @_reading()
    def initializer_ints(self, name: str) -> tuple[int, ...] | None:
        """A stored int64 tensor's numbers, None if there is none of this name."""
        for value in _messages(self._graph, INITIALIZER):
            entries = list(fields(value))
            if _text(entries, 8) != name or _number(entries, 2) != 7:
                continue
            raw = next((item for number, _, item in entries if number == 9), None)
            if isinstance(raw, bytes):
                return tuple(
                    int.from_bytes(raw[at : at + 8], "little", signed=True)
                    for at in range(0, len(raw), 8)
                )
            return tuple(
                number if number < 2**63 else number - 2**64
                for entry, _, item in entries
                if entry == 7
                for number in (_varints(item) if isinstance(item, bytes) else [item])
            )
        return None

    @_reading()
    def constant(self, name: str) -> np.ndarray | None:
        """A stored tensor of numbers (initializer or Constant node), None if there is none of this
        name, or its numbers lie outside the file."""
        for value in _messages(self._graph, INITIALIZER):
            entries = list(fields(value))
            if _text(entries, NAME) == name:
                return _tensor(entries)
        for node in self.nodes:
            if node.op == "Constant" and name in node.outputs:
                found = node.attribute("value")
                return None if found is None else _tensor(list(fields(found)))
        return None

    @property
    @_reading()
    def initializers(self) -> frozenset[str]:
        """Names of all stored tensors."""
        stored = _messages(self._graph, INITIALIZER)
        return frozenset(_text(list(fields(value)), NAME) for value in stored)

    @property
    def has_hidden_parts(self) -> bool:
        """Whether there are operations of the file's own, or tensors that are stored in less room
        than they take: `nodes` and the size of the file do not tell what the model needs."""
        return any(number == FUNCTION for number, *_ in self._model) or any(
            number == SPARSE for number, *_ in self._graph
        )

    @_reading()
    def documentation(self, name: str) -> str:
        """What the file says in words about an input or output ("" if nothing)."""
        for value in (*_messages(self._graph, INPUT), *_messages(self._graph, OUTPUT)):
            entries = list(fields(value))
            if _text(entries, 1) == name:
                return _text(entries, 3)
        return ""

    def needed(self, outputs: Collection[str]) -> tuple[Node, ...]:
        """The nodes that these values depend on, in order."""
        wanted = set(outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        return tuple(reversed(kept))

    @_reading()
    def serialize(
        self,
        outputs: Sequence[str],
        extra_inputs: Sequence[tuple[str, str, tuple[int, ...]]] = (),
    ) -> bytes:
        """A model of the nodes these outputs need.

        Args:
            outputs: names of values to give; types are left to the engine's inference.
            extra_inputs: (name, numpy dtype, shape) of values fed instead of computed.
        """
        stored = {
            name: (number, kind, value)
            for number, kind, value in self._graph
            if number == OUTPUT and isinstance(value, bytes)
            for name in [_text(list(fields(value)), 1)]
        }
        graph: list[Field] = [(NODE, LENGTH, _packed(node)) for node in self.needed(outputs)]
        graph += [entry for entry in self._graph if entry[0] not in (NODE, OUTPUT, VALUE_INFO)]
        graph += [(INPUT, LENGTH, _value_info(*extra)) for extra in extra_inputs]
        graph += [
            stored.get(name) or (OUTPUT, LENGTH, encode([(1, LENGTH, name.encode())]))
            for name in outputs
        ]
        body = encode(graph)
        return encode(
            [entry if entry[0] != GRAPH else (GRAPH, LENGTH, body) for entry in self._model]
        )

    def with_constants(self, values: dict[str, np.ndarray]) -> "OnnxFile":
        """The same model with these values stored in it, in place of nodes that compute them."""
        nodes = [node for node in self.nodes if not values.keys() & set(node.outputs)]
        stored = [
            (INITIALIZER, LENGTH, _tensor_proto(name, array)) for name, array in values.items()
        ]
        return replace(self, nodes=tuple(nodes), _graph=(*self._graph, *stored))

    def brought_inside(self, path: Path) -> bytes:
        """The model as bytes, with the tensors that lie beside its file, which is at `path`."""
        graph = [
            (number, kind, _brought_inside(value, path))
            if number == INITIALIZER and isinstance(value, bytes)
            else (number, kind, value)
            for number, kind, value in self._graph
        ]
        body = encode(graph)
        return encode(
            [entry if entry[0] != GRAPH else (GRAPH, LENGTH, body) for entry in self._model]
        )

    def replaced(self, nodes: Sequence[Node]) -> "OnnxFile":
        """The same model with other nodes."""
        return replace(self, nodes=tuple(nodes))


def read_onnx(path: Path) -> bytes:
    """A model file as one piece: tensors that lie in files beside it are brought inside.

    Raises:
        CardMismatch: it is no ONNX file, or a file beside it is missing or too short.
        UsageError: it names a file outside of its folder.
    """
    data = path.read_bytes()
    if b"location" not in data:  # the key under which every tensor outside says where it lies
        return data
    return OnnxFile.parse(data).brought_inside(path)


@_reading()
def without_metadata(data: bytes) -> bytes:
    """The same model without what it says about itself. Raises CardMismatch if it is not one."""
    return encode([entry for entry in fields(data) if entry[0] != METADATA])


def _brought_inside(tensor: bytes, path: Path) -> bytes:
    """A TensorProto with its data (external_data: location, offset, length in bytes)."""
    entries = list(fields(tensor))
    if not _number(entries, PLACE):
        return tensor
    pairs = [list(fields(value)) for value in _messages(entries, OUTSIDE)]
    facts = {_text(pair, 1): _text(pair, 2) for pair in pairs}
    other = inside(path.parent, facts.get("location", ""), f'"{path}"')
    try:
        with other.open("rb") as stream:
            stream.seek(int(facts.get("offset", "0")))
            raw = stream.read(int(facts.get("length", "-1")))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CardMismatch(f'"{path}" keeps weights in "{other.name}": {reason}') from None
    if len(raw) < int(facts.get("length", "0")):
        raise CardMismatch(f'"{path}" keeps weights in "{other.name}", which is cut off')
    kept = [entry for entry in entries if entry[0] not in (OUTSIDE, PLACE)]
    return encode([*kept, (RAW, LENGTH, raw)])


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a protobuf message: (number, wire type, value)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == LENGTH:
            length, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if number == 0 or at + length > len(data):
            raise ValueError("a field is cut off")
        yield number, kind, data[at : at + length]
        at += length


def encode(entries: Sequence[Field]) -> bytes:
    """The message with these fields."""
    parts: list[bytes] = []
    for number, kind, value in entries:
        parts.append(_encoded(number << 3 | kind))
        if isinstance(value, int):
            parts.append(_encoded(value))
        else:
            if kind == LENGTH:
                parts.append(_encoded(len(value)))
            parts.append(value)
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * VARINT_BYTES, 7):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")


def _varints(data: bytes) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tensor(entries: Sequence[Field]) -> np.ndarray | None:
    """The numbers of a TensorProto, None where they are of another kind or in another file."""
    dims: list[int] = []
    for entry, _, item in entries:
        if entry == DIMS:
            dims += _varints(item) if isinstance(item, bytes) else [item]
    kind, place = NUMBERS.get(_number(entries, DATA_TYPE), ("", 0))
    if not kind:
        return None
    raw = next((item for entry, _, item in entries if entry == RAW), None)
    if isinstance(raw, bytes):
        values = np.frombuffer(raw, kind)
    elif place in (4, 10):
        stored = b"".join(item for entry, _, item in entries if entry == place)  # type: ignore[misc]
        values = np.frombuffer(stored, kind)
    else:
        whole: list[int] = []
        for entry, _, item in entries:
            if entry == place:
                whole += _varints(item) if isinstance(item, bytes) else [item]
        signed = np.array(whole, np.uint64).astype(np.int64)
        values = signed.astype(np.uint16).view("<f2") if kind == "<f2" else signed.astype(kind)
    return values.reshape(dims) if values.size == int(np.prod(dims)) else None


def _messages(entries: Sequence[Field], number: int) -> list[bytes]:
    return [value for entry, _, value in entries if entry == number and isinstance(value, bytes)]


def _text(entries: Sequence[Field], number: int) -> str:
    return next((value.decode() for value in _messages(entries, number)), "")


def _number(entries: Sequence[Field], number: int) -> int:
    for entry, _, value in entries:
        if entry == number and isinstance(value, int):
            return value
    return 0


def _node(data: bytes) -> Node:
    entries = list(fields(data))
    inputs, outputs = (
        tuple(value.decode() for value in _messages(entries, number))
        for number in (NODE_INPUT, NODE_OUTPUT)
    )
    taken = (NODE_INPUT, NODE_OUTPUT, OP_TYPE, DOMAIN)
    rest = tuple(entry for entry in entries if entry[0] not in taken)
    return Node(_text(entries, OP_TYPE), inputs, outputs, _text(entries, DOMAIN), rest)


def _packed(node: Node) -> bytes:
    entries: list[Field] = [(NODE_INPUT, LENGTH, name.encode()) for name in node.inputs]
    entries += [(NODE_OUTPUT, LENGTH, name.encode()) for name in node.outputs]
    entries.append((OP_TYPE, LENGTH, node.op.encode()))
    if node.domain:
        entries.append((DOMAIN, LENGTH, node.domain.encode()))
    return encode([*entries, *node.rest])


def _tensor_proto(name: str, array: np.ndarray) -> bytes:
    """TensorProto: sizes, element type, name, little-endian bytes."""
    sizes: list[Field] = [(DIMS, VARINT, size) for size in array.shape]
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    kind: Field = (DATA_TYPE, VARINT, ELEMENT[str(array.dtype)])
    return encode([*sizes, kind, (NAME, LENGTH, name.encode()), (RAW, LENGTH, data)])


def _value_info(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto: name, and a tensor type with element type and dimensions."""
    dims = [(1, LENGTH, encode([(1, VARINT, size)])) for size in shape]
    tensor = encode([(1, VARINT, ELEMENT[dtype]), (2, LENGTH, encode(dims))])
    return encode([(1, LENGTH, name.encode()), (2, LENGTH, encode([(1, LENGTH, tensor)]))])
