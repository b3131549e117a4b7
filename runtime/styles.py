"""The styles one can switch among while the picture runs.

A new style is opened in a thread of its own while the old one goes on painting, and taken over
between two frames; one that cannot be opened leaves a note on the screen and changes nothing. The
few styles used last stay open, so that going back and forth is immediate.
"""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from .errors import StyleError
from .look import Look

# Looks kept open. Each holds its weights and the engine's buffers, at 1280x720 about 100 MB.
KEPT = 3
# Picture (height, width) and runs by which variants are compared: large enough that the fixed cost
# of a run (about 0.2 ms) does not count, small enough not to disturb the running picture.
TRIAL_SIZE = (192, 256)
TRIAL_RUNS = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One file one can switch to.

    Attributes:
        label: what the screen and the page call it.
        open: opens it.
    """

    label: str
    open: Callable[[], Look]


@dataclass(frozen=True, slots=True)
class Active:
    """The look in use, and where it stands in the list."""

    look: Look
    style: int
    variant: int


class Styles:
    """Opens, keeps and closes looks.

    Attributes:
        entries: styles, each with its variants, the best picture first.
        note: why the last wish was not fulfilled, "" if it was.
        costs: time per pixel of each variant of a style relative to its first, once measured.
    """

    def __init__(self, entries: Sequence[Sequence[Entry]]) -> None:
        self.entries = [list(variants) for variants in entries]
        self.note = ""
        self.costs: dict[int, list[float]] = {}
        self._open: OrderedDict[tuple[int, int], Look] = OrderedDict()
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._wanted = (0, 0)
        self._failed: dict[tuple[int, int], str] = {}
        self._error: Exception | None = None
        self._active: Active | None = None
        self._thread: threading.Thread | None = None

    @property
    def labels(self) -> list[str]:
        """Names of the styles, in the order of the keys 1-9."""
        return [variants[0].label for variants in self.entries]

    def open_first(self) -> Look:
        """Open the first style in the calling thread; raises what opening raises."""
        look = self.entries[0][0].open()
        self._open[0, 0] = look
        self._active = Active(look, 0, 0)
        return look

    def select(self, style: int, variant: int = 0) -> None:
        """Wish for a style; `take` gives it as soon as it is open."""
        key = (style, variant)
        with self._lock:
            if key == self._wanted:
                return
            if key in self._failed:
                self.note = self._failed[key]
                return
            self._wanted, self.note = key, ""
        self._enqueue(lambda: self._load(style, variant))

    def take(self) -> Active:
        """The look for the next frame; called by the one thread that paints.

        Looks not used for long are closed here, where no frame is being painted.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            active = self._active
            if active is None:
                raise ValueError("open_first was not called")
            if self._wanted != (active.style, active.variant) and self._wanted in self._open:
                active = self._active = Active(self._open[self._wanted], *self._wanted)
                self._open.move_to_end(self._wanted)
            old = [key for key in self._open if key != (active.style, active.variant)]
            closing = [self._open.pop(key) for key in old[: max(0, len(self._open) - KEPT)]]
        for look in closing:
            look.close()
        return active

    def survey(self, style: int) -> None:
        """Measure the variants of a style in the background; the result goes to `costs`."""
        if len(self.entries[style]) > 1:
            self._enqueue(lambda: self._survey(style))

    def close(self) -> None:
        """Close everything; may be called twice."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(5.0)
        with self._lock:
            looks, self._open = list(self._open.values()), OrderedDict()
        for look in looks:
            look.close()

    def _enqueue(self, job: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="styles", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
        except Exception as error:  # a bug; the painting thread raises it
            self._error = error

    def _load(self, style: int, variant: int) -> None:
        with self._lock:
            if self._wanted != (style, variant) or (style, variant) in self._open:
                return  # already open, or another wish came meanwhile
        try:
            look = self.entries[style][variant].open()
        except StyleError as error:
            with self._lock:
                self.note = f"{self.entries[style][variant].label}: {error}"
                self._failed[style, variant] = self.note
                if self._wanted == (style, variant) and self._active is not None:
                    self._wanted = (self._active.style, self._active.variant)
            return
        with self._lock:
            self._open[style, variant] = look

    def _survey(self, style: int) -> None:
        """Milliseconds of each variant on a small gray picture, as a ratio to the first."""
        image = np.full((*TRIAL_SIZE, 3), 128, np.uint8)
        times = []
        for entry in self.entries[style]:
            try:
                with entry.open() as look:
                    look.stylize(image)  # the first run allocates
                    runs = []
                    for _ in range(TRIAL_RUNS):
                        start = perf_counter()
                        look.stylize(image)
                        runs.append(perf_counter() - start)
                    times.append(sorted(runs)[len(runs) // 2])
            except StyleError as error:
                self.note = f"{entry.label}: {error}"
                times.append(float("inf"))  # never predicted to fit, so never chosen
        self.costs[style] = [one / times[0] for one in times]
