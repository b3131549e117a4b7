"""A fresh process that styles its first frame and says when; started by `cold`.

Prints one JSON object: monotonic times in nanoseconds when Python reached this file, when the
runtime was imported, when the model was open and when the first frame was done, and the memory.
Imports the runtime only, as an application would.
"""

import json
import sys
import time
from typing import Any

from .opening import open_any


def main(booted: int) -> None:
    """Open, style, report.

    Args:
        booted: `time.monotonic_ns()` when the interpreter was ready, before any import.

    The command line is: MODEL WIDTH HEIGHT ENGINE DEVICE THREADS FRAMES RANGE.
    """
    model, width, height, engine, device, threads, frames, values = sys.argv[1:]
    import numpy as np

    import runtime.model.session  # noqa: F401 (imported here, so that opening can be timed alone)

    imported = time.monotonic_ns()
    before = peak_memory_mib()
    session = open_any(model, engine, device, int(threads) or None, values)
    opened = time.monotonic_ns()
    image = np.full((int(height), int(width), 3), 128, np.uint8)
    style = any(port.role in ("style", "code") for port in session.card.inputs)
    conditions: dict[str, Any] = {"style": image} if style else {}
    session.stylize(image, **conditions)
    styled = time.monotonic_ns()
    for _ in range(int(frames) - 1):
        session.stylize(image, **conditions)
    times = {"booted": booted, "imported": imported, "opened": opened, "styled": styled}
    memory = {"memory_before_mib": before, "peak_memory_mib": peak_memory_mib()}
    print(json.dumps({**times, **memory}))


def peak_memory_mib() -> float | None:
    """Largest resident set of this process so far; None where the system does not tell.

    Linux's `ru_maxrss` survives exec, so a child would report its parent's size: VmHWM does not.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    # macOS counts in bytes.
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
