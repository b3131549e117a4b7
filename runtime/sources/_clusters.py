"""Matroska files have a structure, and often checksums, that FFmpeg's demuxer does not check: where
they are broken it skips pictures without a word. `Clusters` walks through the file behind it.
"""

import zlib
from pathlib import Path

from ..media import ebml

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
MARK = CLUSTER.to_bytes(4, "big")
# What may stand in a segment: EBML's header, SeekHead, Info, Tracks, Cues, Chapters, Tags,
# Attachments, and the two elements that are allowed everywhere.
TOP = {0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1254C367}
TOP |= {0x1941A469, ebml.VOID, ebml.CRC32, SEGMENT, CLUSTER}
# What may stand in a cluster: Timestamp, SimpleBlock, BlockGroup, Position, PrevSize, SilentTracks,
# EncryptedBlock.
INSIDE = {0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF}
KNOWN = TOP | INSIDE
# Bytes read at once when a mark is searched for.
CHUNK = 1 << 20


class Clusters:
    """Checks a Matroska file as far as it has been read.

    Args:
        path: the file.
        start: begin behind this byte (of the first packet after a seek) instead of at the front.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self._file = path.open("rb")
        self._end = path.stat().st_size
        self._at = self._next_cluster(start) if start else 0

    def advance(self, limit: int | None = None) -> int:
        """How many broken places lie between the last call's limit and this one.

        Args:
            limit: place in the file (bytes) up to which packets were read; None for all of it.
        """
        limit, broken = self._end if limit is None else min(limit, self._end), 0
        while self._at < limit:
            self._file.seek(self._at)
            head = ebml.read_head(self._file.read(ebml.LONGEST_HEAD))
            if head is None or head.name not in KNOWN:
                broken += 1
                self._at = self._next_cluster(self._at + 1)
                continue
            inner = self._at + head.length
            if head.name == SEGMENT:
                self._at = inner
                continue
            if head.size is None or (head.name == CLUSTER and not self._sealed(inner)):
                # Nothing but its parts can tell whether this cluster is whole.
                self._at = inner
                continue
            end = inner + head.size
            if end > self._end:
                # A file that was cut, or a size that is wrong and the file goes on.
                self._at = self._next_cluster(self._at + 1)
                broken += self._at < self._end
                continue
            if end > limit:
                break
            if head.name == CLUSTER and not self._matches(inner, head.size):
                broken += 1
                end = end if self._begins(end) else self._next_cluster(self._at + 1)
            self._at = end
        return broken

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _sealed(self, at: int) -> bool:
        self._file.seek(at)
        head = ebml.read_head(self._file.read(ebml.LONGEST_HEAD))
        return head is not None and head.name == ebml.CRC32 and head.size == 4

    def _matches(self, at: int, size: int) -> bool:
        """Whether the checksum in front of a cluster's data is that of the rest."""
        self._file.seek(at)
        data = self._file.read(size)
        return int.from_bytes(data[2:6], "little") == zlib.crc32(memoryview(data)[6:])

    def _begins(self, at: int) -> bool:
        """Whether a cluster, another element, or nothing at all is at this place."""
        self._file.seek(at)
        head = ebml.read_head(self._file.read(ebml.LONGEST_HEAD))
        return at >= self._end or (head is not None and head.name in TOP)

    def _next_cluster(self, at: int) -> int:
        """Where the next cluster begins at or behind `at`; the file's end if there is none."""
        self._file.seek(at)
        before = b""
        while chunk := self._file.read(CHUNK):
            found = (before + chunk).find(MARK)
            if found >= 0:
                return at + found - len(before)
            at += len(chunk)
            before = (before + chunk)[-3:]
        return self._end
