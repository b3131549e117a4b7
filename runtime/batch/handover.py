"""What a worker leaves of a piece that it has not finished, and what the next one takes over.

Beside the output, among what `work` lists:

    00003.begun             what a journal says of the segments of the third piece that are closed
    00003-00000.seg ...     these segments, put there as they close
    00003.kept/             on a disk: states and painted pictures (`runtime.clips.checkpoints`)
    00003-000001200.state   in a store: the newest state at the end of the last segment

Two workers may be at one piece, if one was given up that is alive: they write the same, and what is
kept on a disk belongs to the one that has its lock.
"""

import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import IO

from ..card import JsonObject
from ..clips.pieces import Begun, Closed
from ..errors import OutputExists, StyleError
from ..media.journal import STATE, Segment, is_whole
from ..outputs import take_lock
from .items import Item
from .places import Place
from .records import read_segments

KEPT, LOCK = "kept", "lock"
_STATE = re.compile(r"\d{5}-\d{9}" + re.escape(STATE))


class Handover:
    """Of one piece.

    Args:
        item: the clip.
        number: of the piece.
        header: what the piece is painted for; what was painted for something else is not taken.
        scratch: an empty folder on this machine.
        pictures: painted pictures are kept, if the output is on a disk.
    """

    def __init__(
        self, item: Item, number: int, header: JsonObject, scratch: Path, *, pictures: bool
    ) -> None:
        self._item, self._name, self._header = item, f"{number:05}", header
        self._scratch = scratch
        self._lines: list[JsonObject] = []
        self._state = ""
        self._lock: IO[bytes] | None = None
        folder = item.parts.child(f"{self._name}.{KEPT}").local
        self._in_store = folder is None
        self._folder = scratch / KEPT if folder is None else folder
        self._pictures = pictures and not self._in_store

    def begun(self) -> Begun:
        """What is there, whole; and where the rest goes."""
        told = self._place("begun").read_json()
        if not isinstance(told, dict) or told.get("header") != self._header:
            told = {}
        self._take_folder(anew=not told)
        segments: list[Closed] = []
        for segment in read_segments(told.get("segments")) or ():
            if not self._fetched(segment.file, self._scratch) or not is_whole(
                self._scratch, segment
            ):
                break
            segments.append((segment, self._scratch / segment.file))
            self._lines.append(asdict(segment))
        state = told.get("state")
        if self._in_store and isinstance(state, str) and _STATE.fullmatch(state):
            self._state = state
            self._fetched(state, self._folder, state.partition("-")[2])
        self._tell()
        return Begun(segments, self._folder, self._pictures, self._closed)

    def _take_folder(self, *, anew: bool) -> None:
        """Make the folder of what is kept ours; `anew`: what is in it belongs to nobody."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = take_lock(self._folder / LOCK, f'"{self._folder}" is in use')
        except OutputExists:
            self._folder, self._pictures = self._scratch / KEPT, False
            self._folder.mkdir()
            return
        for path in self._folder.iterdir() if anew else ():
            if path.name != LOCK:
                path.unlink()

    def _leave_folder(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def _closed(self, segment: Segment, file: Path, frames: int) -> None:
        """A segment is closed: it goes where others find it, and then its line."""
        name = f"{self._name}-{file.name}"
        self._item.parts.child(name).put(file)
        self._lines.append({**asdict(segment), "file": name})
        before = self._state
        if self._in_store:
            self._put_state(frames)
        self._tell()
        if before and before != self._state:
            self._item.parts.child(before).remove()

    def _tell(self) -> None:
        told = {"header": self._header, "segments": self._lines, "state": self._state}
        self._place("begun").write_json(told)

    def _put_state(self, frames: int) -> None:
        """The newest state with which a worker can go on behind this many frames."""
        last = f"{frames:09}{STATE}"
        states = sorted(p for p in self._folder.glob(f"*{STATE}") if p.name <= last)
        if states and self._state != (name := f"{self._name}-{states[-1].name}"):
            self._item.parts.child(name).put(states[-1])
            self._state = name

    def _fetched(self, name: str, folder: Path, own: str | None = None) -> bool:
        """Whether a file could be copied from beside the output to a folder."""
        try:
            self._item.parts.child(name).fetch(folder / (own or name))
        except StyleError:
            return False
        return True

    def forget(self) -> None:
        """Nothing of it is taken over any more."""
        self._place("begun").write_json(None)
        self._leave_folder()

    def finish(self) -> None:
        """The piece is whole: say so, and forget what helped."""
        self._place("json").write_json(self._lines)
        self._leave_folder()

    def _place(self, ending: str) -> Place:
        return self._item.parts.child(f"{self._name}.{ending}")
