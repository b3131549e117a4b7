"""Recording while the picture runs: started and stopped by a key, written beside the show.

A recording never ends the show. What goes wrong after its start (a full disk, an encoder that
gives up) stops the recording and is said on the screen; `close` raises it when the show is over.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleError
from ..frame import Frame
from ..sinks import Sink
from .output_threads import BEHIND, OutputThread

if TYPE_CHECKING:
    from ..media.container import ClipInfo

# The clock of recordings, in seconds: MPEG's 90 kHz, fine enough for the true times of any camera.
TICK = Fraction(1, 90_000)
# Recordings that are put together while a new one may begin.
MOST_ENDING = 4


class Recorder:
    """Zero or one recording at a time, each to a file of its own.

    Args:
        path: of the first file; the next ones are numbered, past names that are taken.
        open_file: makes the sink for a path.
        timer: gets the milliseconds each frame took to encode.
    """

    def __init__(
        self,
        path: Path,
        open_file: Callable[[Path], Sink],
        timer: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._path, self._open_file, self._timer = path, open_file, timer
        self._output_thread: OutputThread | None = None
        self._current = path
        self._ending: list[tuple[Path, OutputThread]] = []
        self._start: Fraction | None = None
        self._used: set[Path] = set()
        self._empty: set[Path] = set()  # stopped before a picture came
        self._problem: StyleError | None = None
        self._news: list[str] = []
        self.seconds: float | None = None
        self.files: list[str] = []
        self.written = self.dropped = 0

    def start(self, *, replacing: bool = False) -> None:
        """Begin the first file and wait until it is open; raises what opening raises.

        Args:
            replacing: whatever is there under its name; otherwise the next free one is taken (a
                recording that was cut off may have been recovered meanwhile).
        """
        self._begin(self._path if replacing else self._free_path()).wait_open()

    def toggle(self) -> None:
        """Begin a recording, or end the running one."""
        if self._output_thread is None and len(self._ending) >= MOST_ENDING:
            self._news.append(f"{MOST_ENDING} recordings are being finished: try again")
        elif self._output_thread is None:
            self._begin(self._free_path())
        else:
            if self._start is None:
                self._empty.add(self._current)
            self._end(self._output_thread)

    def _begin(self, path: Path) -> OutputThread:
        self._used.add(path)
        self._current, self._start, self.seconds = path, None, 0.0
        self._output_thread = OutputThread(
            f"recording {path.name}",
            lambda: self._open_file(path),
            behind=BEHIND,
            timer=self._timer,
        )
        return self._output_thread

    def _end(self, output_thread: OutputThread) -> None:
        output_thread.end()
        self._ending.append((self._current, output_thread))
        self._output_thread, self.seconds = None, None

    def _free_path(self) -> Path:
        """The first of `take.mp4`, `take-2.mp4`, ... that is neither there nor being written, and
        of which nothing unfinished is there."""
        from ..media.journal import Journal

        path, number = self._path, 1
        while path in self._used or path.exists() or Journal.is_unfinished(path):
            number += 1
            path = self._path.with_name(f"{self._path.stem}-{number}{self._path.suffix}")
        return path

    def offer(self, frame: Frame) -> None:
        """Record this frame if a recording runs; its time counts from the recording's first."""
        if self._output_thread is None:
            return
        self._start = frame.time if self._start is None else self._start
        time = frame.time - self._start
        self.seconds = float(time)
        self._output_thread.offer(replace(frame, time=time))
        if self._output_thread.finished:  # nobody ended it: it failed
            self._end(self._output_thread)

    def news(self) -> list[str]:
        """What happened since the last call, for the screen."""
        for path, output_thread in [entry for entry in self._ending if entry[1].finished]:
            self._ending.remove((path, output_thread))
            self._settle(path, output_thread)
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Finish all files; raises the first error of any recording after all are finished."""
        if self._output_thread is not None:
            self._end(self._output_thread)
        for path, output_thread in self._ending:
            self._settle(path, output_thread)
        self._ending.clear()
        if self._problem is not None:
            raise self._problem

    def _settle(self, path: Path, output_thread: OutputThread) -> None:
        problem = None
        try:
            output_thread.close()
        except StyleError as error:
            problem = error
        if path in self._empty and not output_thread.written:
            self._news.append("stopped before a picture came: nothing was recorded")
            return
        if problem is not None:
            self._problem = self._problem or problem
            self._news.append(f"recording stopped: {problem}")
            return
        self.written += output_thread.written
        self.dropped += output_thread.dropped
        self.files.append(str(path))
        self._news.append(f"recorded {path} ({output_thread.written} frames)")


def live_clip() -> "ClipInfo":
    """A description of frames that come from no file, for the video sink: the recorder's clock."""
    from dataclasses import replace as changed

    from ..media.color import RGB, SDR, Colors
    from ..media.container import ClipInfo

    return ClipInfo(None, 0, "live", TICK, Colors(RGB, 2), changed(SDR, matrix=RGB))
