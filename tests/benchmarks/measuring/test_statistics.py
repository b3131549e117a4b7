"""Order statistics on synthetic timings: known percentiles, honest intervals."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measuring import statistics

TIMES = st.lists(st.floats(0.01, 1e4, allow_nan=False), min_size=1, max_size=60)


def test_percentiles_of_one_to_a_hundred():
    values = [float(n) for n in range(100, 0, -1)]
    assert [statistics.percentile(values, p) for p in (50, 90, 95, 99)] == [50, 90, 95, 99]
    assert statistics.percentile(values, 100) == 100
    assert statistics.median(values) == 50.5


@pytest.mark.parametrize(("count", "expected"), [(1, 7.0), (10, 7.0 + 9), (99, 7.0 + 98)])
def test_p99_of_fewer_than_a_hundred_is_the_largest(count, expected):
    assert statistics.percentile([7.0 + n for n in range(count)], 99) == expected


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="nothing"):
        statistics.percentile([], 50)
    with pytest.raises(ValueError, match="nothing"):
        statistics.median([])


@given(TIMES, st.floats(1, 100))
def test_a_percentile_is_a_sample_and_counts_right(values, percent):
    found = statistics.percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) >= percent / 100 * len(values) - 1e-9
    assert sum(v < found for v in values) < percent / 100 * len(values)


# Tables of the sign test: ranks (k, n + 1 - k) of the narrowest 95 % interval of a median.
@pytest.mark.parametrize(
    ("count", "rank"), [(6, 1), (8, 1), (9, 2), (12, 3), (20, 6), (30, 10), (50, 18), (100, 40)]
)
def test_interval_takes_the_ranks_of_the_sign_test(count, rank):
    values = [float(n) for n in range(1, count + 1)]
    assert statistics.median_interval(values) == (rank, count + 1 - rank)


def test_five_samples_have_no_interval():
    assert statistics.median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert statistics.relative_width([1.0] * 5) == math.inf


def test_interval_covers_the_true_median_as_often_as_it_says():
    source = random.Random(7)
    # A skewed law with a long tail, as timings have; its median is 1 + ln 2.
    true = 1 + math.log(2)
    hits = 0
    for _ in range(600):
        low, high = statistics.median_interval([1 + source.expovariate(1) for _ in range(25)])
        hits += low <= true <= high
    # 95.7 % expected at n = 25; four standard errors of a binomial with 600 trials are 3.3 %.
    assert hits / 600 >= 0.957 - 0.034


@given(TIMES)
def test_summary_is_ordered(values):
    found = statistics.summary(values, "total")
    keys = ["min", "p90", "p95", "p99", "max"]
    ordered = [found[f"total_{key}_ms"] for key in keys]
    assert ordered == sorted(ordered)
    if len(values) >= 6:
        assert found["total_low_ms"] <= found["total_p50_ms"] <= found["total_high_ms"]
    else:
        assert found["total_low_ms"] is None


def test_ratio_of_pairs_ignores_a_slow_round():
    ours = {n: [10.0, 11.0, 10.0] for n in range(7)}
    theirs = {n: [200.0] for n in range(7)}
    ours[3], theirs[3] = [20.0], [400.0]  # the machine ran at half speed
    assert statistics.paired_ratio(ours, theirs) == (20.0, 20.0, 20.0)


def test_ratio_needs_common_rounds():
    with pytest.raises(ValueError, match="nothing"):
        statistics.paired_ratio({0: [1.0]}, {1: [1.0]})
    assert statistics.paired_ratio({0: [1.0], 1: [1.0]}, {1: [3.0]}) == (3.0, None, None)
