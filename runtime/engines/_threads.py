"""How many threads an engine may start."""

import os


def allowed_threads() -> int:
    """Cores this process is confined to (taskset, containers), 0 if it may use all: engines count
    the machine's cores, and more spinning threads than cores are several times slower."""
    if not hasattr(os, "sched_getaffinity"):
        return 0
    allowed = len(os.sched_getaffinity(0))
    return allowed if allowed < (os.cpu_count() or allowed) else 0
