"""The slot: newest wins, put never blocks, ends and errors reach the other side."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.live.slot import Closed, Empty, Slot


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=30))
def test_newest_wins_and_every_item_is_delivered_or_counted(script):
    """A number is put, None is a get: the last put comes out, the others are counted."""
    slot, waiting, delivered, dropped = Slot(), None, 0, 0
    for step in script:
        if step is not None:
            dropped += waiting is not None
            slot.put(step)
            waiting = (step,)
        elif waiting is None:
            with pytest.raises(Empty):
                slot.get(timeout=0)
        else:
            assert slot.get(timeout=0) == waiting[0]
            waiting, delivered = None, delivered + 1
    puts = sum(step is not None for step in script)
    assert slot.dropped == dropped
    assert puts == delivered + dropped + (waiting is not None)


def test_last_item_survives_closing_then_closed():
    slot = Slot()
    slot.put("last")
    slot.close()
    slot.put("too late")
    assert slot.get() == "last"
    with pytest.raises(Closed):
        slot.get()


def test_error_comes_after_the_last_item_and_stays():
    slot = Slot()
    slot.put(1)
    slot.close(OSError("unplugged"))
    slot.close(ValueError("second error is not kept"))
    assert slot.get() == 1
    for _ in range(2):
        with pytest.raises(OSError, match="unplugged"):
            slot.get()


def test_a_waiting_consumer_wakes_on_item_and_on_close():
    slot, seen = Slot(), []

    def consume():
        try:
            while True:
                seen.append(slot.get(timeout=20))
        except Closed:
            seen.append("end")

    thread = threading.Thread(target=consume)
    thread.start()
    slot.put("a")
    assert slot.wait_taken(timeout=20)
    slot.close()
    thread.join(20)
    assert seen == ["a", "end"]


def test_wait_taken_times_out_while_full_and_is_released_by_close():
    slot = Slot()
    assert slot.wait_taken(timeout=0)
    slot.put(1)
    assert not slot.wait_taken(timeout=0)
    slot.close()
    assert slot.wait_taken(timeout=0)
