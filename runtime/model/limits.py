"""What opening a model and a first try of it may take: seconds, and the memory of the machine.

Engines work out in advance what does not depend on the picture, for as long and with as much memory
as the file says. A call into one cannot be ended from without, so it is made in a thread, which is
left alone once it goes too far.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TypeVar

from ..engines import Engine
from ..errors import CardMismatch
from . import formats
from .background import Aside

Found = TypeVar("Found")


class TooMuchMemory(CardMismatch):
    """A model takes more memory than there is."""


GIGABYTE = 1024**3
# Seconds for opening, and for the answer to a small picture; on a slow board opening takes ten.
TIMEOUT_S = 60.0
# Taken for the free memory where the system does not say.
ASSUMED = 4 * GIGABYTE
# Of the memory that was free when the work began: what must stay free, and what the work must have
# taken to be the cause if it does not.
KEPT, TAKEN = 0.15, 0.5
# Seconds between two looks at the memory: engines fill 2 to 4 GB in one.
LOOK_S = 0.05


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


def kept(
    work: Callable[[], Found],
    path: Path,
    timeout: float = TIMEOUT_S,
    *,
    what: str = "was not open",
    progress: Callable[[], int] = int,
    cancel: Callable[[int], object] = bool,
) -> Found:
    """What `work` returns or raises, as long as it stays within the limits.

    Args:
        work: is done in a thread of its own.
        path: of the model, for messages.
        timeout: seconds in which it must end, or go on.
        what: has not happened then, for the message.
        progress: a number that changes with each step that has the time anew.
        cancel: is given the number of a thread that is no longer waited for.

    Raises:
        CardMismatch: it does not. The thread goes on until it can be stopped, or the process ends.
    """
    working = Aside(work, "impasto-opening")
    if working.wait(min(timeout, LOOK_S)):  # no look at the memory costs a good model anything
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
            cancel(working.thread)
            raise error
    return working.result()


def opened(
    work: Callable[[], Engine],
    path: Path,
    engine: str,
    device: str = "cpu",
    timeout: float = TIMEOUT_S,
) -> Engine:
    """An engine that `work` opens, within the limits.

    Args:
        work: opens it.
        path: of the model.
        engine, device: on which. For a GPU engines compile, good models for minutes, too: such
            openings have all the time they want.
        timeout: seconds.

    Raises:
        CardMismatch: it does not stay within the limits, or is no model.
    """
    if engine != formats.DEFAULT:
        return kept(work, path, timeout if device in ("auto", "cpu") else float("inf"))
    from ..engines.onnxruntime import cancel_opening, lists_gpu

    gpu = lists_gpu()  # the library is loaded before the clock begins
    if device != "cpu" and (device != "auto" or gpu):
        timeout = float("inf")
    return kept(work, path, timeout, cancel=cancel_opening)
