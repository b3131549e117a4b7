"""Compressed copies of a page's files, beside them as `name.gz` and `name.br`: servers that know
them send them instead (`runtime.serve_site`, nginx with `gzip_static on`, most object stores),
others ignore them. Brotli is Python's package of that name, else Node.js's, which pages need
anyhow.
"""

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".gz", ".br")
# Of brotli, 0..11: 14.2 MB of WebAssembly are 2.7 MB in 2 s of a core, by 11 they are 2.4 MB in 25.
BROTLI_QUALITY = 9
# What is not compressed already.
KINDS = (".html", ".css", ".js", ".mjs", ".json", ".webmanifest", ".svg", ".txt", ".wasm", ".onnx")
# What Node.js does with what comes in, to what goes out.
NODE_BROTLI = """
const {{ brotliCompressSync, brotliDecompressSync, constants }} = require("node:zlib");
const parts = [];
process.stdin.on("data", (part) => parts.push(part)).on("end", () => {{
  process.stdout.write({call});
}});
"""
NODE_COMPRESS = NODE_BROTLI.format(
    call="brotliCompressSync(Buffer.concat(parts), "
    f"{{ params: {{ [constants.BROTLI_PARAM_QUALITY]: {BROTLI_QUALITY} }} }})"
)
NODE_DECOMPRESS = NODE_BROTLI.format(call="brotliDecompressSync(Buffer.concat(parts))")
# A copy that saves less than a tenth is not worth its place: weights in floats.
WORTH = 0.9
# Smaller files fit into a packet or two either way (1460 bytes each over Ethernet).
SMALLEST = 1400


class Coding(NamedTuple):
    """A way to compress: suffix of the copies, there and back, and what is raised by damage."""

    suffix: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]
    damage: tuple[type[Exception], ...]


def codings() -> Iterator[Coding]:
    """Those there are here."""
    yield Coding(
        ".gz",
        lambda data: gzip.compress(data, compresslevel=9, mtime=0),
        gzip.decompress,
        (OSError, EOFError),
    )
    try:
        import brotli
    except ImportError:
        if node := shutil.which("node"):
            yield Coding(
                ".br",
                lambda data: _through(node, NODE_COMPRESS, data),
                lambda data: _through(node, NODE_DECOMPRESS, data),
                (subprocess.CalledProcessError,),
            )
        return
    yield Coding(
        ".br",
        lambda data: brotli.compress(data, quality=BROTLI_QUALITY),
        brotli.decompress,
        (brotli.error,),
    )


def _through(node: str, script: str, data: bytes) -> bytes:
    """Bytes as Node.js changes them.

    Raises:
        CalledProcessError: they are damaged.
    """
    command = [node, "--eval", script]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def pack(folder: Path) -> tuple[int, int]:
    """Write the compressed copies; the same files give the same bytes.

    Returns:
        Bytes of the files that have copies, and of the smallest copies.
    """
    before = after = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix not in KINDS or path.stat().st_size < SMALLEST:
            continue
        data = path.read_bytes()
        copies = {one.suffix: one.compress(data) for one in codings()}
        worth = {suffix: copy for suffix, copy in copies.items() if len(copy) <= WORTH * len(data)}
        for suffix, copy in worth.items():
            path.with_name(path.name + suffix).write_bytes(copy)
        if worth:
            before, after = before + len(data), after + min(map(len, worth.values()))
    return before, after


def wrong(folder: Path) -> list[str]:
    """Names of copies that do not hold what the file beside them holds."""
    found: list[str] = []
    for coding in codings():
        for path in sorted(folder.rglob(f"*{coding.suffix}")):
            try:
                held = coding.decompress(path.read_bytes())
            except coding.damage:
                held = None
            if held != path.with_suffix("").read_bytes():
                found.append(path.relative_to(folder).as_posix())
    return found
