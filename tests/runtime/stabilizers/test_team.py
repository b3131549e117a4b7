"""Work shared among threads: order, errors, bounds, and that nothing is left running."""

import threading

import pytest

from runtime.stabilizers._team import Team


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_results_come_in_order(threads):
    turns = [threading.Event() for _ in range(9)]

    def make(number):
        # The first of two ends behind the second, where there are threads.
        if threads > 1 and number % 2 == 0 and number + 1 < len(turns):
            assert turns[number + 1].wait(10)
        turns[number].set()
        return number * number

    with Team(threads) as team:
        assert list(team.each(make, range(9))) == [n * n for n in range(9)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_no_more_is_begun_than_there_are_threads(threads):
    taken = []
    with Team(threads) as team:
        results = team.each(lambda n: n, (taken.append(n) or n for n in range(50)))
        for number in results:
            assert len(taken) <= number + 1 + threads


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_are_raised_where_the_result_is_wanted(threads):
    def make(number):
        return 1 // (number - 2)

    with Team(threads) as team:
        results = team.each(make, range(5))
        assert [next(results), next(results)] == [-1, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)


@pytest.mark.parametrize("failing", [0, 1])
def test_the_others_end_before_an_error_is_raised(failing):
    ended = []

    def work(number):
        if number == failing:
            raise ValueError(number)
        ended.append(number)

    with Team(3) as team, pytest.raises(ValueError, match=str(failing)):
        team.together(*(lambda n=n: work(n) for n in range(3)))
    assert ended == [n for n in range(3) if n != failing]


def test_nothing_is_left_running():
    before = threading.active_count()
    with Team(3) as team:
        next(team.each(lambda n: n, range(100)))
        assert threading.active_count() > before
    assert threading.active_count() == before
