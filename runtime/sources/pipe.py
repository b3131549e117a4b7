"""Video from standard input: `-`.

Named pipes and devices (`/dev/stdin`, `<(command)`) are read like it, where the user names them.

By default the stream says itself what it is (YUV4MPEG2, Matroska, MPEG-TS, ...). Bare frames have
no header; their size, rate and pixel format are given as `raw="640x480@30:rgb24"`.
"""

from __future__ import annotations

import re
import stat
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from ..errors import SourceError, UsageError
from ..media import container as containers
from ..media.timeline import Timeline, read_timeline
from .file import FileSource

if TYPE_CHECKING:
    from av.container import InputContainer

_RAW = re.compile(r"(?P<size>\d+x\d+)(@(?P<rate>\d+(/\d+|\.\d+)?))?(:(?P<format>\w+))?$")
STANDARD_INPUT = ("-", "pipe:", "pipe:0")
RATE = "25"  # frames per second of bare frames when none is given (FFmpeg's own default)
FASTEST = 100_000
# Read at most this much at once, so that a slow producer is not waited for longer than needed.
CHUNK = 1 << 16


class PipeSource(FileSource):
    """A clip on standard input.

    Args:
        spec: "-".
        raw: what bare frames look like; None lets the stream tell.
        stream, strict, hdr, deinterlace, on_size_change, rate: as for `FileSource`.
        spool: folder for a copy of what was read, from which sound and subtitles are taken at the
            end (a pipe cannot be read twice); None carries the pictures only.
        file: read from this instead of standard input.
    """

    seekable = False

    def __init__(
        self,
        spec: str = "-",
        *,
        raw: str | None = None,
        stream: int | None = None,
        strict: bool = False,
        hdr: str = "tonemap",
        deinterlace: str = "auto",
        on_size_change: str = "scale",
        rate: Fraction | None = None,
        spool: Path | None = None,
        file: BinaryIO | None = None,
    ) -> None:
        standard = sys.stdin.buffer if spec in STANDARD_INPUT else None
        self._tee = Tee(file or standard or _open_pipe(spec), None if raw else spool)
        self._raw = parse_raw(raw) if raw else None
        try:
            super().__init__(
                spec,
                stream=stream,
                strict=strict,
                hdr=hdr,
                deinterlace=deinterlace,
                on_size_change=on_size_change,
                rate=rate,
            )
        except SourceError as error:
            raise SourceError(
                f"{error}; a pipe is read once from front to back: mp4 and mov files with their "
                "index at the end must be given as files"
            ) from None
        self.name = "standard input" if spec in STANDARD_INPUT else spec
        if len(self._container.streams) == 1:
            self._tee.forget()
            self.clip = replace(self.clip, path=None)

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "-", named pipes and devices."""
        return is_pipe(spec)

    def _open(self) -> InputContainer:
        format = "rawvideo" if self._raw else None
        return containers.open_container(self._tee, "standard input", format, self._raw)

    def _reopen(self) -> None:
        """Read once: pictures without times get them by counting."""

    def _path(self) -> Path | None:
        return self._tee.path

    def _read_timeline(self) -> Timeline:
        # Read once: jumps, if any, stay.
        return read_timeline(self._container)

    def _shows_through(self) -> bool:
        return True  # read once: what comes cannot be known before

    def _missing_bytes(self) -> int:
        return 0  # what is not there yet cannot be told from what never comes

    def _lookahead(self) -> int:
        return 0

    def close(self) -> None:
        """Close; the copy of the input stays until its folder goes."""
        super().close()
        self._tee.flush()


def is_pipe(spec: str) -> bool:
    """Whether this names something that is read once, from front to back."""
    if spec in STANDARD_INPUT:
        return True
    try:
        mode = Path(spec).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _open_pipe(spec: str) -> BinaryIO:
    try:
        return Path(spec).open("rb")
    except OSError as error:
        raise SourceError(f'"{spec}" cannot be read: {error.strerror}') from None


class Tee:
    """A readable that writes everything it reads into a file as well."""

    def __init__(self, source: BinaryIO, folder: Path | None) -> None:
        self._source = source
        self._copy: IO[bytes] | None = None
        self.path: Path | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            handle = tempfile.NamedTemporaryFile(  # noqa: SIM115  lives as long as the tee
                dir=folder, prefix="input_", suffix=".copy", delete=False
            )
            self._copy, self.path = handle, Path(handle.name)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        read = getattr(self._source, "read1", self._source.read)
        data = read(min(size, CHUNK) if size >= 0 else CHUNK)
        if self._copy is not None and data:
            self._copy.write(data)
        return data

    def forget(self) -> None:
        """Stop copying and remove the copy."""
        if self._copy is not None and self.path is not None:
            self._copy.close()
            self.path.unlink(missing_ok=True)
        self._copy = self.path = None

    def flush(self) -> None:
        """Bring the copy to disk."""
        if self._copy is not None:
            self._copy.flush()


def parse_raw(text: str) -> dict[str, str]:
    """Options of FFmpeg's rawvideo reader from `640x480@30:rgb24` (rate and format optional).

    Raises:
        UsageError: not of this form, or an unknown pixel format.
    """
    import av

    match = _RAW.match(text)
    if match is None:
        raise UsageError(f'"{text}" does not describe raw frames; write 640x480@30:rgb24')
    pixel_format = match["format"] or "rgb24"
    try:
        av.VideoFormat(pixel_format)
    except ValueError:
        raise UsageError(f'unknown pixel format "{pixel_format}"; try rgb24 or yuv420p') from None
    try:
        rate = Fraction(match["rate"] or RATE)
    except (ValueError, ZeroDivisionError):  # 1/0, or digits without end
        rate = Fraction(0)
    if not 0 < rate < FASTEST:
        raise SourceError(f'"{text}": the rate must be above 0 and below {FASTEST}')
    return {
        "video_size": match["size"],
        "framerate": f"{rate.numerator}/{rate.denominator}",
        "pixel_format": pixel_format,
    }


PLUGIN = PipeSource
