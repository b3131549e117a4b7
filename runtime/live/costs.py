"""How the time of a stage grows with the picture: a fixed part and a part per pixel, learned from
the sizes that were really used.

    time(pixels) = fixed + slope * pixels

Motion estimation, thread switches and kernel launches do not shrink with the picture. Whoever
assumes pure proportion never dares to leave a small size again: 12 ms at 190x142 would mean 136 ms
at 640x480.
"""

# Weight of a new measurement against the remembered one of the same size.
FRESH = 0.5
# Sizes remembered; the oldest is forgotten, so that another machine load is learned anew.
SIZES = 6


class CostCurve:
    """Measured milliseconds at the sizes used so far."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def learn(self, pixels: int, milliseconds: float) -> None:
        """Remember a measurement."""
        before = self._seen.pop(pixels, milliseconds)
        self._seen[pixels] = before + FRESH * (milliseconds - before)
        while len(self._seen) > SIZES:
            del self._seen[next(iter(self._seen))]

    def ratio(self, now: int, then: int) -> float:
        """How many times longer `then` pixels take than `now` pixels: the shape of the curve, so
        that what was learned under another load still helps."""
        fixed, slope = self._fit()
        base = fixed + slope * now
        return (fixed + slope * then) / base if base > 0 else then / now

    def _fit(self) -> tuple[float, float]:
        """Fixed part and slope by least squares, neither below zero; pure proportion as long as
        only one size is known."""
        count = len(self._seen)
        if count < 2:
            return 0.0, 1.0
        mean_x = sum(self._seen) / count
        mean_y = sum(self._seen.values()) / count
        spread = sum((x - mean_x) ** 2 for x in self._seen)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in self._seen.items()) / spread
        slope = min(max(0.0, slope), mean_y / mean_x)
        return mean_y - slope * mean_x, slope
