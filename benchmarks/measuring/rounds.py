"""Interleaved rounds: every case is visited in every round, so that what slows the machine for a
minute slows all cases alike and their ratios stay true.

    rounds = interleave([Case("a", timed(f)), Case("b", timed(g))], Plan(duration_s=10))
    statistics.summary(rounds.times("a"), "total")

Words as in trtexec: `warm_up`, `iterations` (rounds at least), `duration_s` (time budget).
"""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from . import statistics

# A case's answer: milliseconds by part ("total", "model", "pre", ...); "total" must be there.
Parts = Mapping[str, float]
# A round counts as disturbed when a calibration reading beside it is this far below the best.
DROP = 0.85
# Readings that tell the core's own speed; the memory's depends on what the neighbors do.
WATCHED = ("gemm_gflops", "conv_gops")
SEED = 20161  # of the order inside rounds; any number, but always the same


@dataclass(frozen=True, slots=True)
class Case:
    """Something to time: `call` does it once and says how long each part took."""

    name: str
    call: Callable[[], Parts]


@dataclass(frozen=True, slots=True)
class Plan:
    """When to stop, and how long to stay.

    Attributes:
        warm_up: untimed calls of each case before the first round.
        iterations: rounds wanted at least (six give a median its interval); the budget wins.
        duration_s: budget for all rounds; a round that would not fit is not begun.
        width: stop once each median's 95 % interval is narrower than this part of the median.
        visit_ms: a visit repeats a short case until about this much time is filled ...
        visit_calls: ... but at most so many times.
    """

    warm_up: int = 1
    iterations: int = 6
    duration_s: float = 60.0
    width: float = 0.02
    visit_ms: float = 60.0
    visit_calls: int = 10


@dataclass(slots=True)
class Rounds:
    """What was measured.

    Attributes:
        samples: per case and round, the parts of each call.
        readings: calibration readings; number i was taken before round i, the last at the end.
        order: case names in the order in which round i visited them.
        converged: whether every interval became as narrow as asked.
    """

    samples: dict[str, dict[int, list[Parts]]]
    readings: list[dict[str, float]] = field(default_factory=list)
    order: list[list[str]] = field(default_factory=list)
    converged: bool = False

    def marked(self) -> set[int]:
        """Disturbed rounds (see `marked_rounds`)."""
        return marked_rounds(self.readings, len(self.order))

    def by_round(self, name: str, part: str = "total") -> dict[int, list[float]]:
        """Times of one part per round. Marked rounds are left out while three unmarked remain."""
        kept = clean_rounds(self.readings, len(self.order))
        return {number: [call[part] for call in self.samples[name][number]] for number in kept}

    def times(self, name: str, part: str = "total") -> list[float]:
        """All times of one part in milliseconds, in the order measured (see `by_round`)."""
        return [value for values in self.by_round(name, part).values() for value in values]

    def parts(self, name: str) -> list[str]:
        """The parts this case reports."""
        return list(next(iter(self.samples[name].values()))[0])


def marked_rounds(readings: Sequence[Mapping[str, float]], count: int) -> set[int]:
    """Rounds before or after which a calibration reading was below `DROP` of its best reading.

    Args:
        readings: number i was taken before round i; one more at the end.
        count: number of rounds.
    """
    if not readings:
        return set()
    best = {key: max(reading[key] for reading in readings) for key in WATCHED}
    low = {
        index
        for index, reading in enumerate(readings)
        if any(reading[key] < DROP * best[key] for key in best)
    }
    return {number for number in range(count) if low & {number, number + 1}}


def clean_rounds(readings: Sequence[Mapping[str, float]], count: int) -> list[int]:
    """Rounds whose numbers count: the unmarked ones while there are three, else all."""
    marked = marked_rounds(readings, count)
    clean = [number for number in range(count) if number not in marked]
    return clean if len(clean) >= 3 else list(range(count))


def timed(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter):
    """Wrap a function as a `Case.call` with the single part "total"."""

    def call() -> Parts:
        start = clock()
        function()
        return {"total": (clock() - start) * 1e3}

    return call


def interleave(
    cases: Sequence[Case],
    plan: Plan,
    *,
    calibration: Callable[[], dict[str, float]] | None = None,
    progress: Callable[[int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Rounds:
    """Visit all cases round by round, in a new order each round, until `plan` says stop.

    Args:
        cases: names must differ.
        plan: see `Plan`.
        calibration: called before each round and once at the end; higher readings are better.
        progress: called after each round with its number.
        clock: seconds; replaced in tests.

    Raises:
        ValueError: no case, or two of one name.
    """
    names = [case.name for case in cases]
    if not cases or len(set(names)) != len(names):
        raise ValueError(f"cases need different names, got {names}")
    repeats = {case.name: _warm_up(case, plan) for case in cases}
    rounds = Rounds({name: {} for name in names})
    shuffle = random.Random(SEED)
    start = clock()
    while True:
        number = len(rounds.order)
        if calibration is not None:
            rounds.readings.append(calibration())
        order = list(cases)
        shuffle.shuffle(order)
        for case in order:
            rounds.samples[case.name][number] = _visit(case, repeats[case.name])
        rounds.order.append([case.name for case in order])
        if progress is not None:
            progress(number)
        if _finished(rounds, plan, clock() - start):
            break
    if calibration is not None:
        rounds.readings.append(calibration())
    return rounds


def _warm_up(case: Case, plan: Plan) -> int:
    """Call the case untimed; how often a visit should repeat it."""
    last = math.inf
    for _ in range(max(1, plan.warm_up)):
        last = case.call()["total"]
    fit = plan.visit_ms / last if last > 0 else plan.visit_calls
    return max(1, min(plan.visit_calls, round(fit)))


def _visit(case: Case, repeats: int) -> list[Parts]:
    """Time a case. A short one is called once more before: the case visited last left the caches
    full of its own data, and in use the model would follow itself."""
    if repeats > 1:
        case.call()
    return [case.call() for _ in range(repeats)]


def _finished(rounds: Rounds, plan: Plan, elapsed: float) -> bool:
    done = len(rounds.order)
    if done >= plan.iterations:
        widths = (statistics.relative_width(rounds.times(name)) for name in rounds.samples)
        rounds.converged = all(width <= plan.width for width in widths)
    return rounds.converged or elapsed * (done + 1) / done > plan.duration_s
