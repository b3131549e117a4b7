"""Where frames come from. Every file of this folder is one kind of source:

a class with `accepts(spec)` (does this text name such a source?), `info`, iteration over `Frame`
and `close()`, offered as `PLUGIN`. `open_source` finds the right one:

    with open_source("clip.mp4") as source:
        for frame in source: ...

A spec may be forced to one kind by its name: `file:clip`, `images:folder`, `synthetic:640x480@30`.
"""

import inspect
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from ..errors import SourceError
from ..frame import Frame
from ..plugins import load, names, suggest


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source before its first frame is read.

    Attributes:
        name: for people: file name, "synthetic", "camera 0".
        width, height: of the delivered frames in pixels (after rotation).
        rate: nominal frames per second, exact; None if unknown. Frame times are the truth.
        num_frames: number of frames if the container says so; an estimate, None if unknown.
        live: True if frames arrive by the clock and a reader that is late misses some.
    """

    name: str
    width: int
    height: int
    rate: Fraction | None = None
    num_frames: int | None = None
    live: bool = False


class Source(Protocol):
    """What every plugin in this folder offers."""

    info: SourceInfo

    @staticmethod
    def accepts(spec: str) -> bool:
        """True if `spec` names a source of this kind; opens nothing."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, each image freshly allocated. One pass per source."""
        ...

    def close(self) -> None:
        """Release the device or file; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_source(spec: str | Path, **options: Any) -> Source:
    """Open the source that `spec` names.

    Args:
        spec: a path, `camera:0`, `synthetic`, `-`, or any of these after `<kind>:`.
        options: wishes such as `rate`, `size`, `live`, `stream`; a source takes the ones its
            constructor names and leaves the rest.

    Raises:
        SourceError: nothing here reads `spec`, or the source cannot be opened.
    """
    text = str(spec)
    folder = sys.modules[__name__]
    known = names(folder)
    prefix, colon, rest = text.partition(":")
    # A file called "camera:0.mp4" is that file.
    if prefix in known and not (colon and os.path.lexists(text)):
        plugin = load(folder, prefix)
        if plugin.accepts(text):
            return _build(plugin, text, options)
        if colon:
            return _build(plugin, rest, options)
    for name in ["file", "images", *known]:
        plugin = load(folder, name)
        if plugin.accepts(text):
            return _build(plugin, text, options)
    raise SourceError(_not_found(text, known))


def _build(plugin: Any, spec: str, options: dict[str, Any]) -> Source:
    known = inspect.signature(plugin.__init__).parameters
    return plugin(spec, **{name: value for name, value in options.items() if name in known})


def _not_found(text: str, known: list[str]) -> str:
    path = Path(text)
    if not path.exists() and path.parent.is_dir():
        near = sorted(entry.name for entry in path.parent.iterdir())[:20]
        hint = suggest(path.name, near) if near else ""
        return f'no input "{text}"; "{path.parent}" has nothing of that name.{hint}'
    return f'no source reads "{text}"; give a video, a picture, a folder, or: {", ".join(known)}'
