"""Progress: soon, seldom, with an estimate that can be believed; in each of its forms."""

import io
import json

import pytest
from waiting import wait_for

from runtime import console
from runtime.clips.progress import BatchProgress, ClipProgress
from runtime.console import MODES, Progress, clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at(monkeypatch):
    """`at(3.5)` sets the clock."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("TERM", "xterm")

    def move(seconds):
        now[0] = seconds

    return move


def test_short_work_is_silent_and_long_work_speaks_within_a_second(at):
    stream = io.StringIO()
    progress = Progress(10, stream=stream)
    for seconds in (0.3, 0.8, 1.0, 3.0, 5.9, 6.1):
        at(seconds)
        progress.update()
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["3/10 frames", "6/10 frames"]
    assert lines[0].startswith("3/10 frames  30 %")


def test_no_estimate_from_too_little_and_none_from_what_came_before_the_first(at):
    stream = io.StringIO()
    progress = Progress(100, stream=stream, mode="json")
    at(9.0)  # the model is loaded, the first frame warms it up
    progress.update()
    for second in (10, 11, 12):
        at(float(second))
        progress.update(10)
    facts = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [fact["eta_s"] for fact in facts] == [None, None, 7.9, 6.9]
    assert [fact["count"] for fact in facts] == [1, 11, 21, 31]
    assert facts[-1]["rate"] == 10


def test_a_bar_on_a_terminal(at):
    stream = Terminal()
    progress = Progress(4, "tiles", stream=stream)
    for seconds in (3.0, 3.05, 4.0):
        at(seconds)
        progress.update()
    progress.close()
    progress.close()
    shown = stream.getvalue()
    assert shown.count("\r") == 4
    assert "[###############.....] 3/4 tiles" in shown


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_on_both_kinds_of_stream(at, mode):
    for stream in (io.StringIO(), Terminal()):
        at(0.0)
        progress = Progress(4, mode=mode, stream=stream)
        at(2.0)
        progress.show(2, note="shot 3", shot=3)
        progress.close()
        shown = stream.getvalue()
        form = {"auto": "bar" if stream.isatty() else "log"}.get(mode, mode)
        assert bool(shown) == (form != "none")
        assert ("\r" in shown) == (form == "bar")
        assert ("shot 3" in shown) == (form in ("bar", "log"))
        if form == "json":
            assert json.loads(shown)["shot"] == 3


def test_quiet_progress_says_nothing(at):
    stream = io.StringIO()
    progress = Progress(None, quiet=True, stream=stream)
    at(100.0)
    progress.update()
    assert stream.getvalue() == ""


def test_a_stream_that_is_full_stops_nothing(at):
    stream = open("/dev/full", "w")  # noqa: SIM115  closing it fails, too
    progress = Progress(2, stream=stream)
    at(2.0)
    progress.update()
    progress.close()


def test_clips_count_what_is_painted_and_estimate_from_what_is_finished(at, capsys):
    with ClipProgress(100, "json") as progress:
        at(1.0)
        for _ in range(20):  # a shot is painted: nothing is finished yet
            progress.painted()
        at(5.0)
        progress.shot()
        for _ in range(20):
            progress.written()
        at(11.0)
        for _ in range(20):
            progress.painted()
    facts = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(fact["count"], fact["written"], fact["shot"]) for fact in facts] == [
        (1, 0, 1),
        (20, 1, 2),
        (21, 20, 2),
    ]


def test_the_first_frame_may_take_long(capsys):
    """A nought within a second of the start, whatever the network does."""
    with ClipProgress(100, "log"):
        shown = wait_for(lambda: capsys.readouterr().err, 30)
    assert shown.startswith("0/100 frames  0 %")


def test_clips_at_once(at, capsys):
    with BatchProgress(8, "log") as progress:
        for _ in range(3):
            progress.painted()
        at(2.0)
        progress.finished()
    assert capsys.readouterr().err.startswith("1/8 clips  12 %")


def test_clock():
    assert [clock(s) for s in (0, 65, 3661)] == ["0:00", "1:05", "1:01:01"]
