"""The user's cache folder: files that only save time, and may be removed at any moment."""

import os
import sys
from pathlib import Path

VARIABLE = "IMPASTO_CACHE"


def cache_folder() -> Path:
    """Where they go: $IMPASTO_CACHE, or `impasto` in the system's folder for such files."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path.home())
    else:
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "impasto"


def write_file(path: Path, data: bytes) -> None:
    """Write atomically; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def keep_newest(folder: Path, suffix: str, most: int) -> None:
    """Remove all but the newest files of a kind."""
    found = sorted(folder.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[most:]:
        path.unlink(missing_ok=True)
