"""Numbered PNG files: `frames/%06d.png`, `frames/*.png`, or `images:frames`.

Each file is whole or absent. While the sequence is being made, a journal lies in the folder as for
clips (`runtime.media.journal`); it names every picture before the picture gets its name, and no
other file is ever touched. `timestamps.txt` beside the pictures keeps the time of each frame in
milliseconds (Matroska's "timestamp format v2"), which the `images` source reads back and mkvmerge
understands.
"""

import zlib
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..errors import OutputExists, SinkError, UsageError
from ..frame import Frame, check_image
from ..media import streams
from ..media.container import ClipInfo
from ..media.journal import Journal, Segment, identity_of
from ..outputs import check_folder, replacing
from ..provenance import Provenance, carriers, xmp
from ..sources import SourceInfo
from ..sources.images import LONGEST_PATTERN, PATTERN, TIMES, list_sequence
from . import FrameFacts, Sink

HEADER = "# timestamp format v2\n"
NAME = "%06d.png"  # six digits: nine hours at 30 frames per second
# PNG's own scale 0..9: 1 is three times as fast as the default 6 and 10 % larger.
COMPRESSION = 1


class ImagesSink(Sink):
    """A picture sequence.

    Args:
        spec: a path with one `%d`, `%0Nd` or `*`; or a folder, which then gets NAME.
        info: size of the frames to come.
        overwrite: replace pictures of the same names.
        resume: keep the pictures that an unfinished run made, and go on behind them.
        clip: the input's `ClipInfo`, to say what of it is left out; None for none.
        settings: what else decides the result (model, strength, ...): JSON values, compared when
            a run is resumed.
        verify: read all pictures again at the end.
        provenance: what makes the pictures, said in each of them; None for nothing.

    Attributes:
        frames: pictures that are there, those of an earlier run included.
        notes: what a user should know, one line each.
    """

    notes: list[str]

    def __init__(
        self,
        spec: str,
        info: SourceInfo,
        *,
        overwrite: bool = False,
        resume: bool = False,
        clip: ClipInfo | None = None,
        settings: Mapping[str, object] | None = None,
        verify: bool = False,
        provenance: Provenance | None = None,
    ) -> None:
        self._verify = verify
        self._packet = xmp.state(provenance) if provenance is not None else b""
        self.notes = streams.left_behind(clip, alpha=True)
        self._folder, self._name = split_pattern(spec)
        self._info, self._overwrite = info, overwrite
        self._coming: tuple[int, Fraction] | None = None
        self._damage: dict[str, int] = {}
        source = clip.path if clip is not None else None
        own = {"pictures": self._name, "size": [info.width, info.height], **identity_of(source)}
        check_folder(self._folder)
        self._journal = self._open_journal(resume, {**own, **(settings or {})})
        # Names that a killed run announced: only those may be replaced unasked.
        self._announced = self._journal.announced
        self._done = False

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for names of PNG files with a number pattern."""
        name = Path(spec).name
        return name.lower().endswith(".png") and ("*" in name or bool(PATTERN.search(name)))

    @property
    def saved(self) -> int:
        """Pictures that are there, and known to be ours."""
        return self._journal.frames

    @property
    def unfinished(self) -> Path | None:
        """The journal's folder."""
        return self._journal.folder

    @property
    def journal(self) -> Journal:
        """The unfinished state on disk."""
        return self._journal

    @property
    def frames(self) -> int:
        """Pictures that are there."""
        return len(self._journal.segments)

    @property
    def resumed(self) -> tuple[int, Fraction] | None:
        """Index and time of the last picture that is already there."""
        if not self.frames:
            return None
        return self.frames - 1, Fraction(self._journal.segments[-1].last_time)

    @property
    def repaint_behind(self) -> tuple[int, Fraction] | None:
        """As of `FileSink`."""
        restart = self._journal.segments[-1].restart if self.frames else None
        return None if restart is None else (restart[0], Fraction(restart[1]))

    @property
    def damage(self) -> dict[str, int]:
        """What the source had counted when the last picture was written."""
        return dict(self._journal.segments[-1].damage) if self.frames else {}

    def remember(self, facts: FrameFacts) -> None:
        """As of `FileSink`."""
        self._coming, self._damage = facts.restart, dict(facts.damage)

    def write(self, frame: Frame) -> None:
        """Write one picture; on return it is there under its final name."""
        image = check_image(frame.image)
        if image.shape[:2] != (self._info.height, self._info.width):
            raise ValueError(f"frame is {image.shape[1]}x{image.shape[0]}")
        number = self.frames
        path = self._path(number)
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if frame.alpha is not None:
            pixels = np.dstack([pixels, frame.alpha])
        good, encoded = cv2.imencode(
            ".png",
            pixels,
            [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION],
        )
        if not good:
            raise SinkError(f'picture {number} cannot be encoded as "{path.suffix}"')
        data = encoded.tobytes()
        if self._packet:
            data = carriers.in_png(data, self._packet)
        restart = self._coming
        segment = Segment(
            file=path.name,
            frames=1,
            first=number,
            start=number,
            end=number + 1,
            delay=0,
            last_time=_exact(frame.time),
            restart=None if restart is None else (restart[0], _exact(restart[1])),
            damage=self._damage,
            checksum=zlib.crc32(data),
        )
        ours = self._overwrite or path.name in self._announced
        try:
            with replacing(path, overwrite=ours, folder=self._journal.folder) as temporary:
                temporary.write_bytes(data)
                self._journal.add(segment, sync=False)
        except OSError as error:
            self._forget(number)
            raise SinkError(
                f'cannot write "{path}" ({error.strerror}); the {self.frames} pictures before it '
                "are whole: run again with --resume"
            ) from None
        except OutputExists:
            self._forget(number)
            raise OutputExists(
                f'"{path}" is there and not of this run; the {self.frames} pictures before it are '
                "whole: move it away and run again with --resume"
            ) from None

    def close(self) -> None:
        """Write the list of times; the journal goes."""
        if not self._done:
            self._done = True
            self._write_times()
            if self._verify:
                self._read_again()
            self._journal.remove()

    def _read_again(self) -> None:
        for segment in self._journal.segments:
            data = (self._folder / segment.file).read_bytes()
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            size = None if image is None else image.shape[:2]
            whole = zlib.crc32(data) == segment.checksum
            if not whole or size != (self._info.height, self._info.width):
                raise SinkError(f'"{segment.file}" was verified and is not what was written')
        self.notes.append(f"verified: {self.frames} pictures decode")

    def abort(self) -> None:
        """Write the list of times of what is there; the journal stays for `--resume`."""
        if self._done:
            return
        self._done = True
        if self.frames:
            self._write_times()
        if self.frames or self._journal.painted():
            self._journal.close()
        else:
            self._journal.remove()

    def _open_journal(self, resume: bool, settings: Mapping[str, object]) -> Journal:
        output = self._folder / self._name
        if resume:
            journal = Journal.reopen(output, self._folder)
            if journal is not None:
                try:
                    journal.require(**settings)
                except BaseException:
                    journal.close()
                    raise
                return journal
        elif Journal.is_unfinished(output) and not self._overwrite:
            raise OutputExists(
                f'an unfinished "{self._name}" is in "{self._folder}"; continue it with --resume '
                "or begin anew with --overwrite"
            )
        there = list_sequence(self._folder, self._name)
        if there and not self._overwrite:
            raise OutputExists(
                f'"{self._folder}" holds {len(there)} pictures of such names; use another folder '
                "or --overwrite (--resume continues unfinished sequences only)"
            )
        times = self._folder / TIMES
        if times.exists() and not self._overwrite:
            raise OutputExists(
                f'"{times}" is there and belongs to other pictures; use another folder or '
                "--overwrite"
            )
        return Journal.create(output, {"settings": settings})

    def _forget(self, number: int) -> None:
        """Take back the announcement of a picture that was not written."""
        if len(self._journal.segments) > number:
            del self._journal.segments[number:]
            with suppress(OSError):
                self._journal.save()

    def _write_times(self) -> None:
        times = [Fraction(segment.last_time) for segment in self._journal.segments]
        lines = "".join(f"{_milliseconds(time)}\n" for time in times)
        path = self._folder / TIMES
        ours = self._overwrite or self._journal.wrote(path)
        try:
            with replacing(path, overwrite=ours, folder=self._journal.folder) as temporary:
                temporary.write_text(HEADER + lines, encoding="utf-8")
                self._journal.will_place(temporary)
        except OutputExists as error:
            self.notes.append(f"the times of the pictures are not written: {error}")
        except OSError as error:
            raise SinkError(f'cannot write "{path}": {error.strerror}') from None
        written = {segment.file for segment in self._journal.segments}
        rest = [p.name for p in list_sequence(self._folder, self._name) if p.name not in written]
        if rest:
            self.notes.append(
                f'"{self._folder}" still holds {len(rest)} other pictures of such names, from '
                f"{rest[0]} on; remove them if they do not belong to it"
            )

    def _path(self, number: int) -> Path:
        return self._folder / (self._name % number)


def split_pattern(spec: str) -> tuple[Path, str]:
    """Folder and name pattern: `a/b_%03d.png` is (a, b_%03d.png), `a/` is (a, %06d.png).

    Raises:
        UsageError: a pattern with another ending than .png, or with another "%".
    """
    path = Path(spec)
    path = path.with_name(path.name.replace("*", "%06d")) if "*" in path.name else path
    if not PATTERN.search(path.name):
        return path, NAME
    found = PATTERN.findall(path.name)
    if path.suffix.lower() != ".png" or len(found) != 1 or path.name.count("%") != 1:
        raise UsageError(f'pattern "{path.name}" must hold one number and end in .png')
    if len(found[0]) > LONGEST_PATTERN:
        raise UsageError(f'pattern "{path.name}": numbers have at most 99 digits')
    return path.parent, path.name


def _exact(time: Fraction) -> str:
    return f"{time.numerator}/{time.denominator}"


def _milliseconds(time: Fraction) -> int | str:
    """A time in milliseconds, exact if a decimal can be, else to a picosecond."""
    value = time * 1000
    if value.denominator == 1:
        return value.numerator
    return f"{float(value):.9f}"


PLUGIN = ImagesSink
