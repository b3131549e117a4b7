"""A second look at a finished file: every picture is decoded, and its time compared."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import SinkError
from .container import open_container
from .encoders import Encoding
from .journal import Journal

GIF_TICK = Fraction(1, 100)
ATTACHED_PIC = 1 << 10  # AV_DISPOSITION_ATTACHED_PIC


def verify(path: Path, name: str, journal: Journal, encoding: Encoding) -> str:
    """Decode a file, without any code that wrote it.

    Args:
        path: the file.
        name: what it will be called, for messages.
        journal: whose pictures it must hold.
        encoding: how these were encoded.

    Returns:
        One line that says what was found.

    Raises:
        SinkError: a picture cannot be decoded, has another size, or is shown at another time.
    """
    times = decoded_times(path, name, (encoding.width, encoding.height))
    wanted = sorted(
        packet.time * encoding.time_base
        for segment in journal.segments
        for packet in journal.read_segment(segment)
    )
    compare(times, wanted, path, name)
    return f"verified: {len(times)} pictures decode, each at its time"


def compare(times: list[Fraction], wanted: list[Fraction], path: Path, name: str) -> None:
    """Raises SinkError unless all times are there, each within half a tick of the file's clock."""
    if len(times) != len(wanted):
        raise SinkError(
            f'"{name}" was verified and is wrong: {len(wanted)} pictures were written, '
            f"{len(times)} can be decoded"
        )
    tick = GIF_TICK if path.suffix == ".gif" else Fraction(0)
    for number, (found, right) in enumerate(zip(times, wanted, strict=True)):
        # Where a clock is coarse, pictures that are closer than a tick come a tick apart.
        if abs(found - right) > tick / 2 and not (tick and _crowded(wanted, number, tick)):
            raise SinkError(
                f'"{name}" was verified and is wrong: picture {number} is shown at '
                f"{float(found):.4f} s in place of {float(right):.4f} s"
            )


def _crowded(times: list[Fraction], number: int, tick: Fraction) -> bool:
    return any(b - a < tick for a, b in pairwise(times[: number + 1]))


def decoded_times(path: Path, name: str, size: tuple[int, int]) -> list[Fraction]:
    """When each picture of a file is shown, in seconds, by decoding it."""
    import av

    times: list[Fraction] = []
    with open_container(path, name) as container:
        stream: Any = next(
            s for s in container.streams.video if not int(s.disposition) & ATTACHED_PIC
        )
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}
        try:
            for frame in container.decode(stream):
                if (frame.width, frame.height) != size:
                    raise SinkError(
                        f'"{name}" was verified and is wrong: picture {len(times)} is '
                        f"{frame.width}x{frame.height}"
                    )
                times.append(frame.pts * Fraction(frame.time_base))
        except av.FFmpegError as error:
            raise SinkError(
                f'"{name}" was verified and is wrong: picture {len(times)} cannot be decoded '
                f"({error.strerror})"
            ) from None
    return times
