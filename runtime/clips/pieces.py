"""A clip in pieces that different processes paint: planned, painted, and joined to the file that
one process alone would have made, frame by frame.

A piece is whole segments of the journal (`runtime.media.journal`), because segments are encoded
each for itself. It begins where a shot begins, as nothing before that matters to a stabilizer, to a
folded scene or to a model's memory; where every frame is painted for itself, with any segment.

A shot that is long is divided as well, where that can be exact: a whole-shot stabilizer works in
parts, and what it shows of one follows from the frames of that part and of the one before. So both
are painted by both neighbors, each keeps what is its own, and models that are folded for each scene
are told what the plan knew of the scene there (`runtime.model.folding.Scene`). It cannot be exact
where something of the first frame is left for ever: with the stabilizer `live`, in recurrent
models, in the mask of a region, and in noise that follows the camera.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from .. import sources
from ..card import JsonObject
from ..errors import UsageError
from ..frame import Frame
from ..media.journal import Segment
from ..media.streams import StreamMapping
from ..meter import Meter
from ..model.stylizer import Stylizer
from ..provenance import Provenance
from ..sinks import Restart
from ..sinks.file import SEGMENT_FRAMES, FileSink, encoder_threads, segment_ends
from ..sources import Source, SourceOptions
from ..stabilizers import ShotStabilizer
from . import pipeline
from .checkpoints import Beginning
from .leaps import Leaps
from .options import ClipOptions
from .painter import checkpoints_of, layers_of, open_stabilizer, scaled
from .stages import START

# Frames after which a piece may end: half a minute at 30 per second. Opening the source and seeking
# cost about what painting a frame or two does.
PIECE_FRAMES = 900
# Share of the frames of a piece that ends within a shot which its neighbor may paint as well.
MOST_TWICE = 0.1

# What the models of a stylizer know of a scene (`Stylizer.scene`).
Scenes = list[JsonObject | None]


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive frames of a clip.

    Attributes:
        first: index of its first frame.
        until: index of the first frame behind it; None for the rest of the clip.
        behind: index and time ("numerator/denominator", seconds) of the frame behind which its
            source begins; None for the clip's beginning.
        reach: index of the first frame on which none of it depends; None for `until`.
        start: index of the frame with which painting begins; None for where the source does.
        scene: what the models know there of a scene that began earlier; None for nothing.
    """

    first: int
    until: int | None = None
    behind: tuple[int, str] | None = None
    reach: int | None = None
    start: int | None = None
    scene: Scenes | None = None


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
    stylizer: Callable[[], Stylizer] | None = None,
    *,
    target: int = PIECE_FRAMES,
    threads: int | None = None,
) -> Plan:
    """Divide a clip: it is decoded once, and nothing is painted. Where shots are long, it is begun
    again, and all of it is looked at.

    Args:
        path: the clip.
        options: as it will be painted with.
        stylizer: opens what paints, if it has a say in where pieces begin; None for nothing: then
            shots are not divided.
        target: frames after which a piece ends as soon as it can.
        threads: of the encoder; None takes those of one process on this machine.

    Raises:
        StyleError: see `open_source`.
    """
    with sources.open_source(str(path), **options.source) as source:
        if source.info.live:
            raise UsageError(f'"{path}" never ends')
        divided = _at_shots(source, options, target)
        if divided is not None:
            return _plan(source, *divided, threads)
    opened = stylizer() if stylizer is not None and _asks_models(options) else None
    with sources.open_source(str(path), **options.source) as source:
        _, _, scale = scaled(source, options.size)
        # Where every frame is painted for itself, nobody looks at any.
        unseen = open_stabilizer(options) is None and not (opened and opened.remembers)
        source.pictures = not unseen
        scale = None if unseen else scale
        frames = (replace(f, image=scale(f.image)) if scale else f for f in source)
        context, before, marks = _marks(frames, options, opened)
        longest = options.sink.get("segment", SEGMENT_FRAMES)
        divided = divide(marks, longest=longest, target=target, context=context, before=before)
        return _plan(source, *divided, threads)


def _at_shots(source: Source, options: ClipOptions, target: int) -> tuple[list[Piece], int] | None:
    """Pieces that end where shots do, and the number of frames; None where somebody must look at
    all frames, or at those of long shots."""
    stabilizer = open_stabilizer(options)
    if not isinstance(stabilizer, ShotStabilizer):
        return None
    leaps = Leaps(
        source,
        stabilizer.shots,
        context=stabilizer.context,
        longest=options.sink.get("segment", SEGMENT_FRAMES),
        target=target,
        scale=scaled(source, options.size)[2],
    )
    ends = leaps.ends()
    if ends is None:
        return None
    pieces = [Piece(0)]
    for index, behind in ends:
        pieces[-1] = replace(pieces[-1], until=index)
        pieces.append(Piece(index, None, None if behind is None else _written(behind)))
    return pieces, leaps.count


def _plan(source: Source, pieces: list[Piece], frames: int, threads: int | None) -> Plan:
    damage = {kind: number for kind, number in source.damage.items() if number}
    return Plan(tuple(pieces), frames, threads or encoder_threads(), damage, tuple(source.remarks))


def _asks_models(options: ClipOptions) -> bool:
    """Whether the models have a say in where pieces begin."""
    stabilizer = open_stabilizer(options)
    if stabilizer is None:
        return not options.noise
    return isinstance(stabilizer, ShotStabilizer) and _divides(options)


def _divides(options: ClipOptions) -> bool:
    return options.regions.region == "all" and not options.noise


@dataclass(frozen=True, slots=True)
class Mark:
    """A frame, and what may begin with it.

    Attributes:
        frame: it.
        shot: whether a shot does.
        alone: whether it has nothing to do with those before it.
        part: frames of the part of a shot that does; 0 if none does.
        scene: what the models know before it, worked out when it is asked for.
    """

    frame: Frame
    shot: bool = False
    alone: bool = False
    part: int = 0
    scene: Callable[[], Scenes | None] = lambda: None


def divide(
    marks: Iterable[Mark], *, longest: int, target: int, context: int = 0, before: int = 0
) -> tuple[list[Piece], int]:
    """Pieces of a stream of frames, and their number.

    Args:
        marks: all of them.
        longest: frames of a segment.
        target: frames after which a piece ends as soon as a segment ends where one may begin.
        context: frames before a piece that its source must deliver as well.
        before: parts of a shot without which the next one cannot be shown.
    """
    pieces: list[Piece] = []
    recent: deque[Frame] = deque(maxlen=context + 1)
    # The last parts of this shot: with the first of them painting for the next piece would begin.
    parts: deque[tuple[Mark, tuple[int, str] | None]] = deque(maxlen=before + 1)
    piece, count, in_segment = Piece(0), 0, 0
    for mark in marks:
        index = mark.frame.index
        if mark.shot:
            parts.clear()
        if mark.part:
            parts.append((mark, _place(recent, context)))
        if in_segment and segment_ends(in_segment, longest, mark.shot):
            in_segment, length = 0, index - piece.first
            if length >= target and (mark.shot or mark.alone):
                pieces.append(replace(piece, until=index))
                piece = Piece(index, None, _place(recent, context))
            elif parts and length >= max(target, _least(parts[-1][0].part, before)):
                (start, place), (last, _) = parts[0], parts[-1]
                reach = index if last.frame.index == index else last.frame.index + last.part
                pieces.append(replace(piece, until=index, reach=reach))
                scene = start.scene()
                piece = Piece(index, None, place, start=start.frame.index, scene=scene)
        in_segment += 1
        count += 1
        recent.append(replace(mark.frame, image=mark.frame.image[:0]))
    return [*pieces, piece], count


def _least(part: int, before: int) -> int:
    """Frames of a piece that ends within a shot, at least: the parts before it, and one that is
    painted on both sides of the end, are painted twice."""
    return math.ceil((before + 1) * part / MOST_TWICE) if before else 0


def _place(recent: deque[Frame], context: int) -> tuple[int, str] | None:
    """The frame before the last `context` ones; None if there is none."""
    if len(recent) <= context:
        return None
    return _written(recent[0])


def _written(frame: Frame) -> tuple[int, str]:
    return frame.index, f"{frame.time.numerator}/{frame.time.denominator}"


def _marks(
    frames: Iterable[Frame], options: ClipOptions, stylizer: Stylizer | None
) -> tuple[int, int, Iterator[Mark]]:
    """The frames with what `pipeline.run` finds in them, the context that a piece needs, and the
    parts of a shot that it needs before."""
    stabilizer = open_stabilizer(options)
    divides = _divides(options) and stylizer is not None and stylizer.continues
    if isinstance(stabilizer, ShotStabilizer):
        marked = stabilizer.shots(frames)
        if stylizer is not None and divides:
            return stabilizer.context, 1, _parts(marked, stabilizer, stylizer)
        return stabilizer.context, 0, (Mark(frame, begins) for frame, begins in marked)
    if stabilizer is not None:
        return 0, 0, (Mark(*marked) for marked in pipeline.cuts(frames, stabilizer))
    if options.noise:
        return 0, 0, (Mark(frame) for frame in frames)
    if stylizer is None:
        raise ValueError("without a stabilizer the models say where shots begin")
    stylizer.reset()
    if not stylizer.remembers:
        return 0, 0, (Mark(frame, alone=True) for frame in frames)
    return 0, 0, _scenes(frames, stylizer, part=int(divides))


def _parts(
    marked: Iterable[tuple[Frame, bool]], stabilizer: ShotStabilizer, stylizer: Stylizer
) -> Iterator[Mark]:
    """Frames with the shots of a stabilizer, and the parts that it makes of them."""
    count = 0
    for frame, begins in marked:
        if begins:
            stylizer.reset()
            count = 0
        length = stabilizer.part(*frame.image.shape[:2])
        # A part of one frame is no part: a shot that is one is shown as it was painted.
        opens = length > 1 and count % length == 0
        yield (
            Mark(frame, begins, part=length, scene=stylizer.scene())
            if opens
            else Mark(frame, begins)
        )
        count += 1
        if stylizer.remembers:
            stylizer.observe(frame.image)


def _scenes(frames: Iterable[Frame], stylizer: Stylizer, part: int) -> Iterator[Mark]:
    """Frames with the scenes that the models find, each frame a part of its own if `part` is 1."""
    for frame in frames:
        scene = stylizer.scene()
        yield Mark(frame, stylizer.observe(frame.image), part=part, scene=scene)


# What a journal says of a segment, and its file.
Closed = tuple[Segment, Path]


@dataclass(frozen=True, slots=True)
class Begun:
    """What another process left of a piece, and what this one leaves to others.

    Attributes:
        segments: the first ones of the piece, whose files are moved.
        folder: of what is painted and in no segment yet (`runtime.clips.checkpoints`).
        pictures: whether painted pictures are kept there as well.
        closed: called with each further segment as it is closed, and the frames of the clip up to
            its end, in the thread that encodes.
    """

    segments: Sequence[Closed]
    folder: Path
    pictures: bool
    closed: Callable[[Segment, Path, int], object]


@dataclass(frozen=True, slots=True)
class PaintedPiece:
    """A piece.

    Attributes:
        segments: of it, in order.
        taken: frames that another process had painted.
    """

    segments: list[Closed]
    taken: int


def paint_piece(
    path: Path,
    piece: Piece,
    plan: Plan,
    output: Path,
    stylizers: Sequence[Stylizer],
    options: ClipOptions,
    meter: Meter,
    begun: Begun | None = None,
) -> PaintedPiece:
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
        begun: what is there of it already; None to paint all of it and leave nothing on the way.

    Raises:
        StyleError: see `paint_clip`.
    """
    start = piece.first if piece.start is None else piece.start
    beginning = Beginning(start, _behind(piece))
    with ExitStack() as closing:
        source = closing.enter_context(_open_behind(path, beginning.behind, plan, options))
        sink = _open_sink(_PieceSink, source, output, plan, options)
        sink.begin(piece, begun)
        earlier = sink.saved - piece.first
        end = plan.frames if piece.until is None else piece.until
        if sink.frames > end:
            raise UsageError(f'"{path}": a piece that ends at {end} has {sink.frames} frames')
        if sink.frames == end:
            return PaintedPiece(sink.painted(), earlier)  # its painter died when it was whole
        layers, finish, matte = layers_of(stylizers, options, closing)
        checkpoints = None
        if begun is not None:
            checkpoints = checkpoints_of(begun.folder, sink, layers, matte, pictures=begun.pictures)
            beginning = checkpoints.beginning
        if beginning.behind != _behind(piece):
            source.close()
            source = closing.enter_context(_open_behind(path, beginning.behind, plan, options))
        entered = beginning.frame == start and beginning.state is None
        pipeline.run(
            source,
            layers,
            [sink],
            meter,
            finish=finish,
            on_shot=None if matte is None else matte.reset,
            first=sink.frames,
            until=piece.until,
            reach=piece.reach,
            entry=_entry(piece, start, stylizers[0]) if entered else None,
            prepare=scaled(source, options.size)[2],
            checkpoints=checkpoints,
        )
    taken = earlier if checkpoints is None else earlier + checkpoints.taken
    return PaintedPiece(sink.painted(), taken)


def _behind(piece: Piece) -> Restart:
    """The frame behind which the source of a piece begins."""
    return START if piece.behind is None else (piece.behind[0], Fraction(piece.behind[1]))


def _open_behind(path: Path, behind: Restart, plan: Plan, options: ClipOptions) -> Source:
    reading: SourceOptions = {**options.source, "seek": not plan.damage}
    if behind[0] >= 0:
        reading["after"] = behind
    return sources.open_source(str(path), **reading)


def _entry(piece: Piece, start: int, stylizer: Stylizer) -> pipeline.Entry:
    def restore() -> None:
        if piece.scene is not None:
            stylizer.restore(piece.scene)

    return pipeline.Entry(start, restore)


def join_pieces(
    path: Path,
    plan: Plan,
    segments: Iterable[tuple[Segment, Path]],
    output: Path,
    options: ClipOptions,
    provenance: Provenance | None = None,
) -> list[str]:
    """Put the file together from the segments of all pieces, in order, which are moved there.

    `provenance` is said in the file: what painted the pieces; `options.signer` signs it.

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
    """Leaves its closed segments where they are, and tells of each. Frames are counted as in the
    whole clip."""

    _first = 0
    _behind = START
    _begun: Begun | None = None

    def begin(self, piece: Piece, begun: Begun | None) -> None:
        """Take over what is there of a piece."""
        self._first, self._behind = piece.first, _behind(piece)
        if begun is not None:
            self.adopt(begun.segments)
            self._begun = begun
        self.frames = self.saved

    def painted(self) -> list[Closed]:
        """All segments."""
        journal = self.journal
        return [(segment, journal.folder / segment.file) for segment in journal.segments]

    @property
    def saved(self) -> int:
        """Frames of the clip up to the end of the last closed segment."""
        return self._first + self.journal.frames

    @property
    def resumed(self) -> Restart | None:
        """As of files, counted as in the clip."""
        last = super().resumed
        return None if last is None else (self._first + last[0], last[1])

    @property
    def repaint_behind(self) -> Restart | None:
        """As of files; where the source of the piece begins, as long as nothing of it is whole."""
        return super().repaint_behind if self.journal.segments else self._behind

    def _plan_streams(self) -> list[StreamMapping]:
        return []

    def _close_segment(self, short: bool = False) -> None:
        super()._close_segment(short)
        if self._begun is not None:
            segment, file = self.painted()[-1]
            self._begun.closed(segment, file, self.saved)

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


AnySink = TypeVar("AnySink", bound=FileSink)


def _open_sink(
    kind: type[AnySink],
    source: Source,
    output: Path,
    plan: Plan,
    options: ClipOptions,
    provenance: Provenance | None = None,
) -> AnySink:
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
        signer=options.signer,
    )
