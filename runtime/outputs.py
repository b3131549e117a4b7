"""Whether an output may be written where the user asked for it."""

import os
from pathlib import Path

from .errors import OutputExists, UsageError


def check_output(path: Path, *, overwrite: bool) -> Path:
    """Return `path` if a file may be written there; make its folder.

    Raises:
        OutputExists: it exists and `overwrite` is not set.
        UsageError: it is a folder, or its folder cannot be made or written.
    """
    if path.is_dir():
        raise UsageError(f'output "{path}" is a folder; give a file name')
    if path.exists() and not overwrite:
        raise OutputExists(f'output "{path}" exists; use another name or --overwrite')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'cannot make the folder "{path.parent}": {error.strerror}') from None
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f'output folder "{path.parent}" is not writable')
    return path
