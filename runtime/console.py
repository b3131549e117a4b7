"""The console: libraries that write to it on their own, and text that is not safe to print."""

import contextlib
import os
import re
import sys
from collections.abc import Generator

# Control characters of ASCII and Latin-1 (escape sequences move the cursor, change titles, type
# answers), and those that turn the direction of text (file names that look like others).
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Text of unknown origin (names of files, styles, ports) as a terminal may show it.

    Args:
        text: any.
        lines: whether line breaks stay.

    Returns:
        the text with unsafe characters written as "\x1b"; bytes that are no text, as Python keeps
        them in file names, as "\udc80".
    """
    shown = _UNSAFE.sub(lambda found: _escaped(found[0]), text)
    if not lines:
        shown = shown.replace("\n", "\\n")
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


@contextlib.contextmanager
def silent() -> Generator[None, None, None]:
    """Swallow what C libraries write to the console meanwhile: at the level of the file
    descriptors, which is where they write. For short work only: it silences all threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield
    finally:
        for number, saved in enumerate(kept, start=1):
            os.dup2(saved, number)
            os.close(saved)
        os.close(nothing)
