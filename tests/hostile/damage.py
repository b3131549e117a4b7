"""Ways to damage bytes and values, by a seeded generator: the same seed, the same damage."""

import json
from typing import Any

import numpy as np

# Numbers and words that stand where others are wanted.
ABSURD: list[Any] = [
    *(0, -1, 1, 3, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e300, 1e-300),
    *(float("nan"), float("inf"), True, False, None, "", "x", "0", "nan", "../x", "/etc/passwd"),
    *(
        "\x1b[2J\x07",
        "\u202egnp",
        "\0",
        "a" * 3000,
        [],
        {},
        [[]],
        [1, 2],
        {"x": 1},
        [None],
        ["a"] * 50,
    ),
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flip, overwrite, repeat, insert or remove; one to three times."""
    for _ in range(int(rng.integers(1, 4))):
        data = _once(bytearray(data), rng)
    return data


def _once(data: bytearray, rng: np.random.Generator) -> bytes:
    size = len(data)
    if not size:
        return bytes(data)
    at = int(rng.integers(size))
    length = int(min(size - at, rng.integers(1, 64)))
    way = rng.integers(8)
    if way == 0:
        return bytes(data[:at])
    if way == 1:  # single bits
        for place in rng.integers(size, size=int(rng.integers(1, 12))):
            data[place] ^= 1 << int(rng.integers(8))
    elif way == 2:  # the head, where sizes stand
        place = int(rng.integers(min(size, 128)))
        data[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
    elif way == 3:
        data[at : at + length] = bytes([int(rng.choice([0, 0xFF, 0x80]))]) * length
    elif way == 4:
        data[at : at + length] = rng.bytes(length)
    elif way == 5:
        data[at:at] = data[at : at + length] * int(rng.integers(1, 40))
    elif way == 6:
        del data[at : at + length]
    else:
        place = int(rng.integers(size))
        data[at : at + length] = data[place : place + length]
    return bytes(data)


def absurd(rng: np.random.Generator) -> Any:
    """A value that nobody wants."""
    return ABSURD[int(rng.integers(len(ABSURD)))]


def damaged_json(value: Any, rng: np.random.Generator) -> str:
    """JSON with one to three values replaced, added or left out; seldom with bytes damaged, or
    nested a hundred thousand times."""
    way = rng.integers(20)
    if way == 0:
        return "[" * 100_000
    if way == 1:
        return damaged(json.dumps(value).encode(), rng).decode("utf-8", "replace")
    whole = [json.loads(json.dumps(value))]
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(whole))
        holder, key = places[int(rng.integers(len(places)))]
        way = rng.integers(6)
        if way == 0 and holder is not whole:
            del holder[key]
        elif way == 1 and isinstance(holder, dict):
            holder[f"{key}_"] = absurd(rng)
        else:
            holder[key] = absurd(rng)
    return json.dumps(whole[0])


def _places(value: Any):
    """(container, key) of every value in nested lists and tables."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
