"""Where painted frames go. Every file of this folder is one kind of sink:

a class with `accepts(spec)`, `write(frame)`, `close()` and `abort()`, offered as `PLUGIN`.

    sink = open_sink("out.mp4", info)
    sink.write(frame)
    sink.close()

`close` finishes the output; `abort` is for runs that end early: what is whole is kept, playable if
the kind of output allows it. A spec may be forced to one kind by its name: `images:folder`.
"""

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from ..errors import EngineUnavailable, UsageError
from ..frame import Frame
from ..plugins import load, names
from ..provenance import Provenance
from ..provenance.signing import Signer
from ..sources import SourceInfo

if TYPE_CHECKING:
    from ..media.container import ClipInfo
    from ..media.encoders import Encoding
    from ..media.muxing import Joined


class SinkOptions(TypedDict, total=False):
    """Wishes for an output; each kind of sink takes those that its constructor names.

    Keys:
        clip: the input, whose colors, times and other streams the output takes over.
        codec, quality, preset, encoder, pixel_format: of video files, see `runtime.media.encoders`.
        pipe_format: of frames on standard output: "rgb24", "bgr24", "yuv420p", "y4m".
        overwrite: replace an existing output, and an unfinished one.
        resume: continue an unfinished output.
        strict: refuse to leave a stream out that does not fit.
        verify: decode a finished file, and compare its pictures with what was written.
        allow_network: whether the output may be an address.
        settings: what else decides the result, compared when a run is resumed.
        segment: frames per segment of a video file, at most.
        provenance: what makes the frames, said in files; None for nothing.
        signer: signs what is said there; None for nobody.
    """

    clip: "ClipInfo | None"
    codec: str | None
    quality: int | None
    preset: str | None
    encoder: str
    pixel_format: str | None
    pipe_format: str
    overwrite: bool
    resume: bool
    strict: bool
    verify: bool
    settings: Mapping[str, object]
    allow_network: bool
    segment: int
    provenance: Provenance | None
    signer: Signer | None


# Index and time (seconds) of a frame.
Restart = tuple[int, Fraction]


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What a resumed run will need to know about a frame.

    Attributes:
        restart: the frame behind which painting must begin again to go on behind this frame with
            the same result (index -1: from the beginning); None if nothing before it matters.
        begins_shot: nothing before this frame matters to it, nor to those behind it.
        damage: what the source has counted.
    """

    restart: Restart | None = None
    begins_shot: bool = False
    damage: Mapping[str, int] = field(default_factory=dict[str, int])


class Sink(Protocol):
    """Takes frames, one after the other.

    A class that names this one as its base gets what outputs that cannot be resumed answer.

    Attributes:
        frames: how many frames were written, those of an earlier run included.
        notes: what a user should know, one line each.
        encoding: how video files are encoded; None for other outputs.
        result: what became of a video file's streams, once it is closed.
    """

    frames: int
    notes: Sequence[str] = ()
    encoding: "Encoding | None" = None
    result: "Joined | None" = None

    @property
    def resumed(self) -> Restart | None:
        """The last frame that an earlier run has left here; None if there is none."""
        return None

    @property
    def repaint_behind(self) -> Restart | None:
        """The frame behind which a resumed run must paint again to continue as if it had never been
        interrupted (index -1: from the beginning); None if the next frame is soon enough."""
        return None

    @property
    def damage(self) -> Mapping[str, int]:
        """What the source of the earlier run had counted at that frame."""
        return {}

    @property
    def saved(self) -> int:
        """Frames of an unfinished output that `--resume` will find."""
        return 0

    @property
    def unfinished(self) -> Path | None:
        """The folder of what `--resume` will find; None for outputs that cannot be resumed."""
        return None

    @property
    def plays(self) -> bool:
        """Whether those can be played already."""
        return False

    def remember(self, facts: FrameFacts) -> None:
        """Facts about the next frame."""

    def write(self, frame: Frame) -> None:
        """Take the next frame; all frames have the same size and increasing times.

        Raises:
            SinkError: the output cannot take it (disk full, encoder failed).
            ValueError: the frame has another size than the sink was opened for.
        """
        ...

    def close(self) -> None:
        """Finish the output under its final name; a second call does nothing."""
        ...

    def give_up(self) -> None:
        """Called from another thread when the run is to end and a write does not: one that waits
        for somebody else (the reader of a pipe) raises SinkError. Files only wait for the disk."""
        return

    def abort(self) -> None:
        """Keep what is whole and playable, else leave nothing behind; safe after `close`."""
        ...


class SinkPlugin(Protocol):
    """What `PLUGIN`, a class of a module of this folder, offers."""

    @staticmethod
    def accepts(spec: str) -> bool:
        """True if `spec` names a sink of this kind; opens nothing."""
        ...

    def __call__(self, spec: str, info: SourceInfo, **options: Any) -> Sink:
        """Open it; which options it takes is seen from its signature."""
        ...


# Textures that programs of one machine share, and where: other ways reach the same programs.
TEXTURES = {"spout": "Windows", "syphon": "macOS"}


def open_sink(spec: str | Path, info: SourceInfo, **options: Unpack[SinkOptions]) -> Sink:
    """Open the sink that `spec` names.

    Args:
        spec: a path, `-`, `null`, or any of these after `<kind>:`.
        info: size and rate of the frames to come.
        options: see `SinkOptions`.

    Raises:
        UsageError: nothing here writes `spec`.
        EngineUnavailable: it is Spout or Syphon.
        OutputExists: it is there already.
    """
    text = str(spec)
    folder = sys.modules[__name__]
    known = names(folder)
    prefix, colon, rest = text.partition(":")
    if colon and prefix in ("file", "images", "pipe", "null"):
        return _build(load(folder, prefix), rest, info, options)
    # First what an address is: it may end as a file does.
    for name in ["stream", *known]:
        plugin = load(folder, name)
        # Windows and virtual cameras have no path; the webcam command opens them itself.
        if plugin.accepts(text):
            return _build(plugin, text, info, options)
    if prefix in TEXTURES:
        raise EngineUnavailable(
            f"no {prefix.capitalize()} here: Impasto shares no textures on {TEXTURES[prefix]}; the "
            "programs that take them take a camera (--virtual-camera) or NDI (--output ndi), too"
        )
    raise UsageError(
        f'no sink writes "{text}"; give a file name with one of these endings: .mp4 .mkv .mov '
        f".webm .gif, frames/%06d.png for pictures, - for standard output, null, rtmp:// or ndi"
    )


def _build(plugin: SinkPlugin, spec: str, info: SourceInfo, options: SinkOptions) -> Sink:
    known = inspect.signature(plugin).parameters
    return plugin(spec, info, **{name: value for name, value in options.items() if name in known})
