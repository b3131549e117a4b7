"""The threads around the painter: those that read, write and paint ahead, and where shots begin.

Queues between them are short and every wait ends when the run ends; errors travel as values.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import tee
from time import monotonic
from typing import Generic, TypeVar

import numpy as np

from ..frame import Frame, Image
from ..meter import Meter, clock
from ..sinks import FrameFacts, Restart, Sink
from ..sources import Source

# Frames that may wait between two stages. A few smooth out uneven stages; more only cost memory
# (a 4K frame is 25 MB).
QUEUE_FRAMES = 4
# Seconds after which a waiting thread looks whether the run has ended.
POLL = 0.1
# Seconds that a run which was told to stop waits for an output that takes nothing; and that the end
# of a run waits for a thread.
GIVE_UP_S = 5.0
PATIENCE_S = 60.0
# Frames a stabilizer may read ahead of the frame it paints.
AHEAD = 4096
# The place before the first frame.
START: Restart = (-1, Fraction(0))


Item = TypeVar("Item")


class Shots:
    """Where each shot begins, so that a resumed run can begin painting there.

    Args:
        context: frames before a shot that are needed to find its beginning again.
        on_shot: called when one begins by a cut.
        restart: behind which frame a run finds the shot in which this one begins.

    Attributes:
        matter: False when every frame is painted for itself.
        openings: first frames of all shots so far: painting may be a shot ahead of what is asked
            about.
    """

    def __init__(
        self,
        context: int = 0,
        on_shot: Callable[[], object] | None = None,
        restart: Restart = START,
    ) -> None:
        self.matter = False
        self.openings = {0}
        self._context, self._on_shot = context, on_shot
        # First frame of each shot, oldest first, and behind which frame a run finds it.
        self._begun: list[tuple[int, Restart]] = [(0, restart)]
        self._recent: deque[Restart] = deque(maxlen=AHEAD)

    def passed(self, frame: Frame) -> None:
        """A frame was read."""
        self._recent.append((frame.index, frame.time))

    def begin(self, index: int, *, cut: bool = True) -> None:
        """A shot begins with this frame; not by a cut where every frame is one of its own."""
        if not self.matter:
            return
        self.openings.add(index)
        if cut and self._on_shot is not None:
            self._on_shot()
        place = self.place_before(index - self._context)
        if place is not None:
            self._begun.append((index, place))

    def place_before(self, index: int) -> Restart | None:
        """Index and time of the frame before this one; None if it was not seen."""
        if index <= 0:
            return START
        return next((r for r in reversed(self._recent) if r[0] == index - 1), None)

    def opens(self, index: int) -> bool:
        """Whether a shot begins with this frame."""
        return index in self.openings

    def restart_for(self, index: int) -> Restart | None:
        """The frame behind which a run must begin that is to paint frame `index` as this one does;
        index -1: from the beginning."""
        if not self.matter:
            return None
        while len(self._begun) > 1 and self._begun[1][0] <= index:
            del self._begun[0]
        return self._begun[0][1]


class Reader(threading.Thread):
    """Iterates a source in a thread of its own; iterate it for the frames.

    Attributes:
        next: index behind the last frame that was read.
        exhausted: True once the source has ended by itself.
    """

    def __init__(
        self,
        source: Source,
        meter: Meter,
        stop: threading.Event,
        ended: threading.Event,
        prepare: Callable[[Image], Image] | None,
    ) -> None:
        super().__init__(name="decode", daemon=True)
        self.next, self.exhausted = 0, False
        self._source, self._meter, self._prepare = source, meter, prepare
        self._stop_event, self._ended = stop, ended
        self._queue: queue.Queue[Frame | _End] = queue.Queue(QUEUE_FRAMES)

    def run(self) -> None:
        """The thread: read until the end, an error, or the end of the run."""
        last: BaseException | None = None
        try:
            frames = iter(self._source)
            while not self._ended.is_set() and not self._stop_event.is_set():
                start = clock()
                frame = next(frames, None)
                if frame is None:
                    self.exhausted = True
                    break
                self.next = frame.index + 1
                if self._prepare is not None:
                    frame = _prepared(frame, self._prepare)
                self._meter.since("decode", start)
                _put(self._queue, frame, self._ended)
        except BaseException as error:
            last = error
        _put(self._queue, _End(last), self._ended)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            item = _get(self._queue, self._ended)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


def _prepared(frame: Frame, prepare: Callable[[Image], Image]) -> Frame:
    """The frame at another size, its alpha as well."""
    alpha = frame.alpha
    if alpha is not None:
        alpha = prepare(np.repeat(alpha[..., None], 3, -1))[..., 0]
    return replace(frame, image=prepare(frame.image), alpha=alpha)


class Ahead(threading.Thread, Generic[Item]):
    """Makes things in a thread of its own while the one before is used; iterate it for them.

    Not more than one is ready at a time, and the next is begun when that was taken: shots are
    large.

    Args:
        items: made in the thread; errors are raised where they are taken.
        ended: ends every wait.

    Attributes:
        dropped: set when nobody takes them any more.
    """

    def __init__(self, items: Iterator[Item], ended: threading.Event) -> None:
        super().__init__(name="paint", daemon=True)
        self.dropped = threading.Event()
        self._items, self._ended = items, ended
        self._queue: queue.Queue[Item | _End] = queue.Queue(1)
        self._taken = threading.Semaphore(0)

    def run(self) -> None:
        """The thread: one after the other."""
        last: BaseException | None = None
        try:
            for item in self._items:
                self._queue.put(item)  # it is empty: the one before was taken
                del item
                while not self._taken.acquire(timeout=POLL):
                    if self._ended.is_set() or self.dropped.is_set():
                        return
        except BaseException as error:
            last = error
        self._queue.put(_End(last))

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = _get(self._queue, self._ended)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            self._taken.release()
            yield item

    def close(self) -> None:
        """Nothing more is wanted; waits for the thread, which ends with what it makes now."""
        self.dropped.set()
        self.join(PATIENCE_S)


def share_frames(frames: Iterable[Frame], count: int) -> list[Iterator[Frame]]:
    """The same frames for several threads; what one has read is kept for the others."""
    lock = threading.Lock()

    def locked(copy: Iterator[Frame]) -> Iterator[Frame]:
        while True:
            with lock:
                frame = next(copy, None)
            if frame is None:
                return
            yield frame

    return [locked(copy) for copy in tee(frames, count)]


class Writer(threading.Thread):
    """Feeds the sinks in a thread of its own."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        meter: Meter,
        ended: threading.Event,
        stop: threading.Event,
    ) -> None:
        super().__init__(name="encode", daemon=True)
        self._sinks, self._meter, self._ended, self._stop_event = sinks, meter, ended, stop
        # When the last frame was written, and when nobody had said stop yet.
        self._moved = self._stopped = monotonic()
        self._queue: queue.Queue[_Written | _End] = queue.Queue(QUEUE_FRAMES)
        self._error: BaseException | None = None

    def put(self, frame: Frame, facts: FrameFacts) -> None:
        """Hand over a frame; raises what a sink has raised meanwhile."""
        self._raise()
        self._put((frame, facts))

    def finish(self) -> None:
        """Wait until everything is written; raises what a sink raised."""
        self._put(_End(None))
        while self.is_alive():
            self._look()
            self.join(POLL)
        self._raise()

    def give_up(self) -> None:
        """End writes that wait for somebody, and the thread."""
        for sink in self._sinks:
            sink.give_up()
        self.join(PATIENCE_S)

    def _put(self, item: "_Written | _End") -> None:
        while not self._ended.is_set():
            try:
                self._queue.put(item, timeout=POLL)
                return
            except queue.Full:
                self._look()

    def _look(self) -> None:
        """Once the run was told to stop, who takes nothing for a while is given up."""
        if not self._stop_event.is_set():
            self._stopped = monotonic()
        elif monotonic() - max(self._moved, self._stopped) > GIVE_UP_S:
            for sink in self._sinks:
                sink.give_up()

    def run(self) -> None:
        """The thread: write until the end, or the first error."""
        try:
            while not isinstance(item := _get(self._queue, self._ended), _End):
                frame, facts = item
                start = clock()
                for sink in self._sinks:
                    sink.remember(facts)
                    sink.write(frame)
                self._meter.since("encode", start)
                self._moved = monotonic()
        except BaseException as error:
            self._error = error
            self._ended.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


@dataclass(frozen=True)
class _End:
    """The last thing in a queue: nothing more comes, or an error did."""

    error: BaseException | None


# What the writer is given.
_Written = tuple[Frame, FrameFacts]


def _put(target: "queue.Queue[Item]", item: Item, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            target.put(item, timeout=POLL)
            return
        except queue.Full:
            continue


def _get(target: "queue.Queue[Item]", ended: threading.Event) -> Item | _End:
    while True:
        try:
            return target.get(timeout=POLL)
        except queue.Empty:
            if ended.is_set():
                return _End(None)
