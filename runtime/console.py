"""The console: progress, libraries that write on their own, and text that is not safe to print."""

import contextlib
import json
import os
import re
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Generator
from typing import TextIO, cast

# How progress may be shown: a bar on a terminal and lines elsewhere, or one of them; JSON objects,
# one a line; nothing.
MODES = ("auto", "bar", "log", "json", "none")
# Seconds between two: a bar that is repainted more often only costs time; a line in a log is read,
# and shows a watcher that there is life; programs draw bars of their own from JSON.
PAUSES = {"bar": 0.1, "log": 5.0, "json": 0.5}
# Progress is shown from here on: shorter work shows none, longer work within a second.
FIRST_SECONDS = 0.9
# The first estimate comes after this many seconds of counting: a rate from less is an accident.
ESTIMATE_SECONDS = 2.0

# Control characters of ASCII and Latin-1 (escape sequences move the cursor, change titles, type
# answers), those that turn the direction of text (file names that look like others), Unicode's own
# line breaks, and what it says is no character (and XML refuses).
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]"
)


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


class _OtherThreads:
    """Standard output for every thread but those in `muted`, whose words are dropped."""

    def __init__(self, real: TextIO) -> None:
        self.real = real
        self.muted = Counter[int]()  # thread -> how often it was muted

    def write(self, text: str) -> int:
        """Pass on, or swallow."""
        return len(text) if self.muted[threading.get_ident()] else self.real.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


# Held while `sys.stdout` is looked at or exchanged, never while a library works: models are opened
# by several threads at once.
_EXCHANGE = threading.Lock()


def _mute() -> None:
    with _EXCHANGE:
        shown = sys.stdout
        if not isinstance(shown, _OtherThreads):
            shown = _OtherThreads(shown)
            sys.stdout = cast("TextIO", shown)
        shown.muted[threading.get_ident()] += 1


def _unmute() -> None:
    with _EXCHANGE:
        shown = sys.stdout
        if isinstance(shown, _OtherThreads):
            shown.muted[threading.get_ident()] -= 1
            if not any(shown.muted.values()):
                sys.stdout = shown.real


@contextlib.contextmanager
def quiet(*, process: bool = False) -> Generator[None, None, None]:
    """Keep a library's banners, notes and progress bars off the console; its errors come as
    exceptions.

    Args:
        process: False drops what the calling thread prints on Python's standard output, and nothing
            of other threads: a live run goes on. True drops what the whole process writes, C
            libraries included (they write to file descriptors), and log lines and warnings; for
            short work only.
    """
    with contextlib.ExitStack() as kept:
        if process:
            import logging  # 1.5 ms of a start

            kept.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.ERROR)
            kept.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            kept.enter_context(_muted_descriptors())
        else:
            kept.callback(_unmute)
            _mute()
        yield


@contextlib.contextmanager
def _muted_descriptors() -> Generator[None, None, None]:
    """File descriptors 1 and 2 lead nowhere."""
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


class Progress:
    """How far the work is, on stderr.

    Args:
        total: of what is counted, None if unknown.
        unit: what is counted.
        mode: one of `MODES`.
        quiet: as mode "none".
        stream: in place of stderr.
    """

    def __init__(
        self,
        total: int | None,
        unit: str = "frames",
        *,
        mode: str = "auto",
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._total, self._unit = total, unit
        self._stream = stream or sys.stderr
        if mode == "auto":
            terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
            mode = "bar" if terminal else "log"
        self._mode = "none" if quiet else mode
        self._start = self._shown = time.monotonic()
        # When counting began, and what was done then: what comes before the first one (models that
        # are loaded, caches that are filled) is no part of the rate.
        self._first: tuple[float, float] | None = None
        self._width = 0
        self.count = 0

    def update(self, step: int = 1, note: str = "") -> None:
        """Count `step` more done; repaint if it is time."""
        self.show(self.count + step, note=note)

    def show(
        self, count: int, *, done: float | None = None, note: str = "", **facts: object
    ) -> None:
        """Say how far the work is, if it is time.

        Args:
            count: so many are done.
            done: the same where some are done in part: what the estimate is made from.
            note: more, for people.
            facts: more, for programs.
        """
        self.count = count
        done = count if done is None else done
        now = time.monotonic()
        if self._first is None and done:
            self._first = now, done
        pause = PAUSES.get(self._mode)
        if pause is None or now - self._start < FIRST_SECONDS:
            return
        if self._shown > self._start and now - self._shown < pause:
            return
        self._shown = now
        rate, left = self._estimate(now, done)
        if self._mode == "json":
            eta = None if left is None else round(left, 1)
            known = {"count": count, "total": self._total, "unit": self._unit}
            self._put(json.dumps({**known, "rate": round(rate, 3), "eta_s": eta, **facts}) + "\n")
        else:
            self._paint(printable(self._text(rate, left, note)))

    def _estimate(self, now: float, done: float) -> tuple[float, float | None]:
        """How many a second, and seconds that are left; None where that is not known yet."""
        began, before = self._first or (now, 0.0)
        if now - began < ESTIMATE_SECONDS or done <= before:
            spent = now - self._start
            return (done / spent if spent else 0.0), None
        rate = (done - before) / (now - began)
        return rate, None if self._total is None else max(0.0, self._total - done) / rate

    def close(self) -> None:
        """Clear the bar; may be called twice."""
        if self._width:
            self._put("\r" + " " * self._width + "\r")
            self._width = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _text(self, rate: float, left: float | None, note: str) -> str:
        parts = [f"{self.count} {self._unit}"]
        if self._total and self.count <= self._total:  # an estimate may be too low
            parts = [f"{self.count}/{self._total} {self._unit}"]
            parts.append(f"{100 * self.count // self._total} %")
        parts.append(f"{rate:.1f}/s")
        if left is not None:
            parts.append(f"ETA {clock(left)}")
        return "  ".join([*parts, note] if note else parts)

    def _paint(self, text: str) -> None:
        if self._mode == "log":
            self._put(f"{text}\n")
            return
        if self._total:
            filled = min(20, 20 * self.count // self._total)
            text = f"[{'#' * filled}{'.' * (20 - filled)}] {text}"
        self._put("\r" + text.ljust(self._width))
        self._width = len(text)

    def _put(self, text: str) -> None:
        """Write; silently nothing where stderr is closed or full."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, seconds_left = divmod(rest, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds_left:02}"
    return f"{minutes}:{seconds_left:02}"
