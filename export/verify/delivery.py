"""From a staging folder to shipped files: checked first, renamed last, refused by name.

An artifact is a file, several files of one name, or a folder. It is written under its final name
into a hidden folder beside its place, so that nothing inside depends on a temporary name.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from runtime.card import beside
from runtime.errors import OutputExists, ParityError, UsageError
from runtime.outputs import check_output

from ..targets import Target
from .report import report_path


def check_place(path: Path, target: type[Target], *, overwrite: bool) -> Path:
    """The path an artifact will have; its folder is made, nothing else is touched.

    Raises:
        OutputExists, UsageError: something is there, or nothing may be written there.
    """
    if not path.name.endswith(target.suffix):
        path = path.with_name(path.name + target.suffix)
    check_output(report_path(path), overwrite=overwrite)
    if target.folder:
        return _check_folder(path, overwrite=overwrite)
    stem = path.name.removesuffix(target.suffix)
    for other in (beside(path), *(path.with_name(stem + suffix) for suffix in target.beside)):
        check_output(other, overwrite=overwrite)
    return check_output(path, overwrite=overwrite)


def _check_folder(path: Path, *, overwrite: bool) -> Path:
    """A folder is replaced whole, so it must be empty, or one of ours as its report says."""
    if path.exists() and not path.is_dir():
        raise UsageError(f'output "{path}" is a file; this target writes a folder')
    if not path.is_dir() or not any(path.iterdir()):
        return path
    if not overwrite:
        raise OutputExists(f'output "{path}" exists; use another name or --overwrite')
    try:
        report = json.loads(report_path(path).read_text(encoding="utf-8"))
        ours = report.get("file") == path.name
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        raise UsageError(
            f'output "{path}" is a folder with files in it, and no report '
            f'"{report_path(path).name}" beside it says that an export made it; use another name'
        )
    return path


def deliver(path: Path, write: Callable[[Path], None], check: Callable[[Path], None]) -> list[Path]:
    """Write into a staging folder, check, then move everything to where `path` says.

    What `check` refuses with ParityError stays as `<name>.rejected` (a folder, if it is more than
    one file), and an older artifact with its report is removed: a model that is there has passed.
    After any other error nothing stays and an older artifact is untouched.

    Args:
        path: where the artifact goes.
        write: writes it to the path given, and may write more files beside that.
        check: examines it there.

    Returns:
        all files and folders delivered, `path` first.
    """
    staging = path.with_name(f".tmp-{path.name}")
    rejected = path.with_name(path.name + ".rejected")
    remove(staging)
    staging.mkdir(parents=True)
    written = staging / path.name
    try:
        write(written)
        check(written)
    except ParityError:
        remove(rejected)
        made = sorted(staging.iterdir())
        if len(made) == 1:
            made[0].replace(rejected)
        elif made:
            staging.replace(rejected)
        for entry in (path, report_path(path), *(path.with_name(entry.name) for entry in made)):
            remove(entry)
        raise
    else:
        # The main file last: where it is, the files it needs are there, too.
        entries = sorted(staging.iterdir(), key=lambda entry: entry == written)
        for entry in entries:
            place = path.with_name(entry.name)
            if place.is_dir():
                remove(place)
            entry.replace(place)
        remove(rejected)
        return [path.with_name(entry.name) for entry in reversed(entries)]
    finally:
        remove(staging)


def remove(path: Path) -> None:
    """Remove a file, a folder with all it holds, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
