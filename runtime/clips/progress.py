"""How far clips are: frames the network has painted, which is what takes the time.

A stabilizer that works on whole shots paints many frames before it gives out the first one, so both
are counted, and the estimate is made from their mean.
"""

import threading

from ..console import FIRST_SECONDS, Progress


class ClipProgress:
    """Of one clip; a `pipeline.Watcher`, closed as a context.

    Args:
        total: frames to come, None if unknown.
        mode: one of `console.MODES`.
    """

    def __init__(self, total: int | None, mode: str) -> None:
        self._progress = Progress(total, mode=mode)
        self._painted = self._written = self._shot = 0
        self._lock = threading.Lock()
        # The first frame may take long: until then there is a nought to see.
        self._timer = threading.Timer(FIRST_SECONDS + 0.01, self._show)
        self._timer.daemon = True
        self._timer.start()

    def painted(self) -> None:
        """The network has painted one more frame."""
        self._painted += 1
        self._show()

    def written(self) -> None:
        """One more frame is finished."""
        self._written += 1
        self._show()

    def shot(self) -> None:
        """A shot begins."""
        self._shot += 1

    def _show(self) -> None:
        # Layers that are painted beside the first one come a little later than their numbers.
        painted = max(self._painted, self._written)
        done = (painted + self._written) / 2 if self._written else painted
        note = f"shot {self._shot + 1}" if self._shot else ""
        with self._lock:
            self._progress.show(
                painted, done=done, note=note, written=self._written, shot=self._shot + 1
            )

    def __enter__(self) -> "ClipProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._progress.close()


class BatchProgress:
    """Of clips that are painted at once: a `pipeline.Watcher` for all of them, and the number of
    those that are finished."""

    def __init__(self, total: int, mode: str) -> None:
        self._progress = Progress(total, "clips", mode=mode)
        self._clips = self._painted = self._written = 0
        self._lock = threading.Lock()

    def painted(self) -> None:
        """The network has painted one more frame of some clip."""
        with self._lock:
            self._painted += 1
            self._show()

    def written(self) -> None:
        """One more frame of some clip is finished."""
        with self._lock:
            self._written += 1
            self._show()

    def shot(self) -> None:
        """A shot of some clip begins."""

    def finished(self) -> None:
        """One more clip is finished."""
        with self._lock:
            self._clips += 1
            self._show()

    def _show(self) -> None:
        frames = max(self._painted, self._written)
        self._progress.show(self._clips, note=f"{frames} frames painted", frames=frames)

    def __enter__(self) -> "BatchProgress":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._progress.close()
