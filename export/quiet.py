"""Silence while somebody else's converter works; its errors come as exceptions."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

from runtime.console import silent


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's notes, progress bars, log lines and warnings off the console."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), silent():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
