"""A file for a library that can write to a path only, where the result is wanted in memory."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Scratch(NamedTuple):
    """An empty file.

    Attributes:
        path: to write to.
        read: gives what was written.
    """

    path: str
    read: Callable[[], bytes]


@contextlib.contextmanager
def scratch() -> Iterator[Scratch]:
    """A file until the block ends: in memory where the system can (Linux), else a temporary one."""
    path = ""
    with contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("impasto")
            stack.callback(os.close, number)
            path = f"/proc/self/fd/{number}"
        if not os.path.exists(path):
            import tempfile  # with it random and hashlib: 5 ms of a start

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="impasto-"))
            path = os.path.join(folder, "scratch")

        def read() -> bytes:
            with open(path, "rb") as stream:
                return stream.read()

        yield Scratch(path, read)
