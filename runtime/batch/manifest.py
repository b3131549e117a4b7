"""What is done: one JSON object a line, in the folder of the outputs.

    {"input": ..., "output": ..., "frames": 300, "seconds": 12.3, "model_sha256": ...,
     "settings": ..., "stamp": {...}, "error": ""}

`settings` is a checksum of all that decides the result, `stamp` says which input it was. A line
with an error is of an item that failed.
"""

import json
import time
from dataclasses import asdict, dataclass

from .items import Item
from .places import Place, Stamp
from .records import read

NAME = "manifest.jsonl"
# Stores cannot add to a file: it is written anew, at most this often in seconds, and at the end.
SAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; see the module."""

    input: str
    output: str
    frames: int
    seconds: float
    model_sha256: str
    settings: str
    stamp: Stamp
    error: str = ""


class Manifest:
    """The lines of an output folder; one process writes them."""

    def __init__(self, folder: Place) -> None:
        self._place = folder.child(NAME)
        self._entries: dict[str, Entry] = {}
        for line in (self._place.read() or b"").splitlines():
            entry = _read(line)
            if entry is not None:
                self._entries[entry.output] = entry
        self._saved, self._changed = 0.0, False

    def is_done(self, item: Item, settings: str) -> bool:
        """Whether the item was painted with these settings, as it is now."""
        entry = self._entries.get(item.output)
        return (
            entry is not None
            and not entry.error
            and (entry.input, entry.settings, entry.stamp) == (item.input, settings, item.stamp)
            and Place.parse(item.output).stamp() is not None
        )

    def add(self, entry: Entry) -> bool:
        """Note what became of an item; whether everything is written now."""
        self._entries[entry.output] = entry
        self._changed = True
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()
        return not self._changed

    def save(self) -> None:
        """Write what is new."""
        if self._changed:
            lines = [json.dumps(asdict(entry)) + "\n" for entry in self._entries.values()]
            self._place.write("".join(lines).encode())
            self._saved, self._changed = time.monotonic(), False


def _read(line: bytes) -> Entry | None:
    """A line that makes sense."""
    try:
        return read(Entry, json.loads(line))
    except (ValueError, RecursionError):
        return None
