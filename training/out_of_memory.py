"""Out of memory, said as advice: which setting to lower."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runtime.errors import StyleError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or not."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's CPU allocator raises a plain RuntimeError.
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


@contextmanager
def advice(where: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory into one line.

    Raises:
        StyleError: "out of memory {where}: {remedy}".
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise StyleError(f"out of memory {where}: {remedy}") from None
