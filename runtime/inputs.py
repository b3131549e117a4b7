"""Files that are read: a path in a file stays in that file's folder, a file's name is no address.

inside(folder, "starry.onnx")        for every name that was read from a file
check_file(path)                     before a file named by the user is opened
file_address(path)                   the name as FFmpeg must be given it
"""

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import SourceError, UsageError


def inside(folder: Path, name: str, what: str = "the file") -> Path:
    """The file `name` in `folder`, or below it.

    Args:
        folder: of the file in which the name was found.
        name: as it was found: relative, with no way out.
        what: where it was found, for the message.

    Raises:
        UsageError: absolute, with "..", with a NUL, or a link that leads out.
    """
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor != ""
    path = folder / name
    if not name or "\0" in name or ".." in parts or absolute or not _below(path, folder):
        raise UsageError(
            f"{what} names {name!r}, which is not in its own folder; only files beside it or below "
            "are read"
        )
    return path


def _below(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def check_file(path: Path, *, what: str = "input", pipes: bool = False) -> Path:
    """Return `path` if it is an ordinary file that can be read.

    Args:
        path: as the user gave it.
        what: it is, for messages.
        pipes: named pipes and devices such as /dev/stdin are welcome, too (named by the user).

    Raises:
        SourceError: missing, a folder, no file, empty, or not readable.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SourceError(f'no {what} "{path}"') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f'{what} "{path}" cannot be read: {reason}') from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f'"{path}" is a folder, not a file')
    if not stat.S_ISREG(status.st_mode):
        if pipes:
            return path
        raise SourceError(f'"{path}" is no ordinary file (a pipe, a socket or a device)')
    if status.st_size == 0:
        raise SourceError(f'"{path}" is empty (0 bytes)')
    if not os.access(path, os.R_OK):
        raise SourceError(f'"{path}" cannot be read: permission denied')
    return path


def is_folder(path: Path) -> bool:
    """`path.is_dir()`, where a name no file can have, or a way that is barred, is an error.

    Raises:
        SourceError: the path cannot be looked at.
    """
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f'"{path}" cannot be read: {reason}') from None


def list_folder(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f'the folder "{folder}" cannot be read: {error.strerror}') from None


def file_address(path: Path | str) -> str:
    """The path as FFmpeg's `file:` address, so that a colon in a name is never a protocol."""
    return f"file:{path}"
