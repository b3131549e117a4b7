"""Outputs that lose nothing: checked before the work, written elsewhere, placed at the end.

check_output(path, overwrite=False)                  before the first frame
with replacing(path, overwrite=False) as temporary:  when there is something to write
    temporary.write_bytes(...)
"""

import errno
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import OutputExists, UsageError

# What new files may be, as the user's shell says. It can only be read by setting it, which is done
# once, before there are threads.
UMASK = os.umask(0o077)
os.umask(UMASK)
# Longest name of a file, in bytes, on the file systems in use (ext4, APFS, NTFS: 255).
LONGEST_NAME = 255


def check_output(path: Path, *, overwrite: bool) -> Path:
    """Return `path` if a file may be written there; make its folder.

    A file is made there for a moment: permissions, read-only and full disks, and names that are too
    long show themselves before the work and not after it.

    Raises:
        OutputExists: it exists and `overwrite` is not set.
        UsageError: it is a folder, or its folder cannot be made or written.
    """
    check_name(path)
    try:
        if path.is_dir():
            raise UsageError(f'output "{path}" is a folder; give a file name')
        if os.path.lexists(path) and not overwrite:
            raise OutputExists(f'output "{path}" exists; use another name or --overwrite')
    except OSError as error:
        raise UsageError(f'output "{path}" cannot be looked at: {error.strerror}') from None
    check_folder(path.parent)
    return path


def check_name(path: Path) -> None:
    """Raises UsageError for a name that no file can have."""
    length = len(os.fsencode(path.name))
    if length > LONGEST_NAME:
        raise UsageError(
            f'the name "{path.name[:40]}..." has {length} bytes, at most {LONGEST_NAME} are '
            "allowed; give a shorter one"
        )


def check_folder(folder: Path) -> None:
    """Make the folder and see that files can be written in it.

    Raises:
        UsageError: it cannot be made or written, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'cannot make the folder "{folder}": {error.strerror}') from None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
        os.close(descriptor)
        os.unlink(name)
    except OSError as error:
        raise UsageError(
            f'output folder "{folder}" is not writable ({error.strerror}); choose another or '
            "change its permissions"
        ) from None


@contextmanager
def replacing(
    path: Path, *, overwrite: bool = True, folder: Path | None = None
) -> Generator[Path, None, None]:
    """A new file with a name that nobody can guess; it becomes `path` if the block succeeds.

    Args:
        path: where the finished file goes.
        overwrite: replace what is there; otherwise whatever appeared meanwhile stays.
        folder: where the new file is written, on the same file system; beside `path` if None.

    Raises:
        OutputExists: something is there and `overwrite` is not set.
    """
    temporary = new_file(folder or path.parent, path.suffix)
    try:
        yield temporary
        place(temporary, path, overwrite=overwrite)
    finally:
        temporary.unlink(missing_ok=True)


def new_file(folder: Path, suffix: str) -> Path:
    """An empty file that did not exist before, readable by its owner only."""
    # The name is short whatever the output is called, so that it is never the one that is too long.
    descriptor, name = tempfile.mkstemp(prefix=".impasto-", suffix=f".part{suffix}", dir=folder)
    os.close(descriptor)
    return Path(name)


def place(made: Path, path: Path, *, overwrite: bool) -> None:
    """Give a finished file its name and the permissions of an ordinary new file.

    Raises:
        OutputExists: the name is taken and `overwrite` is not set.
        OSError: it cannot be renamed.
    """
    os.chmod(made, 0o666 & ~UMASK)
    if overwrite:
        os.replace(made, path)
        return
    try:
        # Unlike a rename, a link never replaces anything, and there is no moment between look and
        # deed.
        os.link(made, path, follow_symlinks=False)
    except FileExistsError:
        raise OutputExists(f'"{path}" appeared meanwhile and is left alone') from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and some network file systems know no links.
        if os.path.lexists(path):
            raise OutputExists(f'"{path}" appeared meanwhile and is left alone') from None
        os.rename(made, path)
    else:
        made.unlink()


def take_lock(path: Path, refusal: str) -> IO[bytes] | None:
    """Lock a file (made if absent) until what is returned is closed or the process dies.

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
