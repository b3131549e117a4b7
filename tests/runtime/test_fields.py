"""Plain values into dataclasses: what fits is taken, everything else is one line."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from runtime.errors import UsageError
from runtime.fields import Between, fill, is_whole


@dataclass(frozen=True)
class Part:
    axes: tuple[int | str, ...]
    default: float | None = None


@dataclass(frozen=True)
class Whole:
    name: str
    width: Annotated[int, Between(1, 8)] = 2
    kind: Literal["a", "b"] = "a"
    parts: tuple[Part, ...] = ()
    weights: dict[str, float] | None = None


def test_what_fits():
    parts = [{"axes": ["N", 3]}, {"axes": [], "default": 2}]
    found = fill(Whole, {"name": "x", "width": 8, "parts": parts, "weights": {"a": 1}}, "it", "key")
    assert found == Whole("x", 8, "a", (Part(("N", 3)), Part((), 2.0)), {"a": 1.0})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, 'it lacks the key "name"'),
        ({"name": "x", "widht": 3}, 'it has no key "widht". Did you mean "width"?'),
        ({"name": 3}, 'key "name" must be str, not 3'),
        ({"name": "x", "width": 9}, 'key "width" is 9, allowed is 1..8'),
        ({"name": "x", "width": True}, 'key "width" must be int, not True'),
        ({"name": "x", "width": 10**40}, "more than 30 digits"),
        ({"name": "x", "kind": "c"}, "allowed are a, b"),
        ({"name": "x", "parts": 3}, 'key "parts" must be tuple, not 3'),
        ({"name": "x", "parts": [3]}, 'key "parts.0" is a table, not 3'),
        ({"name": "x", "parts": [{}]}, 'it lacks the key "parts.0.axes"'),
        ({"name": "x", "parts": [{"axes": [None]}]}, 'key "parts.0.axes.0" must be str, not None'),
        ({"name": "x", "weights": {"a": "b"}}, "key \"weights.a\" must be float, not 'b'"),
        ({"name": "x", "weights": {"a": 10**400}}, 'key "weights.a" is inf'),
        ({"name": "x", "weights": {"a": float("nan")}}, "a number is needed"),
    ],
)
def test_what_does_not(table, words):
    with pytest.raises(UsageError) as caught:
        fill(Whole, table, "it", "key")
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "²", "1²", "-1", "1.0", "x", "9" * 5000])
def test_no_whole_numbers(text):
    assert not is_whole(text)


@pytest.mark.parametrize("text", ["0", "007", "9" * 18, "١"])
def test_whole_numbers_are_read_by_int(text):
    assert is_whole(text) and int(text) >= 0
