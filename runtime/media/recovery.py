"""Recordings that were cut off (a kill, a power cut): the file that their closed segments make.

A clip has its input, and goes on with `--resume`. A recording has none: what was shown is gone, and
what was stored is all there is. So its journal also says how it was encoded, and `recover` puts the
file together from there.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import OutputExists, SinkError, StyleError, UsageError
from ..fields import fill
from ..outputs import check_output
from ..provenance import Provenance
from . import muxing
from .encoders import CODECS, Encoding
from .journal import Journal

if TYPE_CHECKING:
    from ..card import JsonObject

ENCODING, PROVENANCE = "encoding", "provenance"  # keys of the journal's header
# px; a side of more is damage.
LARGEST_SIDE = 65536
Facts = TypeVar("Facts")


def encoding_facts(encoding: Encoding) -> JsonObject:
    """An encoding as JSON has it; `_encoding` is the way back."""
    facts = dataclasses.asdict(encoding)
    return {
        key: str(value) if isinstance(value, Fraction) else value for key, value in facts.items()
    }


def recover(output: Path, *, overwrite: bool = False) -> muxing.Joined:
    """Put a recording together from what was stored of it.

    Args:
        output: the file that was being recorded.
        overwrite: replace what is there.

    Raises:
        UsageError: nothing unfinished of this name is there, it is no recording, or damaged.
        OutputExists: the file is there, or a run still writes it.
        SinkError: nothing of it was stored, or it cannot be written.
    """
    if output.suffix.lower() not in muxing.MUXERS:
        raise UsageError(f'"{output}" is no name of a video file; name the file, not its folder')
    if not Journal.is_unfinished(output):
        raise UsageError(
            f'nothing unfinished of "{output}" is there ({Journal.folder_for(output)})'
        )
    check_output(output, overwrite=overwrite)
    journal = Journal.reopen(output, short=True)
    if journal is None:
        raise UsageError(f'the journal of "{output}" is damaged')
    try:
        encoding = _encoding(journal, output)
        if not journal.segments:
            journal.remove()  # nothing is in it
            raise SinkError(f'no frame of "{output}" was stored whole before it was cut off')
        parts = muxing.Parts(
            journal, encoding, output, overwrite=overwrite, provenance=_provenance(journal, output)
        )
        result = muxing.assemble(parts)
    except BaseException as error:
        journal.close()
        if isinstance(error, ValueError | OverflowError):  # PyAV's, of what it does not know
            raise UsageError(f'the journal of "{output}" is damaged: {error}') from None
        raise
    journal.remove()
    return result


def recover_all(recording: Path) -> list[str]:
    """Recover what earlier runs were recording under this name or its numbered ones.

    Args:
        recording: "take.mp4" stands for "take-2.mp4" and so on as well.

    Returns:
        one line for each: what was recovered, or why it was not.
    """
    lines: list[str] = []
    tail = f"{recording.suffix}.parts"
    try:
        names = sorted(path.name for path in recording.parent.iterdir() if path.name.endswith(tail))
    except OSError:
        return lines
    for name in names:
        output = recording.with_name(name.removesuffix(".parts"))
        number = output.stem.removeprefix(f"{recording.stem}-")
        if output != recording and not number.isdecimal():
            continue
        try:
            result = recover(output)
        except OutputExists:
            continue  # another run records it, or it is there already
        except StyleError as error:
            lines.append(f'"{output}" was cut off and cannot be recovered: {error}')
            continue
        lines.append(f'"{output}" was cut off: its first {result.frames} frames are there again')
    return lines


def _encoding(journal: Journal, output: Path) -> Encoding:
    settings = journal.header.get("settings")
    if isinstance(settings, dict) and "input" in settings:
        raise UsageError(
            f'"{output}" is an unfinished clip, not a recording: paint it again with --resume, '
            "which goes on where it was"
        )
    facts = journal.header.get(ENCODING)
    if not isinstance(facts, dict):
        raise UsageError(f'the journal of "{output}" does not say how it was encoded')
    encoding = _filled(Encoding, facts, output)
    sizes = 0 < encoding.width <= LARGEST_SIDE and 0 < encoding.height <= LARGEST_SIDE
    if encoding.codec not in CODECS or not sizes or encoding.time_base <= 0 or encoding.rate <= 0:
        raise UsageError(f'the journal of "{output}" is damaged: no such encoding')
    return encoding


def _provenance(journal: Journal, output: Path) -> Provenance | None:
    facts = journal.header.get(PROVENANCE)
    return _filled(Provenance, facts, output) if isinstance(facts, dict) else None


def _filled(kind: type[Facts], facts: JsonObject, output: Path) -> Facts:
    try:
        return fill(kind, facts, "it", "fact")
    except UsageError as error:
        raise UsageError(f'the journal of "{output}" is damaged: {error}') from None
