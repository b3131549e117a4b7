"""Keeping a second process away from a file that the first one is working on."""

import os
from pathlib import Path
from typing import IO

from .errors import OutputExists, UsageError


def take(path: Path, refusal: str) -> IO[bytes] | None:
    """Lock a file (made if absent) until the returned file is closed or the process dies.

    Args:
        path: of the lock.
        refusal: what to tell the user if another process holds it.

    Returns:
        The open file; None on systems without advisory locks (Windows), where two runs on one
        output are the user's care.

    Raises:
        OutputExists: another process holds it.
        UsageError: the folder cannot be written to.
    """
    try:
        import fcntl
    except ImportError:
        return None
    # A link of that name is not ours to follow (journal folders lie where others may write).
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.fdopen(os.open(path, flags, 0o600), "wb")
    except OSError as error:
        raise UsageError(f'cannot write to "{path.parent}": {error.strerror}') from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OutputExists(refusal) from None
    return file
