"""Numbered PNG files: `frames/%06d.png`, `frames/*.png`, or `images:frames`.

Each file is whole or absent (written under a temporary name first), so a run can be resumed behind
the last one. `timestamps.txt` beside them keeps the time of each frame in milliseconds (Matroska's
"timestamp format v2"), which the `images` source reads back and mkvmerge understands.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from ..errors import OutputExists, SinkError, UsageError
from ..frame import Frame, check_image
from ..media import streams
from ..sources import SourceInfo
from ..sources.images import TIMES

HEADER = "# timestamp format v2\n"
NAME = "%06d.png"  # six digits: nine hours at 30 frames per second
# PNG's own scale 0..9: 1 is three times as fast as the default 6 and 10 % larger.
COMPRESSION = 1


class ImagesSink:
    """A picture sequence.

    Args:
        spec: a path with one `%d`, `%0Nd` or `*`; or a folder, which then gets NAME.
        info: size of the frames to come.
        overwrite: replace a sequence that is there.
        resume: keep the pictures that are there and go on behind them.
        clip: the input's `ClipInfo`, to say what of it is left out; None for none.

    Attributes:
        notes: what a user should know, one line each.
    """

    def __init__(
        self,
        spec: str,
        info: SourceInfo,
        *,
        overwrite: bool = False,
        resume: bool = False,
        clip: Any = None,
    ) -> None:
        self.notes = streams.left_behind(clip)
        self._folder, self._name = split_pattern(spec)
        self._info = info
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f'cannot make the folder "{self._folder}": {error.strerror}') from None
        times = self._read_times()
        there = sorted(self._folder.glob(re.sub(r"%0?\d*d", "*", self._name)))
        if there and not (overwrite or resume):
            raise OutputExists(
                f'"{self._folder}" holds {len(there)} pictures; use another folder, --overwrite '
                "or --resume"
            )
        self.frames = 0
        if resume:
            while self.frames < len(times) and self._path(self.frames).is_file():
                self.frames += 1
        for path in there:
            if path not in {self._path(number) for number in range(self.frames)}:
                path.unlink()
        self._times = times[: self.frames]
        self._listing = (self._folder / TIMES).open("w", encoding="utf-8")
        self._listing.write(HEADER + "".join(f"{_milliseconds(t)}\n" for t in self._times))
        self._listing.flush()

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for names of PNG files with a number pattern."""
        name = Path(spec).name
        return name.lower().endswith(".png") and ("*" in name or bool(_PATTERN.search(name)))

    @property
    def resumed(self) -> tuple[int, Fraction] | None:
        """Index and time of the last picture that is already there."""
        return (self.frames - 1, self._times[-1]) if self.frames else None

    def write(self, frame: Frame) -> None:
        """Write one picture; on return it is there under its final name."""
        image = check_image(frame.image)
        if image.shape[:2] != (self._info.height, self._info.width):
            raise ValueError(f"frame is {image.shape[1]}x{image.shape[0]}")
        path = self._path(self.frames)
        temporary = path.with_name(path.name + ".part")
        good, data = cv2.imencode(
            ".png",
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION],
        )
        if not good:
            raise SinkError(f'picture {self.frames} cannot be encoded as "{path.suffix}"')
        try:
            temporary.write_bytes(data.tobytes())
            temporary.replace(path)
            self._listing.write(f"{_milliseconds(frame.time)}\n")
            self._listing.flush()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise SinkError(
                f'cannot write "{path}" ({error.strerror}); the {self.frames} pictures before it '
                "are whole: run again with --resume"
            ) from None
        self.frames += 1

    def close(self) -> None:
        """All pictures are written already; closes the list of times."""
        self._listing.close()

    def abort(self) -> None:
        """As `close`: what is there is whole."""
        self.close()

    def _path(self, number: int) -> Path:
        return self._folder / (self._name % number)

    def _read_times(self) -> list[Fraction]:
        path = self._folder / TIMES
        if not path.is_file():
            return []
        values = []
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            try:
                values.append(Fraction(line.strip()) / 1000)
            except ValueError:  # torn by a crash: what follows is written again
                break
        return values


_PATTERN = re.compile(r"%0?\d*d")


def split_pattern(spec: str) -> tuple[Path, str]:
    """Folder and name pattern: `a/b_%03d.png` is (a, b_%03d.png), `a/` is (a, %06d.png).

    Raises:
        UsageError: a pattern with another ending than .png.
    """
    path = Path(spec)
    path = path.with_name(path.name.replace("*", "%06d")) if "*" in path.name else path
    if not _PATTERN.search(path.name):
        return path, NAME
    if path.suffix.lower() != ".png" or len(_PATTERN.findall(path.name)) != 1:
        raise UsageError(f'pattern "{path.name}" must hold one number and end in .png')
    return path.parent, path.name


def _milliseconds(time: Fraction) -> Any:
    """A time in milliseconds, exact if a decimal can be, else to a picosecond."""
    value = time * 1000
    if value.denominator == 1:
        return value.numerator
    return f"{float(value):.9f}"


PLUGIN = ImagesSink
