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


class Summary(TypedDict):
    """What a run took, by stage, and what it counted."""

    stages_ms: dict[str, dict[str, float]]
    counts: dict[str, int]


class Meter:
    """Named stage timers and counters.

    One instance serves all threads of a pipeline; adding a sample costs about a microsecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, array[float]] = {}
        self._totals: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def __call__(self, stage: str) -> Generator[None, None, None]:
        """Time the `with` block as one sample of `stage`; a block that raises is not counted."""
        start = time.perf_counter()
        yield
        self.add(stage, (time.perf_counter() - start) * 1000.0)

    def add(self, stage: str, milliseconds: float) -> None:
        """Record one sample measured elsewhere, in milliseconds."""
        with self._lock:
            samples = self._samples.setdefault(stage, array("d"))
            if len(samples) < WINDOW:
                samples.append(milliseconds)
            else:
                samples[self._totals[stage] % WINDOW] = milliseconds
            self._totals[stage] += 1

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
            samples = np.array(self._samples.get(stage, ()), dtype=np.float64)
        if not samples.size:
            return {}
        values = np.percentile(samples, PERCENTILES)
        return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, values, strict=True)}

    def summary(self) -> Summary:
        """What `--json` prints.

        Returns:
            `{"stages_ms": {stage: {"p50", "p95", "p99", "count"}}, "counts": {name: number}}`,
            stages in the order in which they were first timed.
        """
        with self._lock:
            totals = dict(self._totals)
        stages = {name: {**self.percentiles(name), "count": totals[name]} for name in totals}
        return {"stages_ms": stages, "counts": self.counts}
