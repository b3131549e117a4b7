"""What the page asks of the styles beside the running picture: their cards, and whole pictures.

Each opens a style of its own on one thread of the processor, one at a time, and closes it again:
the running picture goes on with the rest.
"""

import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2

from ...errors import StyleError
from ...frame import Image
from ...meter import Meter
from ...model.stylizer import Stylizer
from ...pictures.reading import read_rgb
from ..controls import Settings
from ..styles import Styles

# A person, from below the shoulders up, is what most cameras show. NASA, in the public domain.
PHOTOGRAPH = Path(__file__).parents[2] / "photographs" / "astronaut.jpg"
# (width, height) of a card's picture, twice what a phone shows of it, and its JPEG quality: 15 kB.
CARD, CARD_QUALITY = (240, 160), 85
# Largest picture that is painted: a phone's 50 megapixels and some more. A small file can claim any
# number of them.
MAX_PIXELS = 2**26
PNG = b"\x89PNG"


class PagePainter:
    """Paints for the page.

    Args:
        styles: of the run.
    """

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._lock = threading.Lock()
        self._cards: dict[tuple[int, str], bytes] = {}

    def card(self, number: int) -> bytes | None:
        """JPEG of a photograph painted in a style, None if there is no such style.

        Args:
            number: of the style, from 0.

        Raises:
            StyleError: it cannot be opened.
        """
        entries = self._styles.entries
        if not 0 <= number < len(entries):
            return None
        key = (number, entries[number].label)
        with self._lock:
            if key not in self._cards:
                with self._open(number) as stylizer:
                    painted = stylizer.stylize(_photograph(), strength=1.0)
                picture = cv2.cvtColor(painted, cv2.COLOR_RGB2BGR)
                quality = [cv2.IMWRITE_JPEG_QUALITY, CARD_QUALITY]
                self._cards[key] = cv2.imencode(".jpg", picture, quality)[1].tobytes()
            return self._cards[key]

    def paint(self, source: Path, settings: Settings) -> tuple[str, bytes]:
        """A picture file, painted as the show is now: its style, strength and colors.

        Args:
            source: of any format that `runtime.pictures` opens.
            settings: of the show.

        Returns:
            Type and content: PNG for PNG, JPEG for everything else.

        Raises:
            StyleError: it is no picture, too large, or cannot be painted.
        """
        from ...stills.files import FileOptions, paint_file
        from ...stills.painter import Options, StillPainter

        with source.open("rb") as file:
            suffix, kind = (".png", "image/png") if file.read(4) == PNG else (".jpg", "image/jpeg")
        with self._lock, tempfile.TemporaryDirectory(prefix="impasto-") as folder:
            target = Path(folder) / f"painted{suffix}"
            with self._open(settings.style) as stylizer:
                stylizer.effects = replace(
                    stylizer.effects, strength=settings.strength, keep_color=settings.colors
                )
                painter = StillPainter(stylizer, Options(quiet=True), _nothing)
                try:
                    paint_file(
                        *(source, target, painter, FileOptions(max_pixels=MAX_PIXELS), Meter())
                    )
                except StyleError as error:
                    # Where it lies on this machine is not the viewer's business.
                    raise StyleError(str(error).replace(f'"{source}"', "this file")) from None
            return kind, target.read_bytes()

    def _open(self, number: int) -> Stylizer:
        """A style by itself, in its best file; the next one if that cannot be opened."""
        entry, order = self._styles.entries[number], self._styles.order(number)
        for variant in order[:-1]:
            with suppress(StyleError):
                return entry.still(variant, 1)
        return entry.still(order[-1], 1)


def _photograph() -> Image:
    """(160, 240, 3) uint8 RGB: the upper part of the photograph."""
    image = read_rgb(PHOTOGRAPH)
    height = image.shape[1] * CARD[1] // CARD[0]
    return cv2.resize(image[:height], CARD, interpolation=cv2.INTER_AREA)


def _nothing(_: str) -> None:
    """What painting takes is not said: nobody sits at this terminal."""
