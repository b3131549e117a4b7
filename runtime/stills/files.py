"""One picture file painted into another: what the commands do with each of theirs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..meter import Meter
from ..pictures import writing
from ..pictures.opening import MAX_PIXELS
from ..pictures.reading import Album
from ..provenance.signing import Signer
from .painter import StillPainter

QUALITY = 95  # of JPEG, WebP and AVIF


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How picture files are read and written.

    Attributes:
        quality: 1..100, of JPEG, WebP and AVIF.
        strip: leave out EXIF, place and texts; the color profile stays.
        max_pixels: larger pictures are refused before they are decoded.
        overwrite: replace existing outputs.
        provenance: say in the files what made them.
        signer: signs what they say; None for nobody.
    """

    quality: int = QUALITY
    strip: bool = False
    max_pixels: int = MAX_PIXELS
    overwrite: bool = False
    provenance: bool = True
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class PaintedFile:
    """What became of a file: pictures read and written, (height, width) of the first, notes."""

    frames_in: int
    frames_out: int
    size: tuple[int, int]
    notes: list[str]


def paint_file(
    source: Path, target: Path, painter: StillPainter, options: FileOptions, meter: Meter
) -> PaintedFile:
    """Paint one file: every frame of it is decoded, painted and written in turn.

    Raises:
        StyleError: it cannot be read, painted or written.
    """
    with Album(source, options.max_pixels) as album:
        painter.stylizer.reset()
        animated = album.num_frames > 1 and writing.holds_animation(target)
        wanted = album.num_frames if animated else 1
        frames = painter.paint_album(album, wanted, meter, strip=options.strip)
        made = painter.provenance if options.provenance else None
        if made is not None:
            frames = [writing.with_provenance(frame, made) for frame in frames]
        notes = list(album.notes)
        signer = options.signer
        sign = partial(signer.sign, output=target, made=made) if signer and made else None
        with meter("encode"):
            notes += writing.write(
                target,
                frames,
                quality=options.quality,
                loop=album.loop,
                animated=animated,
                overwrite=options.overwrite,
                finish=sign,
            )
        if album.num_frames > 1 and not animated:
            notes.append(f"{target.name}: this format holds no animation, only the first frame")
    return PaintedFile(wanted, len(frames), frames[0].size, notes)
