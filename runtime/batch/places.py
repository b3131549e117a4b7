"""Files and folders on disks and in object stores: "clips/a.mp4", "s3://bucket/clips/a.mp4".

pyarrow reads and writes S3 (and what speaks its language), GCS, HDFS and local disks by itself;
what else fsspec knows works where its library is installed. What follows a "?" in an address
belongs to the store: `s3://bucket/a?endpoint_override=http://127.0.0.1:9000`.
"""

import fnmatch
import glob
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import EngineUnavailable, SinkError, SourceError, UsageError
from ..outputs import replacing

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

COPY_BYTES = 2**22  # read and written at once
NOBODY = "anonymous@"  # before a bucket's name: without keys, as pyarrow asks for it


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file is still the same: bytes, and time of its last change."""

    size: int
    changed: str


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder, whether it is there or not.

    Attributes:
        store: "" for disks, else scheme and "://" ("s3://"), and `NOBODY` if the address says so.
        path: absolute on disks; bucket and key in stores.
        query: what the store must know ("?region=eu-west-1"), or "".
    """

    store: str
    path: str
    query: str = ""

    @staticmethod
    def parse(text: str) -> "Place":
        """Read an address or a path; relative paths count from the current folder."""
        scheme, mark, rest = text.partition("://")
        if not mark:
            return Place("", os.path.abspath(os.path.expanduser(text)))
        if scheme == "file":
            return Place("", os.path.abspath("/" + rest.lstrip("/")))
        path, question, query = rest.partition("?")
        if glob.has_magic(question + query) and "=" not in query:
            path, question, query = rest, "", ""  # a pattern: "?" stands for a character
        store = f"{scheme}://"
        if path.startswith(NOBODY):
            store, path = store + NOBODY, path.removeprefix(NOBODY)
        return Place(store, path.rstrip("/"), question + query)

    def __str__(self) -> str:
        return f"{self.store}{self.path}{self.query}"

    @property
    def name(self) -> str:
        """Its last part."""
        return PurePosixPath(self.path).name

    @property
    def local(self) -> Path | None:
        """Its path, if it is on a disk."""
        return None if self.store else Path(self.path)

    def child(self, name: str) -> "Place":
        """What is called so in this folder."""
        return Place(self.store, f"{self.path.rstrip('/')}/{name}", self.query)

    def stamp(self) -> Stamp | None:
        """Size and age of a file; None if there is none."""
        info = _info(self)
        if not info.is_file:
            return None
        return Stamp(info.size, str(info.mtime_ns if info.mtime is not None else ""))

    def is_folder(self) -> bool:
        """Whether there is such a folder."""
        return bool(_info(self).type.name == "Directory")

    def matches(self, pattern: str, *, deep: bool = False) -> list["Place"]:
        """Files in this folder by name, and in those below it if `deep`."""
        from pyarrow.fs import FileSelector

        try:
            found = filesystem(self.store, self.query).get_file_info(
                FileSelector(self.path, recursive=deep)
            )
        except OSError as error:
            raise SourceError(f'the folder "{self}" cannot be read: {_words(error)}') from None
        paths = sorted(info.path for info in found if info.is_file)
        return [
            Place(self.store, path, self.query)
            for path in paths
            if fnmatch.fnmatchcase(PurePosixPath(path).name, pattern)
        ]

    def fetch(self, target: Path) -> None:
        """Copy the file to a disk.

        Raises:
            SourceError: it cannot be read.
        """
        try:
            source = filesystem(self.store, self.query).open_input_stream(self.path)
            with source as stream, target.open("wb") as file:
                shutil.copyfileobj(stream, file, COPY_BYTES)
        except OSError as error:
            raise SourceError(f'"{self}" cannot be read: {_words(error)}') from None

    def put(self, source: Path) -> None:
        """Copy a file here; it appears when it is whole, and replaces what is there.

        Raises:
            SinkError: it cannot be written.
        """
        try:
            with source.open("rb") as file:
                self._write(file)
        except OSError as error:
            raise SinkError(f'"{self}" cannot be written: {_words(error)}') from None

    def _write(self, file: BinaryIO) -> None:
        if self.local is not None:
            self.local.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.local) as temporary, temporary.open("wb") as copy:
                shutil.copyfileobj(file, copy, COPY_BYTES)
            return
        # An object is there when its last part has come, and never before.
        with filesystem(self.store, self.query).open_output_stream(self.path) as stream:
            shutil.copyfileobj(file, stream, COPY_BYTES)

    def read(self) -> bytes | None:
        """What a small file holds; None if there is none."""
        if self.stamp() is None:
            return None
        with filesystem(self.store, self.query).open_input_stream(self.path) as stream:
            return bytes(stream.read())

    def read_json(self) -> Any:
        """As `read`, decoded; None for what cannot be."""
        try:
            return json.loads(self.read() or b"null")
        except (ValueError, RecursionError):
            return None

    def write(self, data: bytes) -> None:
        """As `put`, with these bytes."""
        import io

        try:
            self._write(io.BytesIO(data))
        except OSError as error:
            raise SinkError(f'"{self}" cannot be written: {_words(error)}') from None

    def write_json(self, data: object) -> None:
        """As `write`."""
        self.write(json.dumps(data).encode())

    def remove(self) -> None:
        """Remove the file, if it is there."""
        if self.stamp() is not None:
            filesystem(self.store, self.query).delete_file(self.path)

    def remove_folder(self) -> None:
        """Remove the folder and all that is in it, if it is there."""
        if self.is_folder():
            # At last pyarrow removes what marks a folder in Google's stores, if anybody made that.
            with suppress(FileNotFoundError):
                filesystem(self.store, self.query).delete_dir(self.path)


@lru_cache(maxsize=16)
def filesystem(store: str, query: str) -> "FileSystem":
    """Pyarrow's way to a store.

    Raises:
        EngineUnavailable: a library for it is not installed.
        UsageError: there is no such store, or it refuses its options.
    """
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

    if not store:
        return LocalFileSystem()
    try:
        return FileSystem.from_uri(f"{store}impasto{query}")[0]
    except (ArrowException, OSError):
        pass  # not one of pyarrow's own
    import fsspec

    try:
        return PyFileSystem(FSSpecHandler(fsspec.filesystem(store.removesuffix("://"))))
    except ImportError as error:
        raise EngineUnavailable(f'"{store}": {error}') from None
    except ValueError as error:
        raise UsageError(f'"{store}" is no store that is known: {error}') from None


def _info(place: Place) -> "FileInfo":
    try:
        return filesystem(place.store, place.query).get_file_info(place.path)
    except OSError as error:
        raise SourceError(f'"{place}" cannot be looked at: {_words(error)}') from None


def _words(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
