"""Files from source to sink: decode | paint and stabilize | encode, overlapping, losing nothing.

Threads, joined by short queues: a source that is faster than the model waits, so memory stays
constant. Reading and writing have threads of their own; session and stabilizer live in the
caller's, but where whole shots are stabilized: then the session paints the next one in a thread of
its own. Errors cross the queues as values and are raised in the caller's thread; every wait ends
when the run ends, so nothing can hang.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Protocol

from ..errors import SinkError, StyleError
from ..frame import Frame, Image, keep_pictures
from ..meter import Meter, clock
from ..sinks import FrameFacts, Sink
from ..sources import Source
from ..stabilizers import PaintedShot, ShotStabilizer, Stabilizer
from ..state import State, nest, part
from .checkpoints import Checkpoints
from .stages import PATIENCE_S, START, Ahead, Reader, Shots, Writer, share_frames
from .steady import Painter, SteadyPainter, prepare_frame

# (frame as read, painted frame of each layer) to the frame that is written.
Finish = Callable[..., Image]


class Watcher(Protocol):
    """Is told how far a run is: of painted frames and of shots in the thread that paints, of
    written ones in the caller's."""

    def painted(self) -> None:
        """The network has painted one more frame that the sinks want."""

    def written(self) -> None:
        """One more frame goes to the sinks."""

    def shot(self) -> None:
        """A shot begins."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A painting of every frame.

    Attributes:
        session: what paints it.
        stabilizer: None for none.
    """

    session: Painter
    stabilizer: Stabilizer | ShotStabilizer | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A place within a shot where painting begins, with what is known of the frames before it.

    Attributes:
        start: index of the first frame that is painted.
        restore: tells the models what they would know there.
    """

    start: int
    restore: Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Where:
    """Where the painting of a layer begins, and where another run could begin.

    Attributes:
        until: index of the first frame that is not painted any more; None for all.
        number: of the layer.
    """

    entry: Entry | None
    checkpoints: Checkpoints | None
    until: int | None = None
    number: int = 0

    @property
    def start(self) -> int:
        """Index of the first frame that is painted; 0 where that follows from the source."""
        if self.entry is not None:
            return self.entry.start
        return 0 if self.checkpoints is None else self.checkpoints.beginning.frame

    @property
    def state(self) -> State | None:
        """What the layer remembered before it."""
        return None if self.checkpoints is None else self.checkpoints.layer(self.number)

    def offer(self, frame: int, shots: Shots, state: Callable[[], State | None]) -> None:
        """See `Checkpoints.offer`."""
        if self.checkpoints is not None:
            self.checkpoints.offer(self.number, frame, shots, state)


@dataclass
class Report:
    """What a run did.

    Attributes:
        frames_in: frames the source delivered for painting (repainted ones not counted twice).
        frames_out: frames every sink has taken, those of an earlier run included.
        seconds: wall time of this run.
        painted: frames painted in this run.
        interrupted: True if `stop` was set before the source ended.
    """

    frames_in: int = 0
    frames_out: int = 0
    seconds: float = 0.0
    painted: int = 0
    interrupted: bool = False

    @property
    def fps(self) -> float:
        """Frames painted per second of this run."""
        return self.painted / self.seconds if self.seconds else 0.0


def run(
    source: Source,
    layers: Sequence[Layer],
    sinks: Sequence[Sink],
    meter: Meter,
    *,
    finish: Finish | None = None,
    on_shot: Callable[[], object] | None = None,
    stop: threading.Event | None = None,
    watcher: Watcher | None = None,
    first: int = 0,
    until: int | None = None,
    reach: int | None = None,
    prepare: Callable[[Image], Image] | None = None,
    entry: Entry | None = None,
    checkpoints: Checkpoints | None = None,
) -> Report:
    """Paint all frames of a source into all sinks, in order.

    Args:
        source: where the frames come from.
        layers: what paints every frame; further ones are put together with the first by `finish`.
        sinks: each gets every frame. They are closed here: `close` when all went well, `abort`
            when the run was stopped or failed.
        meter: gets the stages decode, style, stabilize, encode.
        finish: last touch: (frame as read, painted frame, that of each layer beside it) to the
            frame that is written; called in order.
        on_shot: called before `finish` is given the first frame of a shot.
        stop: set it (from a signal handler) to end after the frame being painted.
        watcher: is told how far the run is.
        first: index of the first frame the sinks want: earlier ones are painted, so that the
            stabilizer knows the past, and thrown away (resumed runs).
        until: index of the first frame the sinks do not want any more; None for all.
        reach: index of the first frame on which none before `until` depends; None for `until`.
        prepare: first touch, in the decoding thread: the frame as read to the frame to paint, for
            another size.
        entry: where painting begins, if not with a shot.
        checkpoints: keep what is painted in case the run is killed, and say where it begins if it
            goes on with one that was.

    Raises:
        Whatever source, session, stabilizer or a sink raises; SinkError if a sink ends up with
        another number of frames than the source delivered.
    """
    keep_pictures()
    stop = stop or threading.Event()
    ended = threading.Event()
    report = Report()
    started = time.perf_counter()
    decoded = Reader(source, meter, stop, ended, prepare)
    writer = Writer(sinks, meter, ended, stop)
    stabilizer = layers[0].stabilizer
    context = stabilizer.context if isinstance(stabilizer, ShotStabilizer) else 0
    reach = reach or until
    frames = decoded if reach is None else _until(decoded, reach + context)
    restart = (sinks[0].repaint_behind if sinks else None) or START
    shots = Shots(context, watcher.shot if watcher is not None else None, restart)
    stack = ExitStack()
    try:
        decoded.start()
        writer.start()
        if checkpoints is not None:
            layers = [
                replace(layer, session=checkpoints.keeping(number, layer.session))
                for number, layer in enumerate(layers)
            ]
        if watcher is not None:
            layers = [Layer(_Watched(layers[0].session, watcher), stabilizer), *layers[1:]]
        where = _Where(entry, checkpoints, reach)
        painted = stack.enter_context(
            closing(_paint(frames, layers, meter, shots, finish, on_shot, stop, ended, where))
        )
        for frame in painted:
            if frame.index >= first:
                restart, begins = shots.restart_for(frame.index), shots.opens(frame.index)
                writer.put(frame, FrameFacts(restart, begins, dict(source.damage)))
                if watcher is not None:
                    watcher.written()
            if checkpoints is not None:
                checkpoints.tidy(shots)
            report.painted += 1
            report.frames_in = frame.index + 1
            if stop.is_set() or report.frames_in == until:
                break
        stack.close()
        writer.finish()
        if checkpoints is not None:
            checkpoints.close()
    except BaseException as error:
        ended.set()
        stack.close()
        writer.give_up()
        if checkpoints is not None:
            checkpoints.close()
        decoded.join(PATIENCE_S)
        try:
            _abort(sinks)
        except StyleError as second:
            # The first error is the cause; the second is kept for whoever reads the traceback.
            error.add_note(str(second))
        raise
    ended.set()
    decoded.join(PATIENCE_S)
    report.frames_in = max(report.frames_in, first)
    # A broadcast has no end: whoever stops it has got what they wanted.
    ended_itself = decoded.exhausted and report.frames_in == max(first, decoded.next)
    enough = report.frames_in == until or (source.info.live and report.frames_in > 0)
    report.interrupted = not (ended_itself or enough)
    _end(sinks, report)
    report.seconds = time.perf_counter() - started
    return report


def _until(frames: Iterable[Frame], end: int) -> Iterator[Frame]:
    """The frames before this one: what is not wanted is not painted ahead either."""
    return takewhile(lambda frame: frame.index < end, frames)


def _end(sinks: Sequence[Sink], report: Report) -> None:
    """Close the sinks and check that every frame arrived."""
    if report.interrupted:
        _abort(sinks)
        report.frames_out = min((sink.frames for sink in sinks), default=0)
        return
    for sink in sinks:
        sink.close()
        if sink.frames != report.frames_in:
            raise SinkError(
                f"{report.frames_in} frames were read, {sink.frames} written: this is a bug, the "
                "output is not complete"
            )
    report.frames_out = report.frames_in


def _abort(sinks: Sequence[Sink]) -> None:
    """Abort all sinks; the first error is raised when all have been asked."""
    errors: list[Exception] = []
    for sink in sinks:
        try:
            sink.abort()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _paint(
    frames: Iterable[Frame],
    layers: Sequence[Layer],
    meter: Meter,
    shots: Shots,
    finish: Finish | None,
    on_shot: Callable[[], object] | None,
    stop: threading.Event,
    ended: threading.Event,
    where: "_Where",
) -> Generator[Frame, None, None]:
    """Finished frames, in order, each with the time and index of its input."""
    if finish is None:
        yield from _paint_all(frames, layers[0], meter, shots, stop, ended, where)
        return
    # Layers read ahead as they need; what one has read is kept for the others.
    originals, *copies = share_frames(frames, 1 + len(layers))
    # Cuts are found in what the camera saw: all layers find the same.
    places = [shots, *(Shots() for _ in layers[1:])]
    streams = [
        _paint_all(copy, layer, meter, place, stop, ended, replace(where, number=number))
        for number, (copy, layer, place) in enumerate(zip(copies, layers, places, strict=True))
    ]
    try:
        for painted in zip(*streams, strict=False):  # a stopped run ends in the middle
            index = painted[0].index
            image = next(frame for frame in originals if frame.index == index).image
            if on_shot is not None and shots.opens(index):
                on_shot()
            shown = finish(image, *(frame.image for frame in painted))
            yield replace(painted[0], image=shown)
    finally:
        for stream in streams:
            stream.close()


def _paint_all(
    frames: Iterable[Frame],
    layer: Layer,
    meter: Meter,
    shots: Shots,
    stop: threading.Event,
    ended: threading.Event,
    where: "_Where",
) -> Generator[Frame, None, None]:
    """Painted frames, in order, each with the time and index of its input."""
    session, stabilizer = layer.session, layer.stabilizer
    if isinstance(stabilizer, ShotStabilizer):
        session.reset()
        if where.entry is not None:
            where.entry.restore()
        # A shot may take long; whoever stops the run does not want to wait for its end.
        with suppress(_Stopped):
            yield from _paint_shots(frames, session, stabilizer, meter, shots, stop, ended, where)
        return
    shots.matter = stabilizer is not None or session.remembers
    painter = SteadyPainter(session, stabilizer, meter)
    if where.entry is not None:
        where.entry.restore()
    before = where.state
    if before is not None:
        painter.resume(before)
    for frame in frames:
        if shots.matter:
            where.offer(frame.index, shots, painter.state)
        shown = painter.paint(frame.image)
        if painter.begins and (frame.index or stabilizer is None):
            shots.begin(frame.index, cut=stabilizer is not None)
        shots.passed(frame)
        yield replace(frame, image=shown)


def cuts(frames: Iterable[Frame], stabilizer: Stabilizer) -> Iterator[tuple[Frame, bool]]:
    """Each frame with whether `run` would begin a shot there; nothing is painted: where shots begin
    depends on the frames as they are."""
    for frame in frames:
        _, cut = prepare_frame(frame.image, stabilizer, begun=frame.index > 0)
        stabilizer.step(frame.image, frame.image)
        yield frame, cut or not frame.index


def _paint_shots(
    frames: Iterable[Frame],
    session: Painter,
    stabilizer: ShotStabilizer,
    meter: Meter,
    shots: Shots,
    stop: threading.Event,
    ended: threading.Event,
    where: "_Where",
) -> Iterator[Frame]:
    """As `_paint_all` for stabilizers that work on whole shots: the next one is painted in another
    thread while one is stabilized."""
    shots.matter = True
    begin, state = where.start, where.state
    # Index of the next frame to be styled.
    upcoming: int | None = None

    def feed() -> Iterator[Frame]:
        nonlocal upcoming
        for frame in frames:
            if upcoming is None and frame.index >= begin:
                upcoming = frame.index
            shots.passed(frame)
            yield frame

    def stylize(image: Image) -> Image:
        nonlocal upcoming
        if stop.is_set() or ended.is_set() or ahead.dropped.is_set():
            raise _Stopped
        with meter("style"):
            result = session.stylize(image)
        upcoming = (upcoming or 0) + 1
        return result

    def on_cut() -> None:
        # Called before the first frame of a shot is painted: the next one to be styled opens it.
        shots.begin(upcoming or 0)
        session.reset()

    def painted() -> Iterator[tuple[PaintedShot, State | None]]:
        """Each part of a shot, with what the session remembers behind it."""
        tail = None
        if state is not None:
            session.resume(part("painter", state))
            tail = part("shot", state)
        for shot in stabilizer.paint(
            feed(), stylize, on_cut=on_cut, start=begin, until=where.until, before=tail
        ):
            yield shot, session.state() if where.checkpoints is not None else None

    def state_behind(shot: PaintedShot, remembered: State | None) -> State | None:
        if remembered is None:
            return None
        return nest("shot", shot.state()) | nest("painter", remembered)

    ahead = Ahead(painted(), ended)
    ahead.start()
    before: PaintedShot | None = None
    remembered: State | None = None
    place = begin
    try:
        for shot, then in ahead:
            if before is not None and not shots.opens(place):
                where.offer(place, shots, partial(state_behind, before, remembered))
            place, remembered = place + shot.count, then
            shown = shot.shown(before)
            shares: list[float] = []
            while True:
                start = clock()
                frame = next(shown, None)
                if frame is None:
                    break
                spent = [1000 * (now - then) for now, then in zip(clock(), start, strict=True)]
                # What was spent on all frames before the first is shared by them.
                if not shares:
                    shares, spent = [value / shot.count for value in spent], [0.0, 0.0]
                meter.add("stabilize", *(sum(pair) for pair in zip(shares, spent, strict=True)))
                yield frame
            before = shot
    finally:
        ahead.close()


class _Watched(Painter):
    """A painter whose pictures are counted."""

    def __init__(self, painter: Painter, watcher: Watcher) -> None:
        self._painter, self._watcher = painter, watcher

    @property
    def remembers(self) -> bool:
        return self._painter.remembers

    def state(self) -> State | None:
        return self._painter.state()

    def resume(self, state: State) -> None:
        self._painter.resume(state)

    @property
    def begins_scene(self) -> bool:
        return self._painter.begins_scene

    def stylize(self, image: Image) -> Image:
        painted = self._painter.stylize(image)
        self._watcher.painted()
        return painted

    def reset(self) -> None:
        self._painter.reset()


class _Stopped(Exception):
    """The run was stopped in the middle of a shot."""
