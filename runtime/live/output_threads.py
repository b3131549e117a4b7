"""Sinks beside the window, each in a thread of its own, so that none of them can delay the picture.

A preview or a virtual camera gets the newest frame and misses what it is too slow for. A recording
may fall behind by a few frames before it loses one, because its frames are meant to stay.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

from ..errors import SinkError
from ..frame import Frame
from ..sinks import Sink

# Frames a recording may be behind: a quarter of a second at 30 per second (an encoder's key frame
# or a slow disk), 22 MB at 1280x720.
BEHIND = 8
# Seconds allowed to open a sink, and to finish one that keeps nothing (a reader of our pipe that
# does not read must not hold up the exit). Recordings are waited for until they are whole.
OPEN_S, CLOSE_S = 20.0, 5.0


class OutputThread:
    """A sink and the thread that feeds it.

    Attributes:
        name: for messages.
        written, dropped: frames.
        sink: the sink itself once it is open.
    """

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], Sink],
        *,
        behind: int = 1,
        timer: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Start to open the sink.

        Args:
            open_sink: makes it; called in the output's thread, which also writes and closes it.
            behind: frames that may wait; with 1 a newer frame replaces the waiting one, with more
                the new one is dropped when all places are taken.
            timer: gets the milliseconds each write took.
        """
        self.name, self.written, self.dropped = name, 0, 0
        self.sink: Sink | None = None
        self._open_sink, self._behind, self._timer = open_sink, behind, timer
        self._waiting: deque[Frame] = deque()
        self._change = threading.Condition()
        self._ending = self._opened = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"outlet {name}", daemon=True)
        self._thread.start()

    def wait_open(self) -> None:
        """Wait until the sink is open; raises what opening raised."""
        with self._change:
            if not self._change.wait_for(lambda: self._opened or self._error is not None, OPEN_S):
                raise SinkError(f"{self.name} did not open within {OPEN_S:g} s")
        self.check()

    def offer(self, frame: Frame) -> None:
        """Hand over a frame; never blocks. The frame must not be written to afterwards."""
        with self._change:
            if self._ending or self._error is not None:
                return
            if len(self._waiting) >= self._behind:
                self.dropped += 1
                if self._behind > 1:
                    return
                self._waiting.clear()
            self._waiting.append(frame)
            self._change.notify_all()

    def check(self) -> None:
        """Raise the sink's error in the calling thread, if there is one."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Write what waits, finish the sink; raises its error. Further calls do nothing more."""
        self.end()
        self._thread.join(CLOSE_S if self._behind == 1 else None)
        self.check()
        if self._thread.is_alive():
            raise SinkError(f"{self.name} did not finish within {CLOSE_S:g} s")

    def end(self) -> None:
        """Let it finish by itself; `finished` tells when, `close` waits for it."""
        with self._change:
            self._ending = True
            self._change.notify_all()

    @property
    def finished(self) -> bool:
        """True when the sink is closed, well or with an error."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            sink = self._open_sink()
        except BaseException as error:
            self._fail(error)
            return
        with self._change:
            self.sink, self._opened = sink, True
            self._change.notify_all()
        try:
            while (frame := self._next()) is not None:
                start = time.perf_counter()
                sink.write(frame)
                self._timer((time.perf_counter() - start) * 1000.0)
                self.written += 1
                del frame  # its buffer is free again
            sink.close()
        except BaseException as error:
            # The first error is the one to report; what can be kept of the output is kept.
            with contextlib.suppress(Exception):
                sink.abort()
            self._fail(error)

    def _next(self) -> Frame | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._ending)
            return self._waiting.popleft() if self._waiting else None

    def _fail(self, error: BaseException) -> None:
        with self._change:
            self._error = error
            self._waiting.clear()
            self._change.notify_all()
