"""The styles one can switch among while the picture runs, each in several variants.

A style comes as one or more files (networks of several grades, in several precisions), and an open
file has a number of threads: together a `Key`. A new one is opened in a thread of its own while the
old one goes on painting, and taken over between two frames; one that cannot be opened leaves a note
on the screen and changes nothing. The few used last stay open, so that going back and forth is
immediate.
"""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import NamedTuple

import numpy as np

from ..errors import StyleError
from ..model.conditions import Style
from ..model.stylizer import Stylizer
from ..model.variants import Variant, first_choice, ranking

# Looks kept open. Each holds its weights and the engine's buffers, at 1280x720 about 100 MB.
KEPT = 4
# Picture (height, width) and runs by which variants are compared: large enough that the fixed cost
# of a run (about 0.2 ms) does not count, small enough not to disturb the running picture.
TRIAL_SIZE = (192, 256)
TRIAL_RUNS = 4


# Names of styles that a model knows, with weights.
Mixture = list[tuple[Style, float]]


class Key(NamedTuple):
    """What is painted with: style, file of the style, threads of the engine (0: its own choice)."""

    style: int
    variant: int = 0
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One style.

    Attributes:
        label: what the screen and the page call it.
        variants: its files, best picture first; empty for a mixture of models.
        open: opens one, given its index and the threads of the engine.
        open_exact: the same for stills, which wait for exact statistics; None where `open` is.
        preferred: precisions, fastest first, as long as nothing was measured.
        painting: its name among those that its model knows, "" for a model of one style.
    """

    label: str
    open: Callable[[int, int], Stylizer]
    variants: Sequence[Variant] = ()
    preferred: Sequence[str] = ()
    painting: str = ""
    open_exact: Callable[[int, int], Stylizer] | None = None

    def still(self, variant: int, threads: int) -> Stylizer:
        """Open a file for stills."""
        return (self.open_exact or self.open)(variant, threads)

    @property
    def num_variants(self) -> int:
        """How many files there are to choose from."""
        return max(1, len(self.variants))

    def name(self, variant: int) -> str:
        """What the screen calls this file."""
        return self.variants[variant].label if len(self.variants) > 1 else self.label

    def grade(self, variant: int) -> str:
        """Of this file, "" for a mixture of models."""
        return self.variants[variant].grade if self.variants else ""


@dataclass(frozen=True, slots=True)
class Active:
    """The style in use, and where it stands in the list."""

    stylizer: Stylizer
    key: Key

    @property
    def style(self) -> int:
        """Index of the style."""
        return self.key.style

    @property
    def file(self) -> tuple[int, int]:
        """Indices of the style and of its file."""
        return self.key.style, self.key.variant


class Styles:
    """Opens, keeps and closes looks.

    Attributes:
        entries: the styles.
        note: why the last wish was not fulfilled, "" if it was.
        costs: time per pixel of each file of a style relative to its first, once measured.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self.note = ""
        self.costs: dict[int, list[float]] = {}
        self._open: OrderedDict[Key, Stylizer] = OrderedDict()
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._wanted = Key(0)
        self._beside: Key | None = None
        self._rest: Key | None = None  # what painted beside the first style last
        self._failed: dict[Key, str] = {}
        self._error: Exception | None = None
        self._active: Active | None = None
        self._thread: threading.Thread | None = None

    @property
    def labels(self) -> list[str]:
        """Names of the styles, in the order of the keys 1-9."""
        return [entry.label for entry in self.entries]

    def add(self, entries: Sequence[Entry]) -> None:
        """More styles, at the end of the list."""
        self.entries = [*self.entries, *entries]

    def order(self, style: int) -> list[int]:
        """The files of a style worth choosing among, one per grade, best picture first."""
        entry = self.entries[style]
        if not entry.variants:
            return [0]
        costs = self.costs.get(style)
        with self._lock:
            broken = {key.variant for key in self._failed if key.style == style}
        order = ranking(entry.variants, entry.preferred, costs)
        return [k for k in order if k not in broken] or order

    def first(self, style: int, grade: str = "") -> int:
        """The file of a style to begin with: of this grade if there is one, else the usual one."""
        entry, order = self.entries[style], self.order(style)
        if not entry.variants:
            return 0
        same = [k for k in order if entry.grade(k) == grade]
        return same[0] if same else first_choice(entry.variants, order)

    def open_first(self, key: Key) -> Stylizer:
        """Open a first style in the calling thread; raises what opening raises."""
        stylizer = self.entries[key.style].open(key.variant, key.threads)
        self._open[key] = stylizer
        self._active, self._wanted = Active(stylizer, key), key
        return stylizer

    def select(self, key: Key) -> None:
        """Ask for a style; `take` gives it as soon as it is open."""
        with self._lock:
            if key == self._wanted:
                return
            if key in self._failed:
                self.note = self._failed[key]
                return
            self._wanted, self.note = key, ""
        self._enqueue(lambda: self._load(key))

    def beside(self, key: Key | None) -> Active | None:
        """A second style, to paint with beside the first. Called by the thread that paints.

        Until it is open, the one that painted there before goes on: the rest of the picture never
        flashes up unpainted because the first style changed its file or its threads. The same file
        on other threads goes on with the scene.

        Args:
            key: what is wanted, None for nothing any more.

        Returns:
            what is there to paint with, None where nothing was before.
        """
        with self._lock:
            new, self._beside = key != self._beside, key
            before = self._rest
            if key is None:
                self._rest = None
                return None
            if key in self._failed:  # it may be open, and have failed to paint
                self.note, new = self._failed[key], False
            elif key in self._open:
                self._rest, new = key, False
            rest = self._rest
            if rest in self._failed or rest not in self._open:
                rest = self._rest = None
            stylizer = None if rest is None else self._open[rest]
            last = None if before is None else self._open.get(before)
            if rest is not None:
                self._open.move_to_end(rest)
        if new:
            self._enqueue(lambda: self._load(key))
        if rest is None or stylizer is None:
            return None
        active = Active(stylizer, rest)
        if before is not None and last is not None and before != rest:
            _go_on(Active(last, before), active)
        return active

    def ahead(self, key: Key) -> None:
        """Open a style that may soon be asked for; one that cannot be opened is not spoken of."""
        if key not in self._open and key not in self._failed:
            self._enqueue(lambda: self._load(key, ahead=True))

    def mixture(self, style: int, share: float) -> Mixture | None:
        """What the model paints that knows the style and the next one, of which it takes a share;
        None for the style alone."""
        after = self.partner(style)
        if after is None or not share:
            return None
        return [(self.entries[style].painting, 1.0 - share), (self.entries[after].painting, share)]

    def partner(self, style: int) -> int | None:
        """The next style, if one model paints both."""
        after = (style + 1) % len(self.entries)
        one, other = self.entries[style], self.entries[after]
        same = bool(one.painting and other.painting) and one.variants == other.variants
        return after if same and after != style else None

    def take(self) -> Active:
        """The style for the next frame; called by the one thread that paints.

        Looks not used for long are closed here, where no frame is being painted. The same file on
        other threads goes on with the scene.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            before = active = self._active
            if active is None:
                raise ValueError("open_first was not called")
            if self._wanted != active.key and self._wanted in self._open:
                active = self._active = Active(self._open[self._wanted], self._wanted)
                self._open.move_to_end(self._wanted)
            old = [key for key in self._open if key not in (active.key, self._beside, self._rest)]
            closing = [self._open.pop(key) for key in old[: max(0, len(self._open) - KEPT)]]
        if before is not None and before.key != active.key:
            _go_on(before, active)
        for stylizer in closing:
            stylizer.close()
        return active

    def give_up(self, key: Key, error: StyleError) -> Active:
        """The style to go on with where one that was taken cannot paint: the one used before.

        Raises:
            StyleError: the error itself, where no other style is open.
        """
        with self._lock:
            others = [other for other in self._open if other != key]
            if not others:
                raise error
            broken = self._open.pop(key)
            active = self._active = Active(self._open[others[-1]], others[-1])
            self._wanted = active.key
        broken.close()
        self.refuse(key, error)
        return active

    def survey(self, style: int) -> None:
        """Measure the files of a style in the background; the result goes to `costs`."""
        if len(self.entries[style].variants) > 1 and style not in self.costs:
            self._enqueue(lambda: self._survey(style))

    def close(self) -> None:
        """Close everything; may be called twice."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(5.0)
        with self._lock:
            stylizers, self._open = list(self._open.values()), OrderedDict()
        for stylizer in stylizers:
            stylizer.close()

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

    def _load(self, key: Key, *, ahead: bool = False) -> None:
        with self._lock:
            asked = ahead or key in (self._wanted, self._beside)
            if not asked or key in self._open:
                return  # already open, or another wish came meanwhile
        entry = self.entries[key.style]
        try:
            stylizer = entry.open(key.variant, key.threads)
        except Exception as error:  # a neighbor's fault, or ours about it: the show goes on
            if not ahead or key in (self._wanted, self._beside):
                self.refuse(key, error)
            return
        with self._lock:
            self._open[key] = stylizer

    def refuse(self, key: Key, error: Exception) -> None:
        """Remember that a style is of no use, and say so; it is not opened again."""
        kind = "" if isinstance(error, StyleError) else f"{type(error).__name__}: "
        with self._lock:
            self.note = f"{self.entries[key.style].name(key.variant)}: {kind}{error}"
            self._failed[key] = self.note
            if self._wanted == key and self._active is not None:
                self._wanted = self._active.key

    def _survey(self, style: int) -> None:
        """Time of each file for a small gray picture, as a ratio to the first that works.

        The running picture has the processor, too, and so may other programs: on the CPU one
        thread's own processor time counts, which waiting does not lengthen, and everywhere the
        shortest of a few runs.
        """
        if style in self.costs:
            return
        image = np.full((*TRIAL_SIZE, 3), 128, np.uint8)
        entry = self.entries[style]
        times: list[float] = []
        for variant in range(entry.num_variants):
            try:
                with entry.open(variant, 1) as stylizer:
                    clock = thread_time if stylizer.device == "cpu" else perf_counter
                    stylizer.stylize(image)  # the first run allocates
                    runs: list[float] = []
                    for _ in range(TRIAL_RUNS):
                        start = clock()
                        stylizer.stylize(image)
                        runs.append(clock() - start)
                    times.append(min(runs))
            except Exception as error:  # as in `_load`
                self.note = f"{entry.name(variant)}: {error}"
                times.append(float("inf"))  # never predicted to fit, so never chosen
        base = next((time for time in times if time < float("inf")), 1.0)
        self.costs[style] = [time / base for time in times]


def _go_on(before: Active, after: Active) -> None:
    """The same file on other threads goes on with the scene; another file begins anew."""
    if before.file == after.file:
        state = before.stylizer.state()
        if state is not None:
            after.stylizer.resume(state)
