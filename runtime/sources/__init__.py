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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, Unpack

from ..errors import SourceError
from ..frame import Frame
from ..plugins import load, names, suggest

if TYPE_CHECKING:
    from ..media.container import ClipInfo


SIZE_CHANGES = ("scale", "split", "fail")


class SourceOptions(TypedDict, total=False):
    """Wishes for an input; each kind of source takes those that its constructor names.

    Keys:
        stream: index of the video stream in its container.
        strict: refuse damaged input instead of concealing it.
        hdr: "tonemap" or "refuse".
        decoder: "software", "hardware", or a device (`runtime.media.decoders`).
        deinterlace: "auto" or "off".
        raw: what bare frames on standard input look like, "WxH@FPS:FORMAT".
        on_size_change: what becomes of pictures of another size than the first: "scale" them,
            "split" (the source ends there and says so in `rest`), "fail".
        rate: frames per second, of cameras and of pictures without times.
        size: (width, height) asked of cameras and synthetic sources.
        live: play by the clock.
        spool: folder for a copy of standard input, from which other streams are taken over.
        after: index and time of the frame behind which to begin.
        start: seconds; the first frame at or after this time is the first one, with index 0.
        allow_network: whether the input may be an address.
        seek: whether `after` may be sought, instead of decoding all that is before it.
    """

    stream: int | None
    strict: bool
    hdr: str
    decoder: str
    deinterlace: str
    raw: str | None
    on_size_change: str
    rate: Fraction | None
    size: tuple[int, int] | None
    live: bool
    spool: Path
    after: tuple[int, Fraction] | None
    seek: bool
    start: Fraction
    allow_network: bool


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
    """Frames, one after the other; a context that closes itself.

    A class that names this one as its base gets all but `info` and `__iter__`.

    Attributes:
        info: what is known before the first frame.
        clip: what an encoder and a muxer must know to give the clip back as it came; None for
            frames that come from no clip.
        damage: what was found broken and concealed so far, by kind.
        remarks: what a user should know at the end, one line each.
        rest: time of the first frame that was left out because its size is another one; None if
            there is none.
        seekable: its class takes `after` and `start`, see `SourceOptions`.
        pictures: set it to False, at any time, and frames come without theirs, (0, W, 3), where
            that is faster.
        returns: a live source that ended or failed may come back, as cameras do.
        taken: `time.perf_counter` seconds at which the last frame was taken; 0 if unknown.
        decode_ms: milliseconds that the last frame took from its arrival to its delivery.
    """

    info: SourceInfo
    clip: "ClipInfo | None" = None
    damage: Mapping[str, int] = MappingProxyType({})
    remarks: Sequence[str] = ()
    rest: Fraction | None = None
    seekable: bool = False
    pictures: bool = True
    returns: bool = True
    taken: float = 0.0
    decode_ms: float = 0.0

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, each image freshly allocated. One pass per source."""
        ...

    def close(self) -> None:
        """Release the device or file; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SourcePlugin(Protocol):
    """What `PLUGIN`, a class of a module of this folder, offers."""

    @staticmethod
    def accepts(spec: str) -> bool:
        """True if `spec` names a source of this kind; opens nothing but the head of a file."""
        ...

    def __call__(self, spec: str, **options: Any) -> Source:
        """Open it; which options it takes is seen from its signature."""
        ...


def open_source(spec: str | Path, **options: Unpack[SourceOptions]) -> Source:
    """Open the source that `spec` names.

    Args:
        spec: a path, `camera:0`, `synthetic`, `-`, or any of these after `<kind>:`.
        options: see `SourceOptions`.

    Raises:
        SourceError: nothing here reads `spec`, or the source cannot be opened.
    """
    text = str(spec)
    folder = sys.modules[__name__]
    known = names(folder)
    prefix, colon, rest = text.partition(":")
    # A file called "camera:0.mp4" is that file.
    if prefix in known and not (colon and os.path.lexists(text)):
        plugin: SourcePlugin = load(folder, prefix)
        if plugin.accepts(text):
            return _build(plugin, text, options)
        if colon:
            return _build(plugin, rest, options)
    for name in ["animation", "file", "images", *known]:
        plugin = load(folder, name)
        if plugin.accepts(text):
            return _build(plugin, text, options)
    raise SourceError(_not_found(text, known))


def _build(plugin: SourcePlugin, spec: str, options: SourceOptions) -> Source:
    known = inspect.signature(plugin).parameters
    return plugin(spec, **{name: value for name, value in options.items() if name in known})


def _not_found(text: str, known: list[str]) -> str:
    path = Path(text)
    if not path.exists() and path.parent.is_dir():
        near = sorted(entry.name for entry in path.parent.iterdir())[:20]
        hint = suggest(path.name, near) if near else ""
        return f'no input "{text}"; "{path.parent}" has nothing of that name.{hint}'
    return f'no source reads "{text}"; give a video, a picture, a folder, or: {", ".join(known)}'
