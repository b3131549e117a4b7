"""What the keyboard does in the live window, the browser page and a `--keys` script.

One table for all three: a key, the action it stands for, and the words of the help. An action is a
word such as "next" or "style 3"; `runtime.live.controls` says what it changes.
"""

import re
from dataclasses import dataclass

from .errors import UsageError
from .fields import is_whole


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the key map.

    Attributes:
        keys: characters, or names of special keys, that mean the same.
        action: the word that goes to `controls.apply`.
        text: what the help says.
        flag: the command-line flag that does the same from the start.
    """

    keys: tuple[str, ...]
    action: str
    text: str
    flag: str


KEYS = (
    Key(("n",), "next", "next style", "--model"),
    Key(("p",), "previous", "previous style", "--model"),
    *(Key((str(k),), f"style {k}", f"style number {k}", "--model") for k in range(1, 10)),
    Key(("+", "="), "stronger", "more of the style", "--strength"),
    Key(("-",), "weaker", "less of the style", "--strength"),
    Key((".",), "more", "mix in more of the next style", "--model many"),
    Key((",",), "less", "mix in less of it", "--model many"),
    Key(("k",), "colors", "colors of the style, of the camera", "--keep-color"),
    Key(("o",), "part", "style all, people, background", "--only"),
    Key(("b",), "beside", "next style for the rest", "--style-background"),
    Key(("s",), "stabilizer", "stabilizer on, off", "--stabilizer"),
    Key(("e",), "noise", "strokes in skies, walls: on, off", "--noise"),
    Key(("v",), "split", "original left, styled right", "--split"),
    Key(("space",), "freeze", "hold the picture", "--freeze"),
    Key(("c",), "snapshot", "save a picture", "--keys 30:c"),
    Key(("r",), "record", "start, stop recording", "--record"),
    Key(("f",), "fullscreen", "full screen on, off", "--fullscreen"),
    Key(("m",), "mirror", "mirror on, off", "--mirror"),
    Key(("a",), "rotate", "change styles by itself", "--rotate"),
    Key(("i",), "stats", "figures on, off", "--no-stats"),
    Key(("h", "?"), "help", "this list on, off", "--help"),
    Key(("q", "esc"), "quit", "stop", "--frames"),
)
ACTIONS = {key.action for key in KEYS}
# What is set to a number from 0 to 1, as "strength 0.4", and what is switched, as "split on".
LEVELS = ("strength", "mix", "noise", "stability", "divider")
SWITCHES = ("stabilizer", "split", "freeze", "record", "fullscreen", "mirror", "stats", "help")
WORDS = {
    "part": ("all", "person", "background"),
    "colors": ("style", "luminance", "histogram"),
}
_STYLE = re.compile(r"(style|beside|camera) (\d{1,4})", re.ASCII)
_BY_KEY = {name: key.action for key in KEYS for name in key.keys}
# Codes `cv2.waitKeyEx` gives for keys without a character (ASCII).
ESCAPE = 27
_SPECIAL = {32: "space", ESCAPE: "esc"}


def action_of(code: int) -> str | None:
    """The action of a key code as `cv2.waitKey` returns it, None if the key means nothing."""
    if code < 0:
        return None
    name = _SPECIAL.get(code & 0xFF) or chr(code & 0xFF)
    return _BY_KEY.get(name) or _BY_KEY.get(name.lower())


def action_named(word: str) -> str:
    """The action of a key ("n", "space") or of its own name ("next", "style-3", "split on",
    "strength 0.4", "part person").

    Raises:
        UsageError: no such key or action; a near one is suggested.
    """
    plain = word.replace("-", " ").strip() or word
    for candidate in (word, word.lower(), plain, plain.lower()):
        if candidate in _BY_KEY:
            return _BY_KEY[candidate]
        if candidate in ACTIONS or _has_value(candidate):
            return candidate
    import difflib

    near = difflib.get_close_matches(plain.lower(), [*ACTIONS, *_BY_KEY], n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    raise UsageError(f'no key or action "{word}".{hint} Keys: {", ".join(_BY_KEY)}')


def _has_value(action: str) -> bool:
    """Whether it is an action with a value that is allowed."""
    word, _, value = action.partition(" ")
    if word in LEVELS:
        try:
            return 0.0 <= float(value) <= 1.0
        except ValueError:
            return False
    if word in WORDS:
        return value in WORDS[word]
    found = _STYLE.fullmatch(action)
    if found is not None:
        return word != "style" or int(found[2]) > 0
    return word in SWITCHES and value in ("on", "off")


def parse_script(text: str) -> list[tuple[int, str]]:
    """Read a `--keys` script: `30:n 60:space,60:v 90:quit`.

    Args:
        text: pairs FRAME:KEY, separated by blanks or commas; FRAME counts shown frames from 1, KEY
            is a key or the name of an action ("style-2").

    Returns:
        (frame, action) in the order of the frames.

    Raises:
        UsageError: a pair that cannot be read.
    """
    script: list[tuple[int, str]] = []
    for part in re.split(r"[\s,]+(?=\d+:)", text.strip().rstrip(",")):
        frame, colon, word = part.strip().partition(":")
        if not colon or not is_whole(frame) or not word:
            raise UsageError(
                f'--keys "{part}": write FRAME:KEY pairs such as "30:n 60:space 90:q" '
                "(a key, or an action such as style-2)"
            )
        script.append((int(frame), action_named(word)))
    return sorted(script, key=lambda pair: pair[0])


def help_lines() -> list[str]:
    """The key map for people, one line per action; the nine style keys share one."""
    lines: list[str] = []
    for key in KEYS:
        if key.action.startswith("style "):
            if key.action == "style 1":
                lines.append("1-9      style by number")
            continue
        lines.append(f"{' '.join(key.keys):<8} {key.text}")
    return lines
