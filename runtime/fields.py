"""Plain values from files into dataclasses: names, types and ranges stand beside the fields, and
are checked here, for cards, recipes and networks alike.

    @dataclass(frozen=True)
    class Config:
        width: Annotated[int, Between(1, 4096)] = 48
        names: tuple[str, ...] = ()

    fill(Config, {"width": 0}, "network", "setting")   # UsageError: ... is 0, allowed is 1..4096
"""

import dataclasses
import math
import sys
import typing
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from .errors import UsageError
from .plugins import suggest

if TYPE_CHECKING:
    from fractions import Fraction

Filled = TypeVar("Filled")
# Longest value that a message shows.
SHOWN = 60
# Most digits of a whole number in a name or a flag; Python itself refuses 4301.
DIGITS = 18


def is_whole(text: str) -> bool:
    """Whether `int` reads this as a whole number of at most 18 digits, without a sign. A character
    such as "²" counts as a digit for `str.isdigit` and not for `int`."""
    return text.isdecimal() and len(text) <= DIGITS


@dataclass(frozen=True, slots=True)
class Between:
    """What a number may be, both ends included; `Annotated[float, Between(0, 1)]`.

    The ends are where the arithmetic ends or a value can only be a slip, not where it is wise.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


def fill(
    cls: type[Filled], table: typing.Mapping[str, Any], owner: str, word: str, prefix: str = ""
) -> Filled:
    """Build a dataclass from plain values.

    Args:
        cls: the dataclass; fields may be dataclasses again, or tuples of them.
        table: names and values, as TOML or JSON has them.
        owner: what they are of, for messages: "recipe".
        word: what one of them is called: "key".
        prefix: of the names in messages.

    Raises:
        UsageError: an unknown or a missing name (the near one is suggested), a wrong type, or a
            value outside what the field declares.
    """
    kinds = typing.get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in kinds:
            hint = suggest(key[:SHOWN], list(kinds))
            raise UsageError(f'{owner} has no {word} "{prefix}{key[:SHOWN]}".{hint}')
        values[key] = _converted(kinds[key], value, _Place(owner, word, f"{prefix}{key}"))
    for field in dataclasses.fields(cast("Any", cls)):
        bare = field.default is dataclasses.MISSING is field.default_factory
        if bare and field.name not in values:
            raise UsageError(f'{owner} lacks the {word} "{prefix}{field.name}"')
    return cls(**values)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands."""

    owner: str
    word: str
    name: str

    def at(self, part: object) -> "_Place":
        return _Place(self.owner, self.word, f"{self.name}.{str(part)[:SHOWN]}")

    def __str__(self) -> str:
        return f'{self.owner} {self.word} "{self.name}"'


def _converted(kind: Any, value: Any, place: _Place) -> Any:
    """The value as the field has it. Raises UsageError: of another type, or out of range."""
    allowed = None
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Annotated:
        kind, allowed = inner
        origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Any:
        return value
    if origin is Literal:
        if value not in inner:
            raise UsageError(f"{place} is {_short(value)}, allowed are {', '.join(inner)}")
        return value
    if origin is UnionType:
        return _one_of(inner, value, place)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UsageError(f"{place} is a table, not {_short(value)}")
        facts = cast("dict[str, Any]", value)
        return fill(cast("type", kind), facts, place.owner, place.word, f"{place.name}.")
    if _is_fraction(origin):
        return _fraction(value, place)
    if origin is tuple and isinstance(value, list):
        value = tuple(cast("list[Any]", value))
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        value = _real(value)
    if not isinstance(value, origin) or (origin is not bool and isinstance(value, bool)):
        raise UsageError(f"{place} must be {_word(origin)}, not {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place} is {value}, a number is needed")
    if allowed is not None and not allowed.low <= value <= allowed.high:
        raise UsageError(f"{place} is {_short(value)}, allowed is {allowed}")
    if inner and isinstance(value, tuple | list):
        parts = cast("list[Any]", value)
        each = inner if origin is tuple and inner[-1] is not Ellipsis else inner[:1] * len(parts)
        if len(each) != len(parts):
            raise UsageError(f"{place} has {len(parts)} parts, {len(each)} are needed")
        items = [
            _converted(kind, item, place.at(at))
            for at, (kind, item) in enumerate(zip(each, parts, strict=True))
        ]
        return tuple(items) if origin is tuple else items
    if inner and isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {key: _converted(inner[1], item, place.at(key)) for key, item in table.items()}
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, place: _Place) -> Any:
    """The value as the first of several types that it is of."""
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds[:-1]:
        try:
            return _converted(kind, value, place)
        except UsageError:
            continue
    return _converted(kinds[-1], value, place)


def _is_fraction(kind: Any) -> bool:
    """A class with such a field has loaded their module; nobody waits for it without need."""
    module = sys.modules.get("fractions")
    return module is not None and kind is module.Fraction


def _fraction(value: Any, place: _Place) -> "Fraction":
    """A fraction, which JSON has as "1/90000"."""
    from fractions import Fraction

    try:
        return Fraction(str(value)[:SHOWN])
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{place} is {_short(value)}, a fraction is needed") from None


def _word(kind: type) -> str:
    return {"NoneType": "nothing"}.get(kind.__name__, kind.__name__)


def _real(value: int) -> float:
    """A whole number as a float; one that is too large for any is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _short(value: object) -> str:
    """A value as it is shown in messages, whatever its size."""
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
