"""How the cores are shared: how many threads the network gets, found out by trying.

Capture, stabilizer and screen run beside the network, each in a thread of its own. Where the
network takes longer than all of them together, it gains by more threads; where they are alike, a
network on every core waits for its own starved threads: on two cores 35.6 ms a frame instead of
the 13.3 of one thread. Which is the case depends on the model, its size and what else is switched
on, so another share is tried while the picture runs, and kept if frames come faster.
"""

from collections.abc import Sequence

# Windows of a trial (half a second each): enough for 30 frames, too short to annoy.
TRIAL_WINDOWS = 2
# A trial must shorten the time per frame to this share; less would be noise.
BETTER = 0.93
# A trial is not worth its second if not even this share is to be expected.
HOPE = 0.9
# What each further thread adds, at best: measured 1.94 to 1.98 for two threads in int8, 1.63 in
# fp32.
PER_THREAD = 0.95
# Seconds without any change before a trial, and before the next one after a failure; that doubles.
CALM_S = 2.0
AGAIN_S = 20.0
AGAIN_MAX_S = 320.0


def candidates(cores: int) -> list[int]:
    """Thread counts worth trying on a machine of so many cores, fewest first: all, all but one for
    the other stages, half."""
    return sorted({max(1, cores // 2), max(1, cores - 1), cores})


class Split:
    """Decides on the threads of the network.

    Attributes:
        threads: in use now, or on trial.
        trying: True during a trial; everything else should stay as it is.
        tried: threads -> milliseconds per frame, as last seen with them.
    """

    def __init__(self, choices: Sequence[int], first: int, cores: int) -> None:
        """Begin with `first` threads out of `choices` on a machine of `cores`."""
        self.threads = first
        self.trying = False
        self.tried: dict[int, float] = {}
        self._choices, self._cores = list(choices), cores
        self._before = first
        self._last: list[float] = []
        self._calm, self._wait = 0.0, CALM_S
        self._again: dict[int, float] = {}
        self._pause: dict[int, float] = {}

    def disturb(self) -> None:
        """Something else has changed: what was seen before does not compare with what comes."""
        if self.trying:
            self.trying, self.threads = False, self._before
        self._last, self._calm = [], 0.0

    def update(
        self, seconds: float, frame_ms: float, network_ms: float, others_ms: float, cramped: bool
    ) -> bool:
        """Look at a window; True if `threads` is now another number.

        Args:
            seconds: length of the window.
            frame_ms: time per frame: of the slowest stage, or what came out if that is more.
            network_ms: of this, the network's time per frame.
            others_ms: work of all other stages per frame, in core-milliseconds.
            cramped: whether speed is wanted at all: the picture is not yet the best possible.
        """
        self._again = {k: left - seconds for k, left in self._again.items()}
        self._last = [*self._last[-(TRIAL_WINDOWS - 1) :], frame_ms]
        self.tried[self.threads] = _middle(self._last)
        if self.trying:
            return self._judge()
        self._calm += seconds
        if not cramped or self._calm < self._wait or len(self._last) < TRIAL_WINDOWS:
            return False
        hopeful = self._most_promising(frame_ms, network_ms, others_ms)
        if hopeful is None:
            return False
        self._before, self._base = self.threads, _middle(self._last)
        self.threads, self.trying = hopeful, True
        self._last = []
        return True

    def _judge(self) -> bool:
        """After enough windows of a trial: keep it or take it back."""
        if len(self._last) < TRIAL_WINDOWS:
            return False
        self.trying, self._calm = False, 0.0
        if _middle(self._last) <= BETTER * self._base:
            # What was left is worth another look only after a while.
            self._again[self._before] = self._pause.setdefault(self._before, AGAIN_S)
            self._last = []
            return False
        pause = self._pause.get(self.threads, AGAIN_S)
        self._again[self.threads] = pause
        self._pause[self.threads] = min(AGAIN_MAX_S, 2 * pause)
        self.threads, self._last = self._before, []
        return True

    def _most_promising(self, frame_ms: float, network_ms: float, others_ms: float) -> int | None:
        best, found = HOPE * frame_ms, None
        for threads in self._choices:
            if threads == self.threads or self._again.get(threads, 0.0) > 0:
                continue
            expected = self._expected(threads, frame_ms, network_ms, others_ms)
            if expected <= best:
                best, found = expected, threads
        return found

    def _expected(
        self, threads: int, frame_ms: float, network_ms: float, others_ms: float
    ) -> float:
        """Milliseconds per frame with so many threads, at best."""
        if threads < self.threads:
            # The network's time now is mostly waiting where the others need the cores, too.
            crowded = others_ms > 0.25 * network_ms or frame_ms > 1.1 * network_ms
            return 0.8 * frame_ms if crowded else float("inf")
        work = network_ms * (1 + PER_THREAD * (self.threads - 1))
        return max(work / (1 + PER_THREAD * (threads - 1)), (work + others_ms) / self._cores)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
