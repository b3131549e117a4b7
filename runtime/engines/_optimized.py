"""Graphs as ONNX Runtime optimized them for this machine, kept for the next start.

Optimizing is most of opening a model: of `starry` and its measuring graph 28 ms of 40. One file in
the user's cache folder holds the graphs of one model. It is used for the same bytes of the model,
the same version of ONNX Runtime and the same processor, because optimized graphs are laid out for
its vectors; and only if it is whole. Without it, or where the processor cannot be told, the model
is opened from its own file: the answers are the same to the bit.
"""

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ._cache import cache_folder, keep_newest, write_file

try:
    # What hashlib's is, without loading OpenSSL for it: 3 ms before a first frame.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

SUFFIX = ".graphs"
# Changes with what lies in the files, how they are named, or how we let ONNX Runtime optimize.
FORMAT = 2
# Models whose graphs are kept: a megabyte each.
MOST = 64
PROCESSOR = Path("/proc/cpuinfo")
# What tells processors apart there, on x86 and ARM; the rest (clocks, cores) changes by itself.
KEYS = ("model name", "flags", "Features", "CPU implementer", "CPU part")
HEAD_BYTES = 8192  # the first core's entry
DIGEST_BYTES = 32
CHECKSUM = struct.Struct("<I")
LENGTH = struct.Struct("<Q")


def place(model: bytes, version: str) -> Path | None:
    """The file for a model; None where nothing can be kept.

    Args:
        model: its bytes.
        version: of ONNX Runtime; "" where it does not run on the processor.
    """
    kind = processor() if version else ""
    if not kind:
        return None
    # No sum that can be met on purpose: one model must never be painted with another's graphs.
    digest = blake2b(f"{FORMAT} {version} {kind}\n".encode() + model, digest_size=DIGEST_BYTES)
    return cache_folder() / "graphs" / (digest.hexdigest() + SUFFIX)


def load(path: Path | None) -> list[bytes]:
    """The graphs in a file; none if it is not there, or not whole."""
    if path is None:
        return []
    try:
        data = path.read_bytes()
    except OSError:
        return []
    (checksum,) = CHECKSUM.unpack_from(data.ljust(CHECKSUM.size, b"\0"))
    body = memoryview(data)[CHECKSUM.size :]
    if zlib.crc32(body) != checksum:
        return []
    graphs = list[bytes]()
    while body:
        (length,) = LENGTH.unpack_from(body)
        graphs.append(bytes(body[LENGTH.size : LENGTH.size + length]))
        body = body[LENGTH.size + length :]
    return graphs


def save(path: Path | None, graphs: Sequence[bytes | None]) -> None:
    """Keep all graphs of a model, if all are there and the folder can be written."""
    if path is None or any(graph is None for graph in graphs):
        return
    body = b"".join(LENGTH.pack(len(graph)) + graph for graph in graphs if graph is not None)
    with suppress(OSError):
        write_file(path, CHECKSUM.pack(zlib.crc32(body)) + body)
        keep_newest(path.parent, SUFFIX, MOST)


def processor() -> str:
    """What kind it is, "" if the system does not say."""
    try:
        with PROCESSOR.open("rb") as stream:
            head = stream.read(HEAD_BYTES).decode("ascii", "replace").partition("\n\n")[0]
    except OSError:
        return ""
    return "\n".join(line for line in head.splitlines() if line.startswith(KEYS))
