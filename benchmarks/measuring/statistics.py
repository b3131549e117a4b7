"""Order statistics: percentiles, and intervals for a median that assume nothing about the noise.

Timings on a shared machine are not normal: they have a floor and a long tail. So the center is the
median, and its interval comes from ranks alone (David and Nagaraja, Order Statistics, 2003, 7.1).
"""

import math
from collections.abc import Sequence

# Probability that an interval holds the true median.
CONFIDENCE = 0.95
PERCENTILES = (50, 90, 95, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest sample that at least `percent` % of the samples do not exceed.

    Nothing is interpolated, so every percentile is a time that really occurred; of fewer than 100
    samples p99 is the largest.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("percentile of nothing")
    ordered = sorted(values)
    rank = max(1, math.ceil(percent / 100 * len(ordered)))
    return ordered[rank - 1]


def median(values: Sequence[float]) -> float:
    """Middle value; of an even number the mean of the two middle ones. Raises on no values."""
    if not values:
        raise ValueError("median of nothing")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The narrowest symmetric pair of order statistics that covers the median at `CONFIDENCE`.

        P(X_(k) <= median <= X_(n + 1 - k)) = 1 - 2 P(B < k),   B ~ Binomial(n, 1/2)

    Returns:
        (low, high), or None below six samples: even minimum and maximum would cover less.
    """
    ordered = sorted(values)
    count = len(ordered)
    # 2^-n of B's mass lies at 0; the tail on each side may hold this much.
    tail, rank = 0.0, 0
    while rank < count // 2:
        tail += math.exp(_log_choose(count, rank) - count * math.log(2))
        if 2 * tail > 1 - CONFIDENCE:
            break
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def relative_width(values: Sequence[float]) -> float:
    """Full width of the median's interval over the median; infinite while there is no interval."""
    interval = median_interval(values)
    if interval is None:
        return math.inf
    center = median(values)
    return (interval[1] - interval[0]) / center if center else math.inf


def summary(values: Sequence[float], prefix: str) -> dict[str, float | None]:
    """`<prefix>_{min,mean,p50,p90,p95,p99,max,low,high}_ms`; low and high bound the median.

    p50 here is the median as usually defined (the mean of two middle values), the others are
    nearest ranks.
    """
    interval = median_interval(values) or (None, None)
    found: dict[str, float | None] = {
        "min": min(values),
        "mean": sum(values) / len(values),
        **{f"p{p}": percentile(values, p) for p in PERCENTILES},
        "max": max(values),
        "low": interval[0],
        "high": interval[1],
    }
    found["p50"] = median(values)
    return {f"{prefix}_{key}_ms": _micro(value) for key, value in found.items()}


def _micro(value: float | None) -> float | None:
    """Milliseconds to the microsecond: finer than any clock here can tell apart."""
    return None if value is None else round(value, 3)


def paired_ratio(
    ours: dict[int, list[float]], theirs: dict[int, list[float]]
) -> tuple[float, float | None, float | None]:
    """How many times longer `theirs` takes: the median over rounds of their medians' ratio.

    Both were measured moments apart in each round, so what slowed a whole round cancels.

    Args:
        ours: times of each round, by its number.
        theirs: likewise; rounds that only one of them has are left out.

    Returns:
        (ratio, low, high); low and high are None below six common rounds.

    Raises:
        ValueError: no round in common.
    """
    common = sorted(set(ours) & set(theirs))
    ratios = [median(theirs[number]) / median(ours[number]) for number in common]
    low, high = median_interval(ratios) or (None, None)
    return median(ratios), low, high
