"""Holds a frame rate: picks the working size, the model variant, the threads of the network, and
whether every second frame is warped by the stabilizer instead of the network.

Pure arithmetic on what was measured during the last moments; no threads, no clock of its own.
The choices are ordered from the best picture to the cheapest (`ladder`), and the controller takes
the first one whose predicted cost fits. Going down is quick, going up is slow, and a step up that
did not hold doubles the wait before the next try: so the size does not flicker. How the cores are
shared between the network and everything else is tried out, see `split`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .costs import CostCurve
from .ladder import Choice
from .split import Split

# Fractions of the frame's time budget. Above TOO_MUCH the rate is not held; a new choice must be
# predicted below FITS, and a better one is tried only if predicted below ROOM: the gaps are the
# hysteresis (predictions are good to about 15 %, see `costs`).
TOO_MUCH = 0.97
FITS = 0.88
ROOM = 0.78
# Above twice the budget one measurement is enough to act, below that two windows in a row.
URGENT = 2.0
# Loads that differ by less than this are alike.
ALIKE = 1.15
# Delivered frames may fall this much short of the wish before it counts: one frame in 15 is the
# edge of a window.
SHORT = 1.07
# Steps down because of what was delivered, without any improvement by them, before they end: then
# something else takes the time (another program), and a smaller picture would not help.
FUTILE = 2
# A stage may take this many times its processor time before other programs are thought to hinder
# it: our own threads wait for each other, too.
HINDERED = 1.3
# Stages with less processor time may slip between two turns of other programs, about 3 ms each on
# Linux, so they tell nothing.
TURN_MS = 2.0
# Seconds of calm before a step up, and the longest that failed tries can make it.
CALM_S = 3.0
CALM_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen during the last half second or so.

    Attributes:
        seconds: how long it was.
        styled_ms: median time of one run of the network.
        per_frame_ms: median time per frame of each other stage that grows with the working size.
        fixed_ms: median time per frame of stages that do not (capture, display).
        arrived, shown: frames the source delivered, and frames that reached the screen.
        work_ms: of each stage, the network ("style") included, the processor time per frame that
            its own thread took; empty where it was not measured.
    """

    seconds: float
    styled_ms: float
    per_frame_ms: dict[str, float] = field(default_factory=dict[str, float])
    fixed_ms: dict[str, float] = field(default_factory=dict[str, float])
    arrived: int = 0
    shown: int = 0
    work_ms: dict[str, float] = field(default_factory=dict[str, float])


class Controller:
    """Chooses a rung of `rungs` so that `target_fps` holds.

    Attributes:
        load: share of the frame's time that the bottleneck needs, 1.0 = just held.
        held: False if the rate was not held during the last window.
    """

    def __init__(
        self,
        target_fps: float,
        rungs: Sequence[Choice],
        costs: Sequence[float] = (1.0,),
        *,
        start: Choice | None = None,
        split: Split | None = None,
        cores: int = 0,
    ) -> None:
        """Start at the best rung, or at `start`.

        Args:
            target_fps: frames per second to hold.
            rungs: from `ladder`.
            costs: time per pixel of each variant relative to the first (see `set_costs`).
            start: one of the rungs.
            split: decides on the threads of the network; None leaves them to the engine.
            cores: of the machine, which all stages share; 0 if unknown.
        """
        self.target_fps = target_fps
        self._rungs = list(rungs)
        self._costs = list(costs)
        self._split, self._cores = split, cores
        self._at = self._rungs.index(replace(start, threads=0)) if start else 0
        self._measured: tuple[int, float] | None = None
        self._over = 0
        self._calm = 0.0
        self._patience = CALM_S
        self._climbed_from: int | None = None
        self._short_before, self._futile = 0.0, 0
        self._curves: dict[str, CostCurve] = {}
        self.load = 0.0
        self.held = True

    @property
    def choice(self) -> Choice:
        """The rung in use."""
        rung = self._rungs[self._at]
        return replace(rung, threads=self._split.threads) if self._split else rung

    @property
    def tried(self) -> dict[int, float]:
        """Threads of the network -> milliseconds per frame with them."""
        return dict(self._split.tried) if self._split else {}

    def set_costs(self, costs: Sequence[float]) -> None:
        """Measured time per pixel of each variant, relative to the first."""
        self._costs = list(costs)
        self._measured = None
        self._curves.pop("style", None)  # another style, another curve

    def set_rungs(self, rungs: Sequence[Choice], variant: int | None = None) -> None:
        """Another ladder (new style, other stabilizer); stays as near as possible to the size.

        Args:
            rungs: from `ladder`.
            variant: preferred if the ladder has it at that size; None prefers the one in use.
        """
        now = self.choice
        variant = now.variant if variant is None else variant
        self._rungs = list(rungs)
        self._at = min(
            range(len(self._rungs)),
            key=lambda k: (
                abs(self._rungs[k].pixels - now.pixels),
                self._rungs[k].every != now.every,
                self._rungs[k].variant != variant,
            ),
        )
        self._forget()

    def update(self, window: Window) -> bool:
        """Judge the last moments; True if `choice` is now another one."""
        self._learn(unhindered(window))
        explained = self._predicted(window, self.choice)
        short = self._short(window)
        self.load = max(explained, short if short > SHORT else 0.0)
        self.held = self.load <= TOO_MUCH
        if self._split is not None and self._share(window, short):
            return True
        if self._split is not None and self._split.trying:
            return False
        if not self.held:
            return self._too_much(window, explained, short)
        self._over = 0
        if self._climbed_from is not None:
            self._climbed_from = None  # the last step up holds
            self._patience = max(CALM_S, self._patience / 2)
        self._calm += window.seconds
        if self._calm < CALM_S:
            return False
        self._short_before, self._futile = 0.0, 0
        if self._calm < self._patience:
            return False
        better = self._first_that_fits(window, ROOM, before=self._at)
        if better is None:
            return False
        self._climbed_from = self._at
        return self._go(better)

    def _share(self, window: Window, short: float) -> bool:
        """Let the split look at the window; True if the threads are now others."""
        split = self._split
        if split is None:
            return False
        network = window.styled_ms / self.choice.every
        others = {**window.per_frame_ms, **window.fixed_ms}
        slowest = max([network, *others.values()])
        if short > SHORT:
            slowest = max(slowest, 1000.0 * window.seconds / window.shown)
        work = {name: ms for name, ms in window.work_ms.items() if name != "style"} or others
        cramped = self._at > 0 or self.load > FITS
        changed = split.update(window.seconds, slowest, network, sum(work.values()), cramped)
        if changed:
            self._curves.pop("style", None)  # other threads, another curve
            self._measured = None
            self._over, self._calm = 0, 0.0
        return changed

    def _too_much(self, window: Window, explained: float, short: float) -> bool:
        self._over += 1
        self._calm = 0.0
        if self._over < 2 and explained < URGENT:
            return False
        if self._climbed_from is not None:  # the step up was a mistake: take it back, wait longer
            back, self._climbed_from = self._climbed_from, None
            self._patience = min(CALM_MAX_S, self._patience * 2)
            if self._predicted(window, self._rungs[back]) <= TOO_MUCH:
                return self._go(back)
        own = unhindered(window)
        if self._predicted(own, self.choice) > TOO_MUCH:
            fits = self._first_that_fits(own, FITS, before=len(self._rungs))
            fits = self._cheapest(own) if fits is None else fits
        else:
            fits = self._step_for_delivery(own, max(explained, short))
        return self._go(fits)

    def _step_for_delivery(self, window: Window, load: float) -> int:
        """Each stage alone would be fast enough, yet too little arrives: stages share a processor,
        or other programs have it. One step at a time, as long as it helps; none where most of the
        time goes into what no size changes, such as showing the picture."""
        scaled = window.styled_ms / self.choice.every + sum(window.per_frame_ms.values())
        if sum(window.fixed_ms.values()) > scaled:
            return self._at
        if self._short_before and load > 0.97 * self._short_before:
            self._futile += 1
        self._short_before = load
        return self._at if self._futile >= FUTILE else self._next_cheaper(window)

    def _go(self, index: int) -> bool:
        changed = index != self._at
        self._at = index
        if changed:
            self._over = 0
            self._calm = 0.0
            if self._split is not None:
                self._split.disturb()
        return changed

    def _forget(self) -> None:
        self._over, self._calm, self._climbed_from = 0, 0.0, None
        self._short_before, self._futile = 0.0, 0
        if self._split is not None:
            self._split.disturb()

    def _short(self, window: Window) -> float:
        """What should have been shown divided by what was."""
        wanted = min(self.target_fps * window.seconds, window.arrived)
        # Fewer than 8 frames: one at the edge of the window would count as 12 % or more.
        return wanted / window.shown if wanted >= 8 and window.shown else 0.0

    def _predicted(self, window: Window, rung: Choice) -> float:
        """Load of the bottleneck at `rung`, from times measured at the current one: the slowest
        stage, or the cores if all stages together need more than there are."""
        now, then = self.choice.pixels, rung.pixels
        grown = {name: self._curve(name).ratio(now, then) for name in window.per_frame_ms}
        speed = self._cost(rung.variant) / self._cost(self.choice.variant)
        grown["style"] = self._curve("style").ratio(now, then) * speed / rung.every
        stages = [window.styled_ms * grown["style"], *window.fixed_ms.values()]
        stages += [ms * grown[name] for name, ms in window.per_frame_ms.items()]
        if self._cores:
            work = {name: ms * grown.get(name, 1.0) for name, ms in window.work_ms.items()}
            # Threads beyond the measured one work about as long as that one does.
            network = work.pop("style", 0.0) * max(1, self.choice.threads)
            stages.append((network + sum(work.values())) / self._cores)
        return max(stages) * self.target_fps / 1000.0

    def _learn(self, window: Window) -> None:
        """Remember how long this size took; variants share one curve, in units of the first.

        The first window of another variant says what it costs beside the one before, under the same
        load: better than what a small test picture said.
        """
        variant, pixels = self.choice.variant, self.choice.pixels
        if self._measured is not None and self._measured[0] != variant:
            before, unit = self._measured
            told, cost = self._cost(before), self._cost(variant)
            seen = told * (window.styled_ms / pixels) / unit
            self._set_cost(variant, min(4 * cost, max(cost / 4, seen)))
        self._measured = (variant, window.styled_ms / pixels)
        self._curve("style").learn(pixels, window.styled_ms / self._cost(variant))
        for name, ms in window.per_frame_ms.items():
            self._curve(name).learn(pixels, ms)

    def _set_cost(self, variant: int, cost: float) -> None:
        self._costs += [1.0] * (variant + 1 - len(self._costs))
        self._costs[variant] = cost

    def _curve(self, stage: str) -> CostCurve:
        return self._curves.setdefault(stage, CostCurve())

    def _cost(self, variant: int) -> float:
        return self._costs[variant] if variant < len(self._costs) else 1.0

    def _first_that_fits(self, window: Window, limit: float, before: int) -> int | None:
        for index in range(before):
            if self._predicted(window, self._rungs[index]) <= limit:
                return index
        return None

    def _cheapest(self, window: Window) -> int:
        """The best picture among those that are nearly as cheap as the cheapest: where the time
        goes into fixed costs, or to other programs, a tiny picture would gain nothing."""
        loads = [self._predicted(window, rung) for rung in self._rungs]
        return next(k for k, load in enumerate(loads) if load <= ALIKE * min(loads))

    def _next_cheaper(self, window: Window) -> int:
        now = self._predicted(window, self.choice)
        for index in range(self._at + 1, len(self._rungs)):
            if self._predicted(window, self._rungs[index]) < now:
                return index
        return self._at


def unhindered(window: Window) -> Window:
    """The window as it would have been without other programs: where every computing stage took
    much longer by the clock than on a processor, all times are shortened by that much.

    The least ratio of the stages counts: one that waits for a GPU has a large one of its own. By
    the clock a starved machine's stages take about as long at any size, and the dearest rung would
    look like the cheapest.
    """
    clocks = {**window.per_frame_ms, "style": window.styled_ms}
    ratios = [
        clocks[name] / ms for name, ms in window.work_ms.items() if name in clocks and ms >= TURN_MS
    ]
    hindrance = min(ratios, default=0.0) / HINDERED
    if hindrance <= 1.0:
        return window
    return replace(
        window,
        styled_ms=window.styled_ms / hindrance,
        per_frame_ms={name: ms / hindrance for name, ms in window.per_frame_ms.items()},
        fixed_ms={name: ms / hindrance for name, ms in window.fixed_ms.items()},
    )
