"""Recording while the picture runs: started and stopped by a key, written beside the show."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import StyleError
from ..frame import Frame
from .output_threads import BEHIND, OutputThread

# The clock of recordings, in seconds: MPEG's 90 kHz, fine enough for the true times of any camera.
TICK = Fraction(1, 90_000)


class Recorder:
    """Zero or one recording at a time, each to a file of its own.

    Args:
        path: of the first file; the next ones are numbered.
        open_file: makes the sink for a path.
        timer: gets the milliseconds each frame took to encode.
    """

    def __init__(
        self,
        path: Path,
        open_file: Callable[[Path], Any],
        timer: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._path, self._open_file, self._timer = path, open_file, timer
        self._output_thread: OutputThread | None = None
        self._current = path
        self._ending: list[tuple[Path, OutputThread]] = []
        self._start: Fraction | None = None
        self._count = 0
        self._news: list[str] = []
        self.seconds: float | None = None
        self.files: list[str] = []
        self.written = self.dropped = 0

    def start(self) -> None:
        """Begin a new file and wait until it is open; raises what opening raises."""
        self.toggle()
        if self._output_thread is not None:
            self._output_thread.wait_open()

    def toggle(self) -> None:
        """Begin a recording, or end the running one."""
        if self._output_thread is not None:
            self._output_thread.end()
            self._ending.append((self._current, self._output_thread))
            self._output_thread, self.seconds = None, None
            return
        self._count += 1
        path = self._path
        if self._count > 1:
            path = path.with_name(f"{path.stem}-{self._count}{path.suffix}")
        self._current, self._start, self.seconds = path, None, 0.0
        self._output_thread = OutputThread(
            f"recording {path.name}",
            lambda: self._open_file(path),
            behind=BEHIND,
            timer=self._timer,
        )

    def offer(self, frame: Frame) -> None:
        """Record this frame if a recording runs; its time counts from the recording's first."""
        if self._output_thread is None:
            return
        self._start = frame.time if self._start is None else self._start
        time = frame.time - self._start
        self.seconds = float(time)
        self._output_thread.offer(replace(frame, time=time))
        self._output_thread.check()

    def news(self) -> list[str]:
        """What happened since the last call, for the screen.

        Raises:
            StyleError: a recording failed.
        """
        for path, output_thread in [entry for entry in self._ending if entry[1].finished]:
            self._ending.remove((path, output_thread))
            self._settle(path, output_thread)
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Finish all files; raises the first error after all are finished."""
        if self._output_thread is not None:
            self.toggle()
        problem: StyleError | None = None
        for path, output_thread in self._ending:
            try:
                self._settle(path, output_thread)
            except StyleError as error:
                problem = problem or error
        self._ending.clear()
        if problem is not None:
            raise problem

    def _settle(self, path: Path, output_thread: OutputThread) -> None:
        output_thread.close()
        self.written += output_thread.written
        self.dropped += output_thread.dropped
        self.files.append(str(path))
        self._news.append(f"recorded {path} ({output_thread.written} frames)")


def live_clip() -> Any:
    """A description of frames that come from no file, for the video sink: the recorder's clock."""
    from dataclasses import replace as changed

    from ..media.color import RGB, SDR, Colors
    from ..media.container import ClipInfo

    return ClipInfo(None, 0, "live", TICK, Colors(RGB, 2), changed(SDR, matrix=RGB))
