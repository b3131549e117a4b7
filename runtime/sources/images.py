"""A folder of pictures, or a pattern such as `frames/*.png` or `f_%04d.png`, as a clip.

Pictures are shown in the natural order of their names (2 before 10), at `rate` frames per second or
at the times of a `timestamps.txt` beside them (Matroska's "timestamp format v2", milliseconds; the
`images` sink writes it).
"""

import glob
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from ..errors import SourceError
from ..fields import is_whole
from ..frame import Frame, Image
from ..inputs import is_folder, list_folder
from ..media.color import RGB, SDR, Colors
from ..media.container import ClipInfo
from . import Source, SourceInfo
from .file import PICTURES

RATE = Fraction(25)  # FFmpeg's default for picture sequences
TIMES = "timestamps.txt"
# The number in the name of a sequence.
PATTERN = re.compile(r"%0?\d*d")
LONGEST_PATTERN = len("%099d")
WITH_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff"})


class ImagesSource(Source):
    """Pictures as frames.

    Args:
        spec: a folder, a pattern with `*` or `?`, one with a number (`f_%04d.png`; a number that is
            missing between the first and the last is an error), or one picture.
        rate: frames per second where no `timestamps.txt` says more.
        strict: refuse unreadable pictures and pictures of another size.
        after: continue behind the frame of this index.
        on_size_change: as of `FileSource`.
        start: begin at the first picture at or after this time (seconds).

    Attributes:
        damage: Counter of "skipped" (unreadable) and "resized" pictures.
    """

    seekable = True

    def __init__(
        self,
        spec: str,
        *,
        rate: Fraction | int | None = None,
        strict: bool = False,
        on_size_change: str = "scale",
        after: tuple[int, Fraction] | None = None,
        start: Fraction = Fraction(0),
    ) -> None:
        self.damage: Counter[str] = Counter()
        self._spec, self._strict, self._closed = spec, strict, False
        self._on_size = on_size_change
        self._paths = list_pictures(spec)
        if not self._paths:
            raise SourceError(f'no pictures in "{spec}"; known endings: {", ".join(KNOWN)}')
        rate = Fraction(rate or RATE)
        times = read_times(self._paths[0].parent / TIMES, len(self._paths))
        self._times = times or [number / rate for number in range(len(self._paths))]
        skipped = bisect_left(self._times, start)
        self._paths, self._times = self._paths[skipped:], self._times[skipped:]
        if not self._paths:
            raise SourceError(
                f'"{spec}" has no picture at or after {float(start):g} s: it has {skipped}'
            )
        first = next((i for p in self._paths if (i := read_picture(p)) is not None), None)
        # Of other kinds than PNG, which says it at its head, the first picture speaks for all.
        asked = [p for p in self._paths if p.suffix.lower() == ".png"] or self._paths[:1]
        see_through = any(map(has_alpha, asked))
        if first is None:
            raise SourceError(f'none of the {len(self._paths)} pictures in "{spec}" can be read')
        self._rate, self._start = rate, 0 if after is None else after[0] + 1
        height, width = first.shape[:2]
        base = Fraction(1, 1_000_000) if times else 1 / rate
        self.info = SourceInfo(Path(spec).name or spec, width, height, rate, len(self._paths))
        self.clip = ClipInfo(
            None, 0, "images", base, Colors(RGB, 2), replace(SDR, matrix=RGB), alpha=see_through
        )

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for folders, patterns and single pictures."""
        path = Path(spec)
        if path.is_dir():
            return True
        if path.is_file():
            return path.suffix.lower() in PICTURES
        magic = any(c in spec for c in "*?[") or PATTERN.search(path.name)
        return bool(magic) and bool(list_pictures(spec))

    def __iter__(self) -> Iterator[Frame]:
        """One frame per readable picture."""
        index = 0
        for number, path in enumerate(self._paths):
            if self._closed:
                return
            image = read_picture(path) if index >= self._start else None
            if image is None:
                if index < self._start and read_picture(path) is not None:
                    index += 1
                    continue
                self._hurt("skipped", f'"{path.name}" cannot be read')
                continue
            if image.shape[:2] != (self.info.height, self.info.width):
                if self._on_size == "split":
                    self.rest = self._times[number]
                    return
                words = f'"{path.name}" has another size than the first'
                if self._on_size == "fail":
                    raise SourceError(f"{words}; --on-size-change scale (or split) paints it")
                self._hurt("resized", words)
                size = (self.info.width, self.info.height)
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            alpha = None
            if image.shape[2] == 4:
                alpha = np.ascontiguousarray(image[..., 3])
                image = np.ascontiguousarray(image[..., :3])
            yield Frame(image, self._times[number], index, 1 / self._rate, alpha)
            index += 1

    def _hurt(self, kind: str, what: str) -> None:
        if self._strict:
            raise SourceError(f"{what}; without --strict it is counted")
        self.damage[kind] += 1

    def close(self) -> None:
        """The iteration ends."""
        self._closed = True


KNOWN = sorted(PICTURES)


def natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key in which numbers inside names count as numbers."""
    parts = re.split(r"(\d+)", name.lower())
    return [(is_whole(part), int(part) if is_whole(part) else 0, part) for part in parts]


def list_pictures(spec: str) -> list[Path]:
    """Picture files a folder, pattern or path stands for, in natural order."""
    path = Path(spec)
    if is_folder(path):
        found = list_folder(path)
    elif path.is_file():
        found = [path]
    elif PATTERN.search(path.name) and is_folder(path.parent):
        found = list_sequence(path.parent, path.name)
        check_gaps(found, path.name)
    else:
        found = [Path(name) for name in glob.glob(spec)]
    kept = [p for p in found if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
    return sorted(kept, key=lambda p: natural(p.name))


def list_sequence(folder: Path, name: str) -> list[Path]:
    """The files in a folder whose names the pattern can give, in the order of their numbers."""
    found = PATTERN.findall(name)
    if name.count("%") != 1 or len(found) != 1 or len(found[0]) > LONGEST_PATTERN:
        return []
    before, after = PATTERN.split(name)
    shape = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbered = []
    for path in folder.iterdir():
        match = shape.fullmatch(path.name)
        if match and name % int(match[1]) == path.name:
            numbered.append((int(match[1]), path))
    return [path for _, path in sorted(numbered)]


def check_gaps(paths: list[Path], name: str) -> None:
    """Raises SourceError if a number between the first and the last of a sequence is missing."""
    before, after = PATTERN.split(name)
    numbers = [int(p.name[len(before) : len(p.name) - len(after)]) for p in paths]
    if numbers and numbers[-1] - numbers[0] + 1 != len(numbers):
        gap = next(a + 1 for a, b in pairwise(numbers) if b != a + 1)
        missing = numbers[-1] - numbers[0] + 1 - len(numbers)
        raise SourceError(
            f'{missing} pictures of "{name}" are missing, the first is {name % gap}; give the '
            "folder to take those that are there"
        )


def read_picture(path: Path) -> Image | None:
    """(H, W, 3) uint8 RGB, or (H, W, 4) where there is alpha; turned by its EXIF tag, 16 bits
    rounded to 8; None if unreadable."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    image = None
    if data.size and path.suffix.lower() in WITH_ALPHA:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if image is not None and (image.ndim != 3 or image.shape[2] != 4):
            image = None
    if image is None and data.size:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return None
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    order = cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(image, order)


def has_alpha(path: Path) -> bool:
    """Whether a picture file is transparent somewhere; only its head is read where that is enough.

    PNG says in byte 25 what its pixels are (PNG, section 11.2.2); 4 and 6 have alpha, 3 may have.
    """
    if path.suffix.lower() not in WITH_ALPHA:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return False
    if head[:4] == b"\x89PNG" and head[25:26] in (b"\x00", b"\x02"):
        return False
    image = read_picture(path)
    return image is not None and image.shape[2] == 4 and int(image[..., 3].min()) < 255


def read_times(path: Path, number: int) -> list[Fraction] | None:
    """Seconds of each picture from a "timestamp format v2" file; None if there is none.

    Raises:
        SourceError: not numbers, not increasing, or fewer than `number`.
    """
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        values = [
            Fraction(line.strip()) / 1000 for line in lines if line.strip()[:1] not in ("", "#")
        ]
    except ValueError:
        raise SourceError(f'"{path}" holds something that is no number') from None
    if len(values) < number or any(a >= b for a, b in pairwise(values)):
        raise SourceError(
            f'"{path}" must hold {number} increasing times in milliseconds, it has {len(values)}; '
            "correct or remove it"
        )
    return values


PLUGIN = ImagesSource
