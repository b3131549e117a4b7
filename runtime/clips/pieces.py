"""A clip in pieces that different processes paint: planned, painted, and joined to the file that
one process alone would have made, frame by frame.

A piece is whole shots and whole segments of the journal (`runtime.media.journal`). It begins where
a shot begins, because nothing before that matters to a stabilizer, to a folded scene or to a
model's memory, and where a segment begins, because segments are encoded each for itself. Where
every frame is painted for itself, any segment will do. A shot is never divided, however long.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from .. import sources
from ..errors import UsageError
from ..frame import Frame
from ..media.journal import Segment
from ..media.streams import StreamMapping
from ..meter import Meter
from ..model.stylizer import Stylizer
from ..provenance import Provenance
from ..sinks.file import SEGMENT_FRAMES, FileSink, encoder_threads, segment_ends
from ..sources import Source
from ..stabilizers import ShotStabilizer
from . import pipeline
from .options import ClipOptions
from .painter import layers_of, open_stabilizer, scaled

# Frames after which a piece may end: half a minute at 30 per second. Opening the source and seeking
# cost about what painting a frame or two does.
PIECE_FRAMES = 900


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive frames of a clip.

    Attributes:
        first: index of its first frame.
        until: index of the first frame behind it; None for the rest of the clip.
        behind: index and time ("numerator/denominator", seconds) of the frame behind which its
            source begins; None for the clip's beginning.
    """

    first: int
    until: int | None = None
    behind: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a clip is divided.

    Attributes:
        pieces: in order.
        frames: of the whole clip.
        threads: of the encoder, whose result depends on it: the same on all machines.
        damage: what was found broken and concealed in the whole clip, by kind.
        remarks: what a user should know, one line each.
    """

    pieces: tuple[Piece, ...]
    frames: int
    threads: int
    damage: dict[str, int] = field(default_factory=dict[str, int])
    remarks: tuple[str, ...] = ()


def plan_pieces(
    path: Path,
    options: ClipOptions,
    stylizer: Stylizer | None = None,
    *,
    target: int = PIECE_FRAMES,
    threads: int | None = None,
) -> Plan:
    """Divide a clip: it is decoded once, and nothing is painted.

    Args:
        path: the clip.
        options: as it will be painted with.
        stylizer: needed where `needs_stylizer` says so.
        target: frames after which a piece ends as soon as it can.
        threads: of the encoder; None takes those of one process on this machine.

    Raises:
        StyleError: see `open_source`.
    """
    with sources.open_source(str(path), **options.source) as source:
        if source.info.live:
            raise UsageError(f'"{path}" never ends')
        _, _, scale = scaled(source, options.size)
        frames = (replace(f, image=scale(f.image)) if scale else f for f in source)
        context, shots = _shots(frames, options, stylizer)
        longest = options.sink.get("segment", SEGMENT_FRAMES)
        pieces, count = divide(shots, longest=longest, target=target, context=context)
        damage = {kind: number for kind, number in source.damage.items() if number}
        return Plan(
            tuple(pieces), count, threads or encoder_threads(), damage, tuple(source.remarks)
        )


def needs_stylizer(options: ClipOptions) -> bool:
    """Whether the models say where shots begin; a stabilizer would."""
    return open_stabilizer(options) is None


# A frame, whether a shot begins with it, and whether shots matter at all.
Marked = tuple[Frame, bool, bool]


def divide(
    frames: Iterable[Marked], *, longest: int, target: int, context: int = 0
) -> tuple[list[Piece], int]:
    """Pieces of a stream of frames, and their number.

    Args:
        frames: all of them.
        longest: frames of a segment.
        target: frames after which a piece ends as soon as a segment ends where a shot does.
        context: frames before a piece that its source must deliver as well.
    """
    pieces: list[Piece] = []
    recent: deque[Frame] = deque(maxlen=context + 1)
    first, behind = 0, None
    count = in_segment = 0
    for frame, begins, matter in frames:
        if in_segment and segment_ends(in_segment, longest, matter and begins):
            in_segment = 0
            if frame.index - first >= target and (begins or not matter):
                pieces.append(Piece(first, frame.index, behind))
                first, behind = frame.index, _place(recent, context)
        in_segment += 1
        count += 1
        recent.append(replace(frame, image=frame.image[:0]))
    pieces.append(Piece(first, None, behind))
    return pieces, count


def _place(recent: deque[Frame], context: int) -> tuple[int, str] | None:
    """The frame before the last `context` ones; None if there is none."""
    if len(recent) <= context:
        return None
    time = recent[0].time
    return recent[0].index, f"{time.numerator}/{time.denominator}"


def _shots(
    frames: Iterable[Frame], options: ClipOptions, stylizer: Stylizer | None
) -> tuple[int, Iterator[Marked]]:
    """The frames as `pipeline.run` finds shots in them, and the context a piece needs."""
    stabilizer = open_stabilizer(options)
    if isinstance(stabilizer, ShotStabilizer):
        marked = stabilizer.shots(frames)
        return stabilizer.context, ((frame, begins, True) for frame, begins in marked)
    if stabilizer is not None:
        return 0, ((frame, begins, True) for frame, begins in pipeline.cuts(frames, stabilizer))
    if stylizer is None:
        raise ValueError("without a stabilizer the models say where shots begin")
    stylizer.reset()
    if not stylizer.remembers:
        return 0, ((frame, False, False) for frame in frames)
    return 0, ((frame, stylizer.observe(frame.image), True) for frame in frames)


def paint_piece(
    path: Path,
    piece: Piece,
    plan: Plan,
    output: Path,
    stylizers: Sequence[Stylizer],
    options: ClipOptions,
    meter: Meter,
) -> list[tuple[Segment, Path]]:
    """Paint one piece into closed segments.

    Args:
        path: the clip.
        piece: of the plan.
        plan: of the clip.
        output: how the finished file will be called; the segments are written beside it.
        stylizers: the open model with its effects, and what paints the rest of the picture if
            `options.regions` wants it.
        options: those of the plan.
        meter: gets the stage times.

    Returns:
        What a journal says of each segment, and its file.

    Raises:
        StyleError: see `paint_clip`.
    """
    behind = None if piece.behind is None else (piece.behind[0], Fraction(piece.behind[1]))
    reading = options.source.copy()
    reading["after"], reading["seek"] = behind, not plan.damage
    with sources.open_source(str(path), **reading) as source, ExitStack() as closing:
        sink = _open_sink(_PieceSink, source, output, plan, options)
        sink.frames = piece.first
        layers, finish, on_shot = layers_of(stylizers, options, closing)
        pipeline.run(
            source,
            layers,
            [sink],
            meter,
            finish=finish,
            on_shot=on_shot,
            first=piece.first,
            until=piece.until,
            prepare=scaled(source, options.size)[2],
        )
    return [(segment, sink.journal.folder / segment.file) for segment in sink.journal.segments]


def join_pieces(
    path: Path,
    plan: Plan,
    segments: Iterable[tuple[Segment, Path]],
    output: Path,
    options: ClipOptions,
    provenance: Provenance | None = None,
) -> list[str]:
    """Put the file together from the segments of all pieces, in order, which are moved there.

    `provenance` is said in the file: what painted the pieces.

    Returns:
        What a user should know, one line each.

    Raises:
        StyleError: see `FileSink`; segments are missing.
    """
    with sources.open_source(str(path), **options.source) as source:
        sink = _open_sink(FileSink, source, output, plan, options, provenance)
        try:
            sink.adopt(segments)
            if sink.frames != plan.frames:
                raise UsageError(
                    f'"{path}": {plan.frames} frames were planned, {sink.frames} painted'
                )
            sink.close()
        except BaseException:
            sink.journal.remove()
            raise
        clip = source.clip
    result = sink.result
    joined = result.notes if result is not None else []
    return [*(clip.notes if clip is not None else []), *sink.notes, *joined, *plan.remarks]


class _PieceSink(FileSink):
    """Leaves its closed segments where they are."""

    def _plan_streams(self) -> list[StreamMapping]:
        return []

    def close(self) -> None:
        """Encode what is left."""
        if not self._done:
            self._done = True
            self._finish_segment(short=False)
            self.journal.close()

    def abort(self) -> None:
        """Nothing is kept of a piece that is not whole."""
        if not self._done:
            self._done = True
            self.journal.remove()


def _open_sink(
    kind: type[FileSink],
    source: Source,
    output: Path,
    plan: Plan,
    options: ClipOptions,
    provenance: Provenance | None = None,
) -> FileSink:
    info, clip, _ = scaled(source, options.size)
    wishes = options.sink
    return kind(
        output,
        info,
        clip=clip,
        codec=wishes.get("codec"),
        quality=wishes.get("quality"),
        preset=wishes.get("preset"),
        pixel_format=wishes.get("pixel_format"),
        encoder=wishes.get("encoder", "software"),
        overwrite=True,
        segment=wishes.get("segment", SEGMENT_FRAMES),
        threads=plan.threads,
        provenance=provenance,
    )
