"""Compressed copies of a page's files, beside them as `name.gz`: servers that know them send them
instead (`runtime.serve_site`, nginx with `gzip_static on`, most object stores), others ignore them.
"""

import gzip
from pathlib import Path

SUFFIX = ".gz"
# What is not compressed already.
KINDS = (".html", ".css", ".js", ".mjs", ".json", ".webmanifest", ".svg", ".txt", ".wasm", ".onnx")
# A copy that saves less than a tenth is not worth its place: weights in floats.
WORTH = 0.9
# Smaller files fit into a packet or two either way (1460 bytes each over Ethernet).
SMALLEST = 1400


def pack(folder: Path) -> tuple[int, int]:
    """Write the compressed copies; the same files give the same bytes.

    Returns:
        Bytes of the files that have a copy, and of the copies.
    """
    before = after = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix not in KINDS or path.stat().st_size < SMALLEST:
            continue
        data = path.read_bytes()
        packed = gzip.compress(data, compresslevel=9, mtime=0)
        if len(packed) <= WORTH * len(data):
            path.with_name(path.name + SUFFIX).write_bytes(packed)
            before, after = before + len(data), after + len(packed)
    return before, after


def wrong(folder: Path) -> list[str]:
    """Names of copies that do not hold what the file beside them holds."""
    found: list[str] = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        try:
            same = gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()
        except (OSError, EOFError):
            same = False
        if not same:
            found.append(path.relative_to(folder).as_posix())
    return found
