"""Interleaving with synthetic cases and a false clock: order, stop rule, marked rounds."""

import pytest

from benchmarks.measuring import rounds as measure
from benchmarks.measuring.rounds import Case, Plan, Rounds, interleave


class World:
    """Cases that take the time they say on a clock that only they move."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def clock(self):
        return self.now

    def case(self, name, *times_ms):
        """A case that answers with these times in turn, over and over."""
        calls = 0

        def call():
            nonlocal calls
            took = times_ms[calls % len(times_ms)]
            calls += 1
            self.now += took / 1e3
            self.log.append(name)
            return {"total": took, "model": took / 2}

        return Case(name, call)


def steady(gemm=200.0, conv=900.0):
    return {"gemm_gflops": gemm, "conv_gops": conv, "copy_gbs": 40.0}


def test_every_round_visits_every_case_once_and_orders_differ():
    world = World()
    cases = [world.case(name, 100.0) for name in "abcd"]
    plan = Plan(iterations=10, duration_s=1e9, width=0.0, visit_calls=1)
    # Equal times converge at once, so the smallest number of rounds is made.
    rounds = interleave(cases, plan, clock=world.clock)
    assert len(rounds.order) == 10
    assert all(sorted(order) == list("abcd") for order in rounds.order)
    assert len({tuple(order) for order in rounds.order}) > 3
    assert world.log == list("abcd") + [name for order in rounds.order for name in order]


def test_order_is_the_same_in_every_run():
    orders = []
    for _ in range(2):
        world = World()
        cases = [world.case(name, 50.0) for name in "abc"]
        orders.append(interleave(cases, Plan(iterations=8), clock=world.clock).order)
    assert orders[0] == orders[1]


def test_short_cases_are_repeated_after_one_untimed_call():
    world = World()
    cases = [world.case("long", 500.0), world.case("short", 10.0)]
    plan = Plan(iterations=6, visit_ms=50.0, visit_calls=20)
    rounds = interleave(cases, plan, clock=world.clock)
    assert [len(calls) for calls in rounds.samples["short"].values()] == [5] * 6
    assert [len(calls) for calls in rounds.samples["long"].values()] == [1] * 6
    assert world.log.count("short") == 1 + 6 * (5 + 1)


def test_stops_as_soon_as_all_medians_are_known():
    world = World()
    rounds = interleave([world.case("a", 100.0)], Plan(iterations=6), clock=world.clock)
    assert rounds.converged and len(rounds.order) == 6


def test_noise_runs_into_the_budget_and_never_past_it():
    world = World()
    noisy = world.case("a", 100.0, 200.0)  # its interval can never be 2 % wide
    plan = Plan(iterations=6, duration_s=2.0, visit_calls=1)
    rounds = interleave([noisy], plan, clock=world.clock)
    assert not rounds.converged
    assert len(rounds.order) >= 10 and sum(rounds.times("a")) <= 2000.0


def test_one_round_is_always_made():
    world = World()
    plan = Plan(iterations=6, duration_s=0.001)
    rounds = interleave([world.case("a", 5000.0)], plan, clock=world.clock)
    assert rounds.times("a") == [5000.0] and not rounds.converged


def test_a_cold_machine_marks_the_rounds_beside_the_reading():
    readings = [steady() for _ in range(9)]
    readings[4] = steady(gemm=160.0)  # 80 % of the best: below the mark of 85 %
    readings[7] = steady(conv=780.0)  # 87 %: above it
    answers = iter(readings)
    world = World()
    plan = Plan(iterations=8, visit_calls=1)
    rounds = interleave(
        [world.case("a", 10.0)], plan, calibration=lambda: next(answers), clock=world.clock
    )
    # Reading 4 stands between rounds 3 and 4.
    assert rounds.marked() == {3, 4}
    assert sorted(rounds.by_round("a")) == [0, 1, 2, 5, 6, 7]


def test_memory_bandwidth_alone_marks_nothing():
    answers = iter([{**steady(), "copy_gbs": 40.0 - 4 * n} for n in range(9)])
    world = World()
    rounds = interleave(
        [world.case("a", 10.0)],
        Plan(iterations=8),
        calibration=lambda: next(answers),
        clock=world.clock,
    )
    assert rounds.marked() == set()


def test_slow_rounds_do_not_reach_the_median():
    order = [["a"]] * 8
    samples = {n: [{"total": 30.0 if n in (2, 3, 4) else 10.0}] for n in range(8)}
    readings = [steady(gemm=100.0 if n in (3, 4) else 200.0) for n in range(9)]
    rounds = Rounds({"a": samples}, readings, order)
    assert rounds.times("a") == [10.0] * 5


def test_all_rounds_count_when_too_few_are_clean():
    samples = {n: [{"total": 1.0 + n}] for n in range(4)}
    readings = [steady(), *[steady(gemm=50.0)] * 4]
    rounds = Rounds({"a": samples}, readings, [["a"]] * 4)
    assert rounds.marked() == {0, 1, 2, 3}
    assert rounds.times("a") == [1.0, 2.0, 3.0, 4.0]


def test_names_must_differ():
    world = World()
    for cases in ([], [world.case("a", 1.0), world.case("a", 2.0)]):
        with pytest.raises(ValueError, match="different names"):
            interleave(cases, Plan())


def test_timed_uses_the_clock():
    ticks = iter([1.0, 1.25])
    assert measure.timed(lambda: None, lambda: next(ticks))() == {"total": 250.0}
