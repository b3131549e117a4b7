"""How long each stage of a pipeline takes: timers, counters and percentiles, safe across threads.

meter = Meter()
with meter("style"):
    styled = session.stylize(image)
meter.summary()["stages_ms"]["style"]["p50"]
"""

import threading
import time
from array import array
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypedDict

import numpy as np

# Samples kept per stage (half a megabyte). Older ones are overwritten, so memory stays constant on
# hour-long clips; up to this many frames (36 minutes at 30 per second) percentiles cover the whole
# run, after that the newest 65536 frames.
WINDOW = 65536
PERCENTILES = (50, 95, 99)
# Seconds at the beginning that are told apart: first folds and empty queues are no pace to plan by.
START_S = 2.0
# Wall time and this thread's processor time, seconds.
Moment = tuple[float, float]


class Summary(TypedDict):
    """What a run took, by stage, and what it counted."""

    stages_ms: dict[str, dict[str, float]]
    counts: dict[str, int]


def clock() -> Moment:
    """Now, for `Meter.since`."""
    return time.perf_counter(), time.thread_time()


class _Stage:
    """What is known of one stage.

    Attributes:
        samples: the newest ones, milliseconds.
        whole, settled: count, milliseconds and processor milliseconds; from START_S on.
        last: when the newest one ended.
    """

    def __init__(self) -> None:
        self.samples: array[float] = array("d")
        self.whole, self.settled = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        self.last = 0.0

    def add(self, milliseconds: float, processor: float, now: float, settled: bool) -> None:
        if len(self.samples) < WINDOW:
            self.samples.append(milliseconds)
        else:
            self.samples[int(self.whole[0]) % WINDOW] = milliseconds
        for sums in (self.whole, self.settled) if settled else (self.whole,):
            for place, value in enumerate((1.0, milliseconds, processor)):
                sums[place] += value
        self.last = now


class Meter:
    """Named stage timers and counters.

    One instance serves all threads of a pipeline; adding a sample costs about a microsecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._counts: Counter[str] = Counter()
        self._settles = time.perf_counter() + START_S

    @contextmanager
    def __call__(self, stage: str) -> Generator[None, None, None]:
        """Time the `with` block as one sample of `stage`; a block that raises is not counted."""
        start = clock()
        yield
        self.since(stage, start)

    def since(self, stage: str, start: Moment) -> None:
        """Record the time from `start`, a `clock` of this thread, as one sample."""
        wall, processor = clock()
        self.add(stage, 1000.0 * (wall - start[0]), 1000.0 * (processor - start[1]))

    def add(self, stage: str, milliseconds: float, processor: float = 0.0) -> None:
        """Record one sample measured elsewhere, and the processor time in it, in milliseconds."""
        with self._lock:
            now = time.perf_counter()
            kept = self._stages.setdefault(stage, _Stage())
            kept.add(milliseconds, processor, now, now >= self._settles)

    def count(self, name: str, number: int = 1) -> None:
        """Add `number` to the counter `name` (frames dropped, frames concealed, ...)."""
        with self._lock:
            self._counts[name] += number

    @property
    def counts(self) -> dict[str, int]:
        """A copy of all counters; names never counted are absent."""
        with self._lock:
            return dict(self._counts)

    def percentiles(self, stage: str) -> dict[str, float]:
        """`{"p50", "p95", "p99"}` of a stage in milliseconds; empty if it was never timed."""
        with self._lock:
            kept = self._stages.get(stage)
            samples = np.array(() if kept is None else kept.samples, dtype=np.float64)
        if not samples.size:
            return {}
        values = np.percentile(samples, PERCENTILES)
        return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, values, strict=True)}

    def means(self, stage: str) -> dict[str, float]:
        """Of a stage: `mean` and `cpu_mean` (processor time of the thread it runs in, not of
        helpers) in milliseconds; and the same of what came START_S seconds after the meter was
        made: `settled_mean`, `settled_cpu_mean`, `settled_count`, and over how many seconds,
        `settled_s`."""
        with self._lock:
            kept = self._stages.get(stage)
            if kept is None:
                return {}
            (count, wall, processor), later = kept.whole, list(kept.settled)
            seconds = kept.last - self._settles
        found = {"mean": wall / count, "cpu_mean": processor / count}
        if later[0]:
            found |= {
                "settled_mean": later[1] / later[0],
                "settled_cpu_mean": later[2] / later[0],
                "settled_count": later[0],
                "settled_s": seconds,
            }
        return {name: round(value, 3) for name, value in found.items()}

    def summary(self) -> Summary:
        """What `--json` prints.

        Returns:
            `{"stages_ms": {stage: {"p50", "p95", "p99", "count", what `means` says}}, "counts":
            {name: number}}`, stages in the order in which they were first timed.
        """
        with self._lock:
            totals = {name: int(kept.whole[0]) for name, kept in self._stages.items()}
        stages = {
            name: {**self.percentiles(name), "count": totals[name], **self.means(name)}
            for name in totals
        }
        return {"stages_ms": stages, "counts": self.counts}
