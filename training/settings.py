"""Settings that come from files: names, types and ranges stand beside the fields, and are checked
here, for recipes, networks and methods alike.

    @dataclass(frozen=True)
    class Config:
        width: Annotated[int, Between(1, 4096)] = 48
        names: tuple[str, ...] = ()

    fill(Config, {"width": 0}, "network", "setting")   # UsageError: ... is 0, allowed is 1..4096
"""

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from runtime.card import JsonObject
from runtime.errors import UsageError
from runtime.plugins import suggest


@dataclass(frozen=True)
class Between:
    """What a number may be, both ends included; `Annotated[float, Between(0, 1)]`.

    The ends are where the arithmetic ends or a value can only be a slip, not where it is wise.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


Share = Annotated[float, Between(0, 1)]
Weight = Annotated[float, Between(0, 1e9)]
# A decay of 1 would never take anything in.
Decay = Annotated[float, Between(0, 0.999999)]
Count = Annotated[int, Between(0, 10**9)]
Positive = Annotated[int, Between(1, 10**9)]
# px; backbones halve a square three or four times and reflect at its border.
Side = Annotated[int, Between(16, 16384)]
# Of convolutions; a layer of more has gigabytes of weights.
Channels = Annotated[int, Between(1, 4096)]
Layers = Annotated[int, Between(0, 64)]
# Space-to-depth factor, and px around a picture.
Scale = Annotated[int, Between(1, 32)]
Margin = Annotated[int, Between(0, 1024)]
# Factor between the sides of squares that are cut and squares that are used.
Enlargement = Annotated[float, Between(1, 64)]
Normalization = Literal["instance", "none"]
Padding = Literal["zeros", "replicate", "reflect", "circular"]  # PyTorch's


def fill(cls: type, table: JsonObject, owner: str, word: str, prefix: str = "") -> Any:
    """Build a dataclass of settings from plain values.

    Args:
        cls: the dataclass; fields may be such dataclasses again.
        table: names and values, as TOML or JSON has them.
        owner: what the settings are of, for messages: "recipe".
        word: what one of them is called: "key".
        prefix: of the names in messages.

    Raises:
        UsageError: an unknown name (the near one is suggested), a wrong type, or a value outside
            what the field declares.
    """
    kinds = typing.get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in kinds:
            hint = suggest(str(key), list(kinds))
            raise UsageError(f'{owner} has no {word} "{prefix}{key}".{hint}')
        kind, name = kinds[key], f"{prefix}{key}"
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, dict):
                raise UsageError(f'{owner} {word} "{name}" is a table, not {_short(value)}')
            values[key] = fill(typing.cast(type, kind), value, owner, word, f"{name}.")
        else:
            values[key] = _converted(kind, value, f'{owner} {word} "{name}"')
    return cls(**values)


def _converted(kind: Any, value: Any, what: str) -> Any:
    """The value as the field has it. Raises UsageError: of another type, or out of range."""
    allowed = None
    if typing.get_origin(kind) is Annotated:
        kind, allowed = typing.get_args(kind)
    origin = typing.get_origin(kind) or kind
    if origin is Literal:
        words = typing.get_args(kind)
        if value not in words:
            raise UsageError(f"{what} is {_short(value)}, allowed are {', '.join(words)}")
        return value
    inner = typing.get_args(kind)
    if origin is Any:
        return value
    if origin is tuple and isinstance(value, list):
        value = tuple(value)
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        value = _real(value)
    if not isinstance(value, origin) or (origin is not bool and isinstance(value, bool)):
        raise UsageError(f"{what} must be {origin.__name__}, not {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{what} is {value}, a number is needed")
    if allowed is not None and not allowed.low <= value <= allowed.high:
        raise UsageError(f"{what} is {_short(value)}, allowed is {allowed}")
    if isinstance(value, tuple | list) and inner:
        items = [_converted(inner[0], item, f"{what}[{at}]") for at, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if isinstance(value, dict) and inner:
        return {
            key: _converted(inner[1], item, f'{what.removesuffix(chr(34))}.{key}"')
            for key, item in value.items()
        }
    return value


def _real(value: int) -> float:
    """A whole number as a float; one that is too large for any is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _short(value: object) -> str:
    """A value as it is shown in messages, whatever its size."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
