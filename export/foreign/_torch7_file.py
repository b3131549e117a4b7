"""Files of Torch7 (`torch.save` of Lua, binary form): tables, numbers and tensors; nothing is run.

    object  = type (int32), then
      0 nil | 1 number (float64) | 2 string (int32 length, bytes) | 5 boolean (int32)
      3 table: index (int32), and if new: count (int32), then key and value objects in turns
      4 torch object: index (int32), and if new: version string, class string, contents
    contents of a tensor  = dimensions (int32), sizes and strides (int64 each), offset from 1
                            (int64), then its storage as an object
    contents of a storage = count (int64), values
    contents of another   = an object (a table of its fields)

Source: torch/torch7, File.lua (type numbers), lib/TH and generic/Tensor.c, Storage.c (contents).
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from . import State

NIL, NUMBER, STRING, TABLE, TORCH, BOOLEAN = range(6)
KINDS = {"Double": "<f8", "Float": "<f4", "Long": "<i8", "Int": "<i4", "Short": "<i2", "Byte": "u1"}
DEEPEST = 200  # objects within objects: a published network has about 20
LONGEST = 1 << 16  # bytes of a name

Value: TypeAlias = "float | bool | str | np.ndarray | Tensor | Record | None"


@dataclass
class Record:
    """A table, or an object with fields.

    Attributes:
        kind: "nn.Sequential", ...; "" for a table.
        fields: by their names, or by numbers from 1 on.
    """

    kind: str = ""
    fields: dict[str | float | bool, Value] = field(default_factory=dict)


class Reader:
    """One file's bytes and how far they have been read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0
        self.seen: dict[int, Value] = {}

    def take(self, form: str) -> int | float:
        """The next value of this `struct` format."""
        (value,) = struct.unpack_from("<" + form, self.data, self.place)
        self.place += struct.calcsize("<" + form)
        return value

    def text(self) -> str:
        """The next string: its length, then its bytes."""
        count = int(self.take("i"))
        if not 0 <= count <= LONGEST:
            raise ValueError(f"a name of {count} bytes")
        begin, self.place = self.place, self.place + count
        if self.place > len(self.data):
            raise ValueError("it is cut off within a name")
        return self.data[begin : self.place].decode("latin-1")

    def value(self, depth: int = 0) -> Value:
        """The next object with all that is in it."""
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} objects within one another")
        kind = self.take("i")
        if kind == NIL:
            return None
        if kind == NUMBER:
            return self.take("d")
        if kind == STRING:
            return self.text()
        if kind == BOOLEAN:
            return bool(self.take("i"))
        if kind not in (TABLE, TORCH):
            raise ValueError(f"an object of type {kind} (a function?), which is not data")
        index = int(self.take("i"))
        if index in self.seen:
            return self.seen[index]
        if kind == TORCH:
            return self.torch_object(index, depth)
        record = Record()
        self.seen[index] = record
        for _ in range(int(self.take("i"))):
            key, value = self.value(depth + 1), self.value(depth + 1)
            if isinstance(key, str | float | bool):
                record.fields[key] = value
        return record

    def torch_object(self, index: int, depth: int) -> Value:
        """Contents of an object with a class."""
        version = self.text()
        name = self.text() if version.startswith("V ") else version
        word = name.removeprefix("torch.").removeprefix("Cuda")
        for ending in ("Tensor", "Storage"):
            if name.startswith("torch.") and word.endswith(ending):
                element = KINDS.get(word.removesuffix(ending) or "Float")
                if element is None:
                    raise ValueError(f"a {name}, which no weights are stored in")
                found = self.tensor(depth) if ending == "Tensor" else self.storage(element)
                self.seen[index] = found
                return found
        record = Record(name)
        self.seen[index] = record
        contents = self.value(depth + 1)
        record.fields = contents.fields if isinstance(contents, Record) else {}
        return record

    def storage(self, element: str) -> np.ndarray:
        """Plain values, as float32; tensors share them."""
        count = int(self.take("q"))
        values = np.frombuffer(self.data, element, max(0, count), self.place)
        self.place += values.nbytes
        with np.errstate(over="ignore"):  # what is no number then is refused with the weights
            return values.astype(np.float32)

    def tensor(self, depth: int) -> Tensor | None:
        """A view of a storage; None of an empty one."""
        dimensions = int(self.take("i"))
        if not 0 <= dimensions <= 8:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        shape = tuple(int(self.take("q")) for _ in range(dimensions))
        strides = tuple(int(self.take("q")) for _ in range(dimensions))
        offset = int(self.take("q")) - 1
        values = self.value(depth + 1)
        if not isinstance(values, np.ndarray) or not dimensions:
            return None
        if math.prod(shape) > values.size:
            raise ValueError(f"a tensor of {shape} in {values.size} values")
        return torch.from_numpy(values).as_strided(shape, strides, offset)


def read(path: Path) -> State:
    """Weights of a stored network by the order of its layers: "000.weight", "000.bias", ...

    Raises:
        ValueError: it is damaged, or holds no network.
    """
    try:
        data = path.read_bytes()
        whole = Reader(data).value()
        state: State = {}
        _collect(whole, state, set())
    except (struct.error, OverflowError, RuntimeError, TypeError) as error:
        raise ValueError(f"it is damaged or cut off ({error})") from None
    if not state:
        raise ValueError("it holds no layers with weights")
    # Tensors share storages, so that a few bytes could ask for any amount of memory.
    if sum(tensor.numel() for tensor in state.values()) > len(data):
        raise ValueError("it holds more weights than bytes")
    return state


def _collect(value: Value, state: State, seen: set[int]) -> None:
    """Weights of a module and those within it, in the order in which they work."""
    if not isinstance(value, Record) or id(value) in seen:
        return
    seen.add(id(value))
    fields = value.fields
    if "model" in fields:  # training stores the network beside its options
        _collect(fields["model"], state, seen)
        return
    weight = fields.get("weight")
    if isinstance(weight, Tensor):
        number = f"{len(state):04d}"
        state[f"{number}.weight"] = _kernels(weight, fields)
        for name in ("bias", "running_mean", "running_var"):
            if isinstance(part := fields.get(name), Tensor):
                state[f"{number}.{name}"] = part
    inner = fields.get("modules")
    if isinstance(inner, Record):
        for key in sorted(key for key in inner.fields if isinstance(key, float)):
            _collect(inner.fields[key], state, seen)


def _kernels(weight: Tensor, fields: dict[str | float | bool, Value]) -> Tensor:
    """A convolution's weights in four dimensions; some layers store them in two."""
    sides = fields.get("nInputPlane"), fields.get("kH"), fields.get("kW")
    if weight.dim() == 2 and all(isinstance(side, float) for side in sides):
        return weight.reshape(-1, *(int(side) for side in sides if isinstance(side, float)))
    return weight
