"""How many processor cores there are, and who in this process uses them."""

import contextlib
import os


def num_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_cores(threads: int, cores: int, stack: contextlib.ExitStack | None = None) -> None:
    """Give OpenCV the cores that the network leaves, one at least.

    Args:
        threads: of the network.
        cores: of the machine.
        stack: restores what was set before when it is closed.
    """
    import cv2

    if stack is not None:
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
    cv2.setNumThreads(max(1, cores - threads))
