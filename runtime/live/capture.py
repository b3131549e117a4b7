"""The capture thread: puts each new frame into a slot, survives cameras that vanish or stall.

A source is opened, read and closed in one thread (some camera drivers demand it), so a driver that
blocks for ever blocks only that thread: it is left behind, its frames are ignored from then on, and
a new one tries to open the camera again, with growing pauses. Files are not retried: their errors
are final. Errors reach the main thread through the slot. A viewer chooses among `Cameras`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2

from ..errors import SourceError, StyleError
from ..frame import Frame, Image
from ..meter import Meter
from ..sources import Source, SourceInfo
from .slot import Slot

# Pauses between attempts to open a lost camera, in seconds; the last one is repeated. A USB camera
# that was plugged in again needs one to three seconds until the system offers it.
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 5.0)
# Without a picture for so long a live source counts as stalled (dark-room exposure is at most 1 s;
# V4L2 itself gives up after 10 s).
STALL_S = 5.0
# Opening may take longer: network streams wait for a key frame, virtual cameras for their driver.
OPEN_S = 20.0
# A lost camera is given up after so many seconds without a picture.
GIVE_UP_S = 60.0
# How often the supervisor looks.
WATCH_S = 0.05
# How long a reader that was told to stop is waited for: a frame or two of a slow camera.
LEAVE_S = 1.0


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame, the moment (`time.perf_counter`, seconds) at which it was there, and how long it
    took to decode."""

    frame: Frame
    taken: float
    decode_ms: float = 0.0


class Capture:
    """Reads `open_source()` into `slot` until it ends, fails for good, or `close` is called.

    Attributes:
        slot: where the newest frame waits; closed at the end, with the error if there was one.
        status: "" while pictures come, else a few words for the screen ("camera lost, ...").
        name: of the source that is read now, or tried.
        reconnects: how often a lost source was opened again with success.
        arrived: frames delivered so far.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        meter: Meter,
        *,
        stall_s: float = STALL_S,
        open_s: float = OPEN_S,
        give_up_s: float = GIVE_UP_S,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self.slot: Slot[Captured] = Slot()
        self.status = ""
        self.name = "source"
        self.reconnects = 0
        self.arrived = 0
        self._open = open_source
        self._meter = meter
        self._stall_s, self._open_s, self._give_up_s = stall_s, open_s, give_up_s
        self._back_off_s = back_off_s
        self._stop, self._switched = threading.Event(), threading.Event()
        self._info: SourceInfo | None = None
        self._returns = self._other = False
        self._opened = threading.Event()
        self._seen = time.monotonic()
        self._offset = self._time = Fraction(0)
        self._thread = threading.Thread(target=self._supervise, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to open and read."""
        self._seen = time.monotonic()
        self._thread.start()

    def wait_info(self) -> SourceInfo:
        """What the source is, as soon as it is open; raises what opening raised."""
        self._opened.wait()
        if self._info is None:
            self.slot.get()
            raise SourceError("the source was closed while it was opened")
        return self._info

    def switch(self, open_source: Callable[[], Source], name: str) -> None:
        """Go on with another source, as if this one had come back; its pictures are fitted to the
        size of the first. Where it cannot be opened, that is said by its name and tried again."""
        self._open, self._other, self.name = open_source, True, name
        self._switched.set()

    def close(self, timeout: float = 2.0) -> None:
        """Stop reading; waits at most `timeout` seconds for a source that is blocked."""
        self._stop.set()
        self.slot.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _supervise(self) -> None:
        """Keep a reader running; decides what its end, its error or its silence means."""
        attempt = 0
        reader = _Reader(self._open, self)
        while not self._stop.is_set():
            reader.done.wait(WATCH_S)
            if self._switched.is_set():
                reader = self._replaced(reader)
                attempt, self._returns = 0, True
            if reader.num_frames:
                attempt = 0
            trouble = self._trouble(reader)
            if trouble is None:
                continue
            silent = time.monotonic() - self._seen
            if not (self._returns and isinstance(trouble, StyleError | _End)):
                return self._finish(None if isinstance(trouble, _End) else trouble)
            if silent > self._give_up_s:
                return self._finish(_given_up(self.name, silent, trouble))
            reader.abandon()
            pause = self._back_off_s[min(attempt, len(self._back_off_s) - 1)]
            attempt += 1
            self.status = f"{self.name}: no picture, trying again ({attempt})"
            if self._stop.wait(pause):
                break
            reader = _Reader(self._open, self, again=True)
        reader.abandon()
        # A thread that is inside OpenCV when Python ends takes the process down with it.
        reader.done.wait(LEAVE_S)
        self._finish(None)

    def _replaced(self, reader: "_Reader") -> "_Reader":
        """Leave a reader for one of the source that is to be read now. The old one must be closed
        first: some drivers open a camera once only."""
        self._switched.clear()
        reader.abandon()
        reader.done.wait(LEAVE_S)
        self._seen = time.monotonic()
        return _Reader(self._open, self, again=True)

    def _trouble(self, reader: "_Reader") -> Exception | None:
        """What is wrong with the reader: its error, its end, its silence, or nothing."""
        if reader.done.is_set():
            return reader.error or _End()
        now = time.monotonic()
        if reader.info is None:
            if now - reader.started > self._open_s:
                return SourceError(f"the source did not open within {self._open_s:g} s")
        elif reader.info.live and now - reader.latest > self._stall_s:
            return SourceError(f'"{reader.info.name}" gave no picture for {self._stall_s:g} s')
        return None

    def _finish(self, error: Exception | None) -> None:
        self.slot.close(error)
        self._opened.set()

    @property
    def stopping(self) -> bool:
        """True once `close` was called."""
        return self._stop.is_set()

    def on_open(self, reader: "_Reader") -> None:
        """The source is open: tell who waits for its facts."""
        if self._info is None:
            self._info, self._returns = reader.info, _returns(reader)
            self.name = reader.info.name if reader.info else self.name
            self._opened.set()

    def deliver(self, frame: Frame, taken: float, decode_ms: float, again: bool) -> None:
        """A frame came; `again`: the first one after the source was lost."""
        self._meter.add("decode", decode_ms)
        now = time.monotonic()
        if again:  # the new source counts from 0: go on where the old one stopped, plus the gap
            self.reconnects += 1
            gap = Fraction(round((now - self._seen) * 1000), 1000)
            self._offset = self._time + gap - frame.time
        self._seen = now
        self.status = ""
        self._time = frame.time + self._offset
        placed = replace(frame, image=self._fitted(frame.image), time=self._time)
        placed = replace(placed, index=self.arrived)
        self.slot.put(Captured(placed, taken, decode_ms))
        self.arrived += 1

    def _fitted(self, image: Image) -> Image:
        """A picture of another source at the size of the first one: what does not fit is cut off
        on both sides alike, nothing is stretched."""
        info = self._info
        if info is None or not self._other or image.shape[1::-1] == (info.width, info.height):
            return image
        return cover(image, info.width, info.height)


def cover(image: Image, width: int, height: int) -> Image:
    """The middle of a picture (H, W, 3), as large as it fills width x height, at that size."""
    high, wide = image.shape[:2]
    scale = max(width / wide, height / high)
    across, down = min(wide, round(width / scale)), min(high, round(height / scale))
    left, top = (wide - across) // 2, (high - down) // 2
    inside = image[top : top + down, left : left + across]
    return cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)


def _returns(reader: "_Reader") -> bool:
    """Whether it makes sense to open the source again after its end or an error: cameras and
    network streams come back, clips (`Paced.returns`) and counted test pictures do not."""
    info = reader.info
    endless = info is not None and info.live and info.num_frames is None
    return endless and (reader.source is None or reader.source.returns)


class _End(Exception):
    """The source ended by itself."""


class _Reader:
    """One attempt: opens, reads and closes a source in a thread of its own."""

    def __init__(self, open_source: Callable[[], Source], owner: Capture, again: bool = False):
        self.info: SourceInfo | None = None
        self.source: Source | None = None
        self.error: Exception | None = None
        self.num_frames = 0
        self.started = self.latest = time.monotonic()
        self.done = threading.Event()
        self._open, self._owner, self._again = open_source, owner, again
        self._left = False
        threading.Thread(target=self._run, name="capture-reader", daemon=True).start()

    def abandon(self) -> None:
        """Ignore this reader from now on; it ends when its source lets it."""
        self._left = True

    def _run(self) -> None:
        try:
            with self._open() as source:
                self.source, self.latest, self.info = source, time.monotonic(), source.info
                self._owner.on_open(self)
                for frame in source:
                    # Sources that know better when the picture was taken say so.
                    taken = source.taken or time.perf_counter()
                    if self._left or self._owner.stopping:
                        break
                    self.latest = time.monotonic()
                    decode_ms = source.decode_ms
                    first_again = self._again and self.num_frames == 0
                    self._owner.deliver(frame, taken, decode_ms, first_again)
                    self.num_frames += 1
        except Exception as error:  # carried to the main thread, which raises it
            self.error = error
        finally:
            self.done.set()


def _given_up(name: str, silent: float, last: Exception) -> SourceError:
    reason = f" ({last})" if str(last) else ""
    return SourceError(
        f"{name} was lost: no picture for {silent:.0f} s{reason}; check the cable, or that no "
        "other program uses it, and start again"
    )


def _no_camera(_: int) -> Callable[[], Source]:
    raise LookupError("there is no camera to choose")


@dataclass(slots=True)
class Cameras:
    """What can be chosen.

    Attributes:
        names: of the cameras by their number; empty where the source is none, or where the system
            does not list its cameras.
        current: number of the one that is read, -1 for none.
        opener: makes what opens one.
    """

    names: Mapping[int, str] = field(default_factory=dict[int, str])
    current: int = -1
    opener: Callable[[int], Callable[[], Source]] = _no_camera

    def choose(self, number: int, capture: Capture) -> str:
        """Read another one; says which, or why not."""
        if number not in self.names:
            known = ", ".join(map(str, self.names)) or "none"
            return f"no camera {number} to choose here; there are: {known}"
        if number != self.current:
            self.current = number
            capture.switch(self.opener(number), f"camera {number}")
        return f"camera {number}: {self.names[number]}"
