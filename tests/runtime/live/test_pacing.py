"""Paced sources on a clock of their own: times, rounds, lateness."""

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from runtime.errors import SourceError
from runtime.frame import Frame
from runtime.live.pacing import Paced
from runtime.sources import Source, SourceInfo


class Clock:
    def __init__(self):
        self.now, self.sleeps = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds


class Clip(Source):
    """Frames at given times; counts how often it was opened."""

    opened = 0

    def __init__(self, times, rate=Fraction(10)):
        type(self).opened += 1
        self.info = SourceInfo("clip", 4, 2, rate, len(times))
        self._times = times
        self.closed = False

    def __iter__(self):
        for index, time in enumerate(self._times):
            yield Frame(np.zeros((2, 4, 3), np.uint8), time, index)

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def paced(times, clock=None, loop=True, **options):
    clock = clock or Clock()
    source = Paced(lambda: Clip(times, **options), loop=loop, clock=clock, sleep=clock.sleep)
    return source, clock


def test_plays_at_its_own_times_and_goes_round():
    times = [Fraction(0), Fraction(1, 10), Fraction(3, 10)]
    source, clock = paced(times)
    got = list(islice(source, 7))
    assert [f.time for f in got] == [Fraction(n, 10) for n in (0, 1, 3, 4, 5, 7, 8)]
    assert [f.index for f in got] == list(range(7))
    assert clock.now == pytest.approx(0.8)
    assert source.info.live


def test_once_ends():
    source, _ = paced([Fraction(0), Fraction(1)], loop=False)
    assert len(list(source)) == 2


def test_a_clip_that_starts_late_starts_at_once():
    source, clock = paced([Fraction(5), Fraction(51, 10)], loop=False)
    assert [f.time for f in source] == [0, Fraction(1, 10)]
    assert clock.now == pytest.approx(0.1)


def test_a_single_picture_is_read_once():
    Clip.opened = 0
    source, clock = paced([Fraction(0)])
    got = list(islice(source, 5))
    assert [f.time for f in got] == [Fraction(n, 10) for n in range(5)]
    assert Clip.opened == 1
    assert clock.now == pytest.approx(0.4)


def test_after_a_pause_it_does_not_rush():
    source, clock = paced([Fraction(n, 10) for n in range(40)])
    frames = iter(source)
    next(frames)
    clock.now += 60  # the lid was closed
    for _ in range(4):
        next(frames)
    assert sum(clock.sleeps[-3:]) == pytest.approx(0.3)


def test_close_stops_and_an_empty_clip_is_an_error():
    source, _ = paced([Fraction(0), Fraction(1)])
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []
    source, _ = paced([])
    with pytest.raises(SourceError, match="no frames"):
        list(source)
