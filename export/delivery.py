"""From a temporary file to a shipped one: checked first, renamed last, refused by name."""

from collections.abc import Callable
from pathlib import Path

from runtime.cli import check_output
from runtime.errors import ParityError

from .receipt import receipt_path


def check_place(path: Path, suffix: str, *, overwrite: bool) -> Path:
    """The path an artefact will have; its folder is made, nothing else is touched.

    Raises:
        OutputExists, UsageError: something is there, or nothing may be written there.
    """
    if path.suffix != suffix:
        path = path.with_name(path.name + suffix)
    check_output(receipt_path(path), overwrite=overwrite)
    return check_output(path, overwrite=overwrite)


def deliver(path: Path, write: Callable[[Path], None], check: Callable[[Path], None]) -> None:
    """Write to a temporary name, check, then rename to `path`.

    What `check` refuses with ParityError stays as `<name>.rejected`, and an older `path` with its
    receipt is removed: a model that is there has passed. After any other error nothing stays and
    an older file is untouched.
    """
    temporary = path.with_name(f".tmp-{path.name}")
    rejected = path.with_name(path.name + ".rejected")
    try:
        write(temporary)
        check(temporary)
    except ParityError:
        if temporary.exists():
            temporary.replace(rejected)
        path.unlink(missing_ok=True)
        receipt_path(path).unlink(missing_ok=True)
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(path)
    rejected.unlink(missing_ok=True)
