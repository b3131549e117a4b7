"""Something done in a thread of its own while its maker goes on (`Aside`), or no further than the
time and the memory of the machine allow (`kept`).

A call into an engine cannot be ended from without. Engines work out in advance what does not depend
on the picture, for as long and with as much memory as the file says; so a thread is left alone once
it goes too far. `concurrent.futures` would bring the logging module, milliseconds before a first
frame.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from ..errors import CardMismatch

Result = TypeVar("Result")
# Seconds between two looks: where a long wait is deaf to Ctrl-C (Windows), short ones are not.
POLL_S = 0.5
GIGABYTE = 1024**3
# Taken for the free memory where the system does not say.
ASSUMED = 4 * GIGABYTE
# Of the memory that was free when the work began: what must stay free, and what the work must have
# taken to be the cause if it does not.
KEPT, TAKEN = 0.15, 0.5
# Seconds between two looks at the memory: engines fill 2 to 4 GB in one.
LOOK_S = 0.05


class TooMuchMemory(CardMismatch):
    """A model takes more memory than there is."""


class Aside(Generic[Result]):
    """Begins to call `work` at once; `result` waits for what it returns or raises."""

    def __init__(self, work: Callable[[], Result], name: str) -> None:
        self._work = work
        self._found: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self, limit: float) -> bool:
        """Until the work is over, whatever came of it.

        Args:
            limit: seconds.

        Returns:
            whether it is over.
        """
        until = monotonic() + limit
        while self._thread.is_alive() and (left := until - monotonic()) > 0:
            self._thread.join(min(left, POLL_S))
        return not self._thread.is_alive()

    def result(self) -> Result:
        """What the work returned, however long that takes; raises what it raised."""
        self.wait(float("inf"))
        if self._error is not None:
            raise self._error
        return self._found[0]

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # carried to who asks for the result
            self._error = error


def kept(
    work: Callable[[], Result],
    path: Path,
    timeout: float,
    *,
    what: str = "was not open",
    progress: Callable[[], int] = int,
) -> Result:
    """What `work` returns or raises, as long as it stays within the limits.

    Args:
        work: is done in a thread of its own.
        path: of the model, for messages.
        timeout: seconds in which it must end, or go on.
        what: has not happened then, for the message.
        progress: a number that changes with each step that has the time anew.

    Raises:
        CardMismatch: it does not. The thread goes on until the process ends.
    """
    working = Aside(work, "impasto-opening")
    if working.wait(min(timeout, LOOK_S)):  # quick work costs no look at the memory
        return working.result()
    free, before = available(), used()
    seen, since = progress(), monotonic()
    while not working.wait(LOOK_S):
        if (now := progress()) != seen:
            seen, since = now, monotonic()
        error: CardMismatch | None = None
        if monotonic() - since > timeout:
            error = CardMismatch(
                f'"{path}" {what} within {timeout:g} s; --probe-timeout SECONDS waits longer'
            )
        elif used() - before > TAKEN * free and available() < KEPT * free:
            error = TooMuchMemory(
                f'"{path}" takes more memory than there is ({free / GIGABYTE:.1f} GB)'
            )
        if error is not None:
            raise error
    return working.result()


def available() -> int:
    """Bytes that can be allocated now: free memory of the machine, or of our control group."""
    found = [ASSUMED]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        found = [int(line.split()[1]) * 1024]
    with suppress(OSError, ValueError, AttributeError):
        if not Path("/proc/meminfo").exists():
            found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        found.append(limit - int((group / "memory.current").read_text()))
    return max(0, min(found))


def used() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say (no Linux)."""
    with suppress(OSError, ValueError, IndexError):
        held = int(Path("/proc/self/statm").read_text().split()[1])
        return held * os.sysconf("SC_PAGE_SIZE")
    return 0
