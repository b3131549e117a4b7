"""What messages of control desks mean, as actions of `runtime.keys`.

    OSC   /impasto/strength 0.4   /impasto/style 3   /impasto/split 1   /impasto/part person
    MIDI  control 1, 2, 3, 4, 5: strength, mix, stability, divider, noise;  program n: style n + 1;
          notes from 36 (the lowest pad of most desks): next, previous, freeze, split, record,
          snapshot, part, beside, rotate, mirror, stabilizer, colors

A switch without a value changes over; with one it is on above 0. Buttons send 1 when they are
pressed and 0 when they are let go: for what is done once (next, snapshot) 0 does nothing.
"""

from collections.abc import Sequence

from ...errors import UsageError
from ...keys import LEVELS, SWITCHES, action_named

PREFIX = "/impasto/"
NUMBERED = ("style", "beside")
# MIDI 1.0: controllers 0 to 127; 1 is the modulation wheel, 7 the volume fader.
CONTROLS = {1: "strength", 2: "mix", 3: "stability", 4: "divider", 5: "noise", 7: "strength"}
HIGHEST = 127
# OSC's whole numbers have 64 bits at most.
LARGEST = 2**63
FIRST_NOTE = 36
NOTES = (
    *("next", "previous", "freeze", "split", "record", "snapshot"),
    *("part", "beside", "rotate", "mirror", "stabilizer", "colors"),
)


def of_osc(address: str, values: Sequence[object]) -> str | None:
    """The action of an OSC message; None if it means nothing (a button that was let go).

    Args:
        address: "/impasto/WORD".
        values: its arguments; only the first counts.

    Raises:
        UsageError: no such address, or a value that is not allowed.
    """
    action = _meant(address, values)
    if action == "quit":
        raise UsageError(f'OSC "{address[:80]}": that belongs to the machine itself')
    return action


def _meant(address: str, values: Sequence[object]) -> str | None:
    if not address.startswith(PREFIX):
        raise UsageError(f'OSC "{address[:80]}": addresses begin with {PREFIX}')
    word, value = address.removeprefix(PREFIX), values[0] if values else None
    if isinstance(value, str):
        return action_named(f"{word} {value}" if value else word)
    number = None if value is None else _number(word, value)
    if number is None:
        return action_named(word)
    if word in LEVELS:
        return action_named(f"{word} {min(1.0, max(0.0, number)):g}")
    if word in NUMBERED and number == int(number):
        return action_named(f"{word} {int(number)}")
    if word in SWITCHES:
        return f"{word} {'on' if number > 0 else 'off'}"
    return action_named(word) if number > 0 else None


def _number(word: str, value: object) -> float:
    if isinstance(value, bool | int | float) and abs(value) < LARGEST:  # which nan is not
        return float(value)
    raise UsageError(f'OSC "{PREFIX}{word}": a number or a word is allowed, not {value!r:.40}')


def of_midi(kind: str, number: int, value: int) -> str | None:
    """The action of a MIDI message, None if it means nothing here.

    Args:
        kind: "control_change", "program_change" or "note_on", as mido calls them.
        number: of the controller, the program, or the note, 0..127.
        value: of the controller, or how hard the note was struck, 0..127.
    """
    if kind == "program_change":
        return f"style {number + 1}"
    if kind == "control_change" and number in CONTROLS:
        return f"{CONTROLS[number]} {value / HIGHEST:.3f}"
    if kind == "note_on" and value > 0 and 0 <= number - FIRST_NOTE < len(NOTES):
        return NOTES[number - FIRST_NOTE]
    return None
