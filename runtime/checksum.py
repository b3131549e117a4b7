"""Checksums of files and folders: how artifacts, reports and journals name what they mean."""

from pathlib import Path


def sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits; of a folder, that of its `sha256sum` listing
    (one line "<digest>  <path inside>" per file, sorted by path)."""
    import hashlib  # loads OpenSSL, 3 ms that a first frame need not wait for

    if path.is_dir():
        inside = sorted(entry for entry in path.rglob("*") if entry.is_file())
        lines = (f"{sha256(entry)}  {entry.relative_to(path).as_posix()}\n" for entry in inside)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
