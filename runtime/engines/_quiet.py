"""Keep what ONNX Runtime prints on stdout ("EP Error" banners) from standing between a user's
result and `--json`, without taking stdout from the other threads of a live run."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

_LOCK = threading.Lock()


class _Others:
    """Standard output for every thread but one, whose words are dropped."""

    def __init__(self, real: Any) -> None:
        self._real, self._muted = real, threading.get_ident()

    def write(self, text: str) -> int:
        """Pass on, or swallow."""
        if threading.get_ident() == self._muted:
            return len(text)
        return self._real.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the calling thread prints on stdout meanwhile; one thread at a time."""
    with _LOCK:
        real = sys.stdout
        sys.stdout = _Others(real)
        try:
            yield
        finally:
            sys.stdout = real
