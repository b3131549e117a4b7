"""Capture: sources that end, raise, stall, vanish and come back; nothing hangs."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from waiting import PATIENCE_S, wait_for

from runtime.errors import SourceError
from runtime.frame import Frame
from runtime.live.capture import Capture, cover
from runtime.live.slot import Closed
from runtime.meter import Meter
from runtime.sources import Source, SourceInfo

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Script(Source):
    """A source that follows a list: a number is a frame, the rest is what happens next."""

    def __init__(self, *steps, live=True, num_frames=None):
        self.info = SourceInfo("camera 7", 6, 4, Fraction(30), num_frames, live)
        self.steps = steps
        self.closed = threading.Event()
        self.release = threading.Event()

    def __iter__(self):
        for index, step in enumerate(self.steps):
            if isinstance(step, Exception):
                raise step
            if step == "stall":
                self.release.wait(PATIENCE_S)
                continue
            time.sleep(0.001)
            yield Frame(PICTURE, Fraction(step, 30), index)

    def close(self):
        self.closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Plug:
    """Opens scripted sources one after the other; an exception in the list is raised."""

    def __init__(self, *sources):
        self.waiting, self.opened = list(sources), []

    def __call__(self):
        if not self.waiting:
            raise SourceError("camera 7 cannot be opened")
        source = self.waiting.pop(0)
        if isinstance(source, Exception):
            raise source
        self.opened.append(source)
        return source


def capture(*sources, **options):
    plug = Plug(*sources)
    given = {"stall_s": 0.2, "open_s": 0.3, "give_up_s": 0.6, "back_off_s": (0.01,), **options}
    return Capture(plug, Meter(), **given), plug


def drain(cap):
    """All frames that were not dropped, and how it ended."""
    frames = []
    try:
        while True:
            frames.append(cap.slot.get(PATIENCE_S).frame)
    except Closed:
        return frames, None
    except Exception as error:
        return frames, error


def test_a_clip_ends_and_is_closed():
    cap, plug = capture(Script(0, 1, 2, live=False, num_frames=3))
    cap.start()
    assert cap.wait_info().name == "camera 7"
    frames, error = drain(cap)
    assert error is None
    assert frames[-1].time == Fraction(2, 30)
    assert cap.arrived == 3
    assert plug.opened[0].closed.wait(PATIENCE_S)


def test_a_broken_clip_is_final():
    cap, plug = capture(Script(0, SourceError("damaged"), live=False), Script(1))
    cap.start()
    _, error = drain(cap)
    assert str(error) == "damaged"
    assert len(plug.opened) == 1


def test_a_camera_that_cannot_be_opened_is_an_error_at_once():
    cap, _ = capture(SourceError("no camera 7"), Script(0))
    cap.start()
    with pytest.raises(SourceError, match="no camera 7"):
        cap.wait_info()


def test_a_bug_in_a_live_source_is_not_retried():
    cap, plug = capture(Script(0, ZeroDivisionError("bug")), Script(1))
    cap.start()
    _, error = drain(cap)
    assert isinstance(error, ZeroDivisionError)
    assert len(plug.opened) == 1


@pytest.mark.parametrize("trouble", [[SourceError("unplugged")], [], ["stall"]])
def test_a_camera_comes_back_and_time_goes_on(trouble):
    cap, plug = capture(
        Script(0, 1, 2, *trouble),
        SourceError("still gone"),
        Script(0, 1, "stall"),
    )
    cap.start()
    seen = []
    while cap.reconnects == 0 or len(seen) < 2:
        seen.append(cap.slot.get(PATIENCE_S).frame)
    assert cap.reconnects == 1
    times = [frame.time for frame in seen]
    assert times == sorted(set(times))
    assert cap.status == ""
    cap.close()
    for source in plug.opened:
        source.release.set()
        assert source.closed.wait(PATIENCE_S)


def test_a_camera_that_stays_away_is_given_up_with_a_reason():
    cap, _ = capture(Script(0, SourceError("unplugged")))
    cap.start()
    _, error = drain(cap)
    assert isinstance(error, SourceError)
    assert "was lost" in str(error)
    assert "cannot be opened" in str(error)


def test_while_a_camera_is_away_the_screen_says_so():
    cap, _ = capture(Script(0, SourceError("unplugged")), give_up_s=PATIENCE_S)
    cap.start()
    wait_for(lambda: "no picture" in cap.status)
    assert "camera 7: no picture" in cap.status
    cap.close()


def test_a_source_that_never_opens_does_not_hang():
    release = threading.Event()

    def blocked():
        release.wait(PATIENCE_S)
        return Script(0)

    cap = Capture(blocked, Meter(), open_s=0.1)
    cap.start()
    with pytest.raises(SourceError, match="did not open"):
        cap.wait_info()
    release.set()


def test_close_returns_while_the_source_is_blocked():
    script = Script(0, "stall")
    cap, _ = capture(script, stall_s=PATIENCE_S)
    cap.start()
    cap.slot.get(PATIENCE_S)
    cap.close()
    with pytest.raises(Closed):
        cap.slot.get(PATIENCE_S)
    script.release.set()
    assert script.closed.wait(PATIENCE_S)


def test_an_unread_slot_counts_what_was_missed():
    cap, _ = capture(Script(*range(50), live=False))
    cap.start()
    cap.wait_info()
    wait_for(lambda: cap.slot.closed)
    frames, _ = drain(cap)
    assert frames[0].index == 49
    assert cap.slot.dropped == 49


def test_another_camera_is_read_at_the_size_of_the_first():
    first, second = Script(*range(10_000)), Script(*range(10_000))
    second.info = SourceInfo("camera 8", 12, 12, Fraction(30), None, True)
    capture = Capture(Plug(first), Meter())
    capture.start()
    try:
        assert capture.wait_info().name == "camera 7"
        before = capture.slot.get().frame
        capture.switch(Plug(second), "camera 8")
        assert first.closed.wait(PATIENCE_S)
        wait_for(lambda: capture.reconnects)
        after = capture.slot.get().frame
        assert after.image.shape == (4, 6, 3) and after.time > before.time
        assert after.index > before.index
    finally:
        capture.close()


def test_a_camera_that_cannot_be_opened_is_said_and_the_show_goes_on_with_the_next():
    first, second = Script(*range(10_000)), Script(*range(10_000))
    capture = Capture(Plug(first), Meter(), back_off_s=(0.01,))
    capture.start()
    try:
        capture.wait_info()
        capture.switch(Plug(), "camera 8")
        wait_for(lambda: "trying again" in capture.status)
        assert capture.status.startswith("camera 8: no picture")
        capture.switch(Plug(second), "camera 8")
        wait_for(lambda: capture.reconnects)
    finally:
        capture.close()


@pytest.mark.parametrize(("width", "height"), [(6, 4), (4, 6), (7, 7)])
def test_what_does_not_fit_is_cut_off_on_both_sides(width, height):
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 130:170] = 255
    fitted = cover(image, width, height)
    assert fitted.shape == (height, width, 3)
    rows, columns = np.nonzero(fitted[..., 0] > 20)  # the middle stays there
    assert abs(rows.mean() - (height - 1) / 2) <= 0.5
    assert abs(columns.mean() - (width - 1) / 2) <= 0.5
