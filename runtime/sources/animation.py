"""Animated WebP, PNG and AVIF as clips; GIF and `.apng` are read by FFmpeg, as video files are.

Each frame is shown as long as its delay says, once; its alpha is kept.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from ..errors import SourceError
from ..frame import Frame
from ..media.color import RGB, SDR, Colors
from ..media.container import ClipInfo
from ..pictures.opening import open_picture
from ..pictures.reading import ANIMATED, Album, Picture
from . import Source, SourceInfo

SUFFIXES = frozenset({".webp", ".png", ".avif"})
OPAQUE = 255
# Delays are milliseconds, and those of APNG fractions of a second, which Pillow rounds to binary
# ones: 100/3 ms is told from its neighbors by denominators up to this.
LARGEST_DENOMINATOR = 1000
# The clock of MPEG systems: whole milliseconds, and rates of 24, 25 and 30, are whole ticks.
TICK = Fraction(1, 90_000)


class AnimationSource(Source):
    """An animated picture file as frames.

    Args:
        spec: the file.
        after: continue behind the frame of this index.
        start: begin at the first frame at or after this time (seconds).
    """

    seekable = True

    def __init__(
        self,
        spec: str,
        *,
        after: tuple[int, Fraction] | None = None,
        start: Fraction = Fraction(0),
    ) -> None:
        self._path, self._closed = Path(spec), False
        delays, self._see_through = list[Fraction](), False
        with Album(self._path) as album:
            height, width = album.size
            for picture in album:
                delays.append(_delay(picture))
                self._see_through |= _is_transparent(picture)
        self._delays, ends = delays, list(accumulate(delays))
        self._times = [end - delay for end, delay in zip(ends, delays, strict=True)]
        # Number of the first frame that is wanted, and index of the first that is given out.
        self._begin = sum(time < start for time in self._times)
        self._first = 0 if after is None else after[0] + 1
        if self._begin == len(delays):
            raise SourceError(
                f'"{spec}" has no frame at or after {float(start):g} s: it ends at '
                f"{float(ends[-1]):g} s"
            )
        rate = len(delays) / ends[-1]
        number = len(delays) - self._begin
        self.info = SourceInfo(self._path.name, width, height, rate, number)
        own = Colors(RGB, 2)
        self.clip = ClipInfo(
            None,
            0,
            "animation",
            TICK,
            own,
            replace(SDR, matrix=RGB),
            alpha=self._see_through,
            end=ends[-1],
        )

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for pictures of `SUFFIXES` with several frames; only the head of a file is read."""
        path = Path(spec)
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            return False
        try:
            with open_picture(path) as image:
                return image.format in ANIMATED and getattr(image, "n_frames", 1) > 1
        except SourceError:
            return False  # what is wrong with it is said by whoever reads it

    def __iter__(self) -> Iterator[Frame]:
        """Frames from the first that is wanted, or from behind `after`."""
        with Album(self._path) as album:
            for number, picture in enumerate(album):
                index = number - self._begin
                if self._closed:
                    return
                if index >= self._first:
                    alpha = picture.alpha if self._see_through else None
                    time, delay = self._times[number], self._delays[number]
                    yield Frame(picture.pixels, time, index, delay, alpha)

    def close(self) -> None:
        """The iteration ends."""
        self._closed = True


def _delay(picture: Picture) -> Fraction:
    """Seconds that a frame is shown."""
    return Fraction(picture.duration_ms).limit_denominator(LARGEST_DENOMINATOR) / 1000


def _is_transparent(picture: Picture) -> bool:
    return picture.alpha is not None and int(picture.alpha.min()) < OPAQUE


PLUGIN = AnimationSource
