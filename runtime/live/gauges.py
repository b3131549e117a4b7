"""Figures of a live run: for the screen (the last two seconds), for the controller (the last half
second), and for the report (everything, and how it developed).
"""

import math
import os
import sys
from collections import deque

import numpy as np

from ..card import JsonObject
from ..meter import Meter
from .controller import Window

# Seconds that rate and latency on the screen look back: calm to read, quick to react.
SCREEN_S = 2.0
# Seconds between two looks of the controller: 15 frames at 30 per second.
WINDOW_S = 0.5
# Seconds between two entries of the timeline, which shows drift of latency and memory.
TIMELINE_S = 10.0
# Frames that teach the controller nothing: the engine and the caches warm up.
WARM_UP = 4
# Stages that grow with the working size, apart from the network.
SCALING = ("stabilize",)


class Gauges:
    """Collects per shown frame; for the main thread only.

    Args:
        meter: gets every latency and every "show" time, for the report.
        start: now, in `time.perf_counter` seconds.
    """

    def __init__(self, meter: Meter, start: float) -> None:
        self._meter = meter
        self._start = start
        self._recent: deque[tuple[float, float, dict[str, float]]] = deque()
        self._stages: dict[str, list[float]] = {}
        self._work: dict[str, list[float]] = {}
        self._shown = 0
        self._window_start, self._arrived = start, 0
        self._slice: list[float] = []
        self._slice_start = start
        self.timeline: list[dict[str, float]] = []
        self.shown = 0
        self.first_s: float | None = None
        self.last = start

    def add(
        self,
        now: float,
        latency_ms: float,
        stages_ms: dict[str, float],
        work_ms: dict[str, float] | None = None,
    ) -> None:
        """Count one shown frame.

        Args:
            now: when it was shown, `time.perf_counter` seconds.
            latency_ms: since it was captured.
            stages_ms: time of each stage that worked on it.
            work_ms: of this, the time on a processor.
        """
        if self.first_s is None:
            self.first_s = now - self._start
            self._slice_start = now  # the rate counts from here, not from opening the model
        self.shown += 1
        self._shown += 1
        self.last = now
        self._meter.add("latency", latency_ms)
        self._meter.add("show", stages_ms.get("show", 0.0))
        self._recent.append((now, latency_ms, stages_ms))
        while self._recent[0][0] < now - SCREEN_S:
            self._recent.popleft()
        if self.shown <= WARM_UP:
            self._window_start, self._shown, self._arrived = now, 0, 0
        else:
            for name, value in stages_ms.items():
                self._stages.setdefault(name, []).append(value)
            for name, value in (work_ms or {}).items():
                self._work.setdefault(name, []).append(value)
        self._slice.append(latency_ms)

    def fps(self) -> float:
        """Frames per second over the last moments, 0 before the second frame."""
        if len(self._recent) < 2:
            return 0.0
        seconds = self._recent[-1][0] - self._recent[0][0]
        return (len(self._recent) - 1) / seconds if seconds > 0 else 0.0

    def mean_fps(self) -> float:
        """Frames per second from the first to the last shown frame."""
        seconds = self.last - self._start - (self.first_s or 0.0)
        return (self.shown - 1) / seconds if self.shown > 1 and seconds > 0 else 0.0

    def latency(self) -> tuple[float, float]:
        """Median and 95th percentile of the last moments, in milliseconds."""
        if not self._recent:
            return 0.0, 0.0
        # By hand: the first call of np.percentile imports 10 ms of masked arrays.
        values = sorted(entry[1] for entry in self._recent)
        middle = values[len(values) // 2]
        return middle, values[min(len(values) - 1, math.ceil(0.95 * len(values)) - 1)]

    def stages(self) -> dict[str, float]:
        """Mean busy milliseconds per frame of each stage over the last moments, in their order."""
        sums: dict[str, float] = {}
        for _, _, stages_ms in self._recent:
            for name, value in stages_ms.items():
                sums[name] = sums.get(name, 0.0) + value
        order = ("decode", "style", "stabilize", "mask", "show")
        known = [name for name in order if name in sums]
        return {name: sums[name] / len(self._recent) for name in known}

    def window(self, now: float, arrived: int) -> Window | None:
        """What the controller wants to know, once every WINDOW_S; None in between.

        Args:
            arrived: frames the source has delivered since the start.
        """
        seconds = now - self._window_start
        if self.first_s is None or seconds < WINDOW_S or not self._stages.get("style"):
            return None
        # Medians: a moment in which another program held the processor says nothing about the size.
        typical = {name: float(np.median(values)) for name, values in self._stages.items()}
        window = Window(
            seconds,
            typical["style"],
            {name: typical[name] for name in SCALING if name in typical},
            {name: typical[name] for name in ("decode", "show") if name in typical},
            # The first window also holds what arrived before the first frame was painted.
            arrived - self._arrived if self._arrived else 0,
            self._shown,
            {name: float(np.median(values)) for name, values in self._work.items()},
        )
        self.forget_window(now, arrived)
        return window

    def forget_window(self, now: float, arrived: int) -> None:
        """Begin a new window: the frames so far were made under other conditions."""
        self._stages, self._work, self._shown = {}, {}, 0
        self._window_start, self._arrived = now, arrived

    def tick(self, now: float, dropped: int) -> None:
        """Write an entry of the timeline if it is time."""
        seconds = now - self._slice_start
        if seconds < TIMELINE_S or not self._slice:
            return
        p50, p95 = np.percentile(self._slice, [50, 95])
        self.timeline.append(
            {
                "s": round(now - self._start, 1),
                "fps": round(len(self._slice) / seconds, 2),
                "latency_p50_ms": round(float(p50), 2),
                "latency_p95_ms": round(float(p95), 2),
                "rss_mb": round(resident_mb(), 1),
                "dropped": dropped,
            }
        )
        self._slice, self._slice_start = [], now

    def report(self) -> JsonObject:
        """Latency over the whole run, and the timeline if the run was long enough for one."""
        latency = self._meter.percentiles("latency")
        found: JsonObject = {"latency_ms": latency}
        if len(self.timeline) > 1:
            found["timeline"] = self.timeline
        return found


def resident_mb() -> float:
    """Memory this process occupies now, in MB (10^6 bytes); its maximum where only that is known,
    0 where nothing is."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    # Kilobytes on Linux and BSD, bytes on macOS (getrusage(2)).
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
