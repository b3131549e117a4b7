"""Switching styles: in the background, newest wish wins, failures leave a note."""

import threading
import time

import numpy as np
import pytest

import runtime.styles
from runtime.errors import CardMismatch
from runtime.styles import KEPT, Entry, Styles

PATIENCE_S = 20.0


class FakeLook:
    clock = 0.0  # seconds that all pictures painted so far would have taken

    def __init__(self, name, seconds=0.0):
        self.name, self.seconds, self.closed = name, seconds, False

    def stylize(self, image, **_):
        FakeLook.clock += self.seconds
        return image

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def opened():
    return {}


def entries(opened, *names):
    def entry(name):
        def open_it():
            if name.startswith("bad"):
                raise CardMismatch(f"{name} is damaged")
            opened[name] = FakeLook(name)
            return opened[name]

        return [Entry(name, open_it)]

    return [entry(name) for name in names]


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def test_the_old_style_goes_on_until_the_new_one_is_there(opened):
    gate = threading.Event()
    slow = FakeLook("slow")

    def open_slowly():
        gate.wait(PATIENCE_S)
        return slow

    styles = Styles([*entries(opened, "first"), [Entry("slow", open_slowly)]])
    styles.open_first()
    styles.select(1)
    assert styles.take().look.name == "first"
    gate.set()
    wait_for(lambda: styles.take().style == 1)
    assert styles.take().look is slow
    assert not opened["first"].closed
    styles.close()
    assert slow.closed
    assert opened["first"].closed


def test_a_style_that_fails_leaves_a_note_and_can_be_left(opened):
    styles = Styles(entries(opened, "one", "bad", "three"))
    styles.open_first()
    styles.select(1)
    wait_for(lambda: styles.note)
    assert "bad is damaged" in styles.note
    assert styles.take().style == 0
    styles.select(2)
    assert styles.note == ""
    wait_for(lambda: styles.take().style == 2)
    styles.close()


def test_a_style_that_failed_is_not_opened_again_for_every_frame(opened):
    tries = []

    def fail():
        tries.append(1)
        raise CardMismatch("it is damaged")

    styles = Styles([*entries(opened, "one"), [Entry("two", fail)]])
    styles.open_first()
    for _ in range(50):
        styles.select(1)
        styles.take()
        time.sleep(0.001)
    wait_for(lambda: "damaged" in styles.note)
    assert len(tries) == 1
    styles.close()


def test_a_bug_while_opening_reaches_the_painting_thread(opened):
    def explode():
        raise ZeroDivisionError("bug")

    styles = Styles([*entries(opened, "one"), [Entry("two", explode)]])
    styles.open_first()
    styles.select(1)
    wait_for(lambda: styles._error)
    with pytest.raises(ZeroDivisionError):
        styles.take()
    styles.close()


def test_few_looks_stay_open_and_the_one_in_use_is_never_closed(opened):
    names = [f"style{k}" for k in range(6)]
    styles = Styles(entries(opened, *names))
    styles.open_first()
    for k in range(1, 6):
        styles.select(k)
        wait_for(lambda k=k: styles.take().style == k)
        styles.take()
        assert not opened[f"style{k}"].closed
    assert sum(not look.closed for look in opened.values()) <= KEPT
    styles.close()
    assert all(look.closed for look in opened.values())


def test_the_first_style_raises_at_once(opened):
    with pytest.raises(CardMismatch):
        Styles(entries(opened, "bad")).open_first()


def test_variants_are_compared_and_a_broken_one_is_never_cheap(monkeypatch):
    monkeypatch.setattr(runtime.styles, "perf_counter", lambda: FakeLook.clock)

    def broken():
        raise CardMismatch("no")

    variants = [
        Entry("full", lambda: FakeLook("full", 0.5)),
        Entry("fast", lambda: FakeLook("fast", 0.125)),
        Entry("broken", broken),
    ]
    styles = Styles([variants])
    styles.open_first()
    styles.survey(0)
    wait_for(lambda: 0 in styles.costs)
    first, fast, bad = styles.costs[0]
    assert (first, fast) == (1.0, 0.25)
    assert np.isinf(bad)
    styles.close()
