"""Outlets and recordings: nothing blocks, what is lost is counted, errors come back."""

import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from waiting import PATIENCE_S, wait_for

from runtime.errors import OutputExists, SinkError
from runtime.frame import Frame
from runtime.live.output_threads import OutputThread
from runtime.live.recorder import Recorder


def frame(index, time_s=None):
    return Frame(np.zeros((2, 2, 3), np.uint8), Fraction(time_s or index), index)


class Sink:
    """Remembers; waits for a permit per frame if given; fails at a frame if told."""

    def __init__(self, permits=None, fail_at=None):
        self.permits, self.fail_at = permits, fail_at
        self.got, self.closed, self.aborted = [], False, False

    def write(self, frame):
        if self.permits is not None:
            assert self.permits.acquire(timeout=PATIENCE_S)
        if frame.index == self.fail_at:
            raise SinkError("disk full")
        self.got.append((frame.index, frame.time))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def test_everything_offered_is_written_or_counted_and_the_newest_survives():
    permits = threading.Semaphore(0)
    sink = Sink(permits)
    output_thread = OutputThread("preview", lambda: sink)
    output_thread.wait_open()
    output_thread.offer(frame(0))
    wait_for(lambda: not output_thread._waiting)
    for index in range(1, 50):
        output_thread.offer(frame(index))
    permits.release(100)
    output_thread.close()
    assert [index for index, _ in sink.got] == [0, 49]
    assert output_thread.written + output_thread.dropped == 50
    assert sink.closed


def test_a_recording_keeps_the_older_frames_when_it_is_late():
    permits = threading.Semaphore(0)
    sink = Sink(permits)
    output_thread = OutputThread("file", lambda: sink, behind=4)
    output_thread.wait_open()
    output_thread.offer(frame(0))
    wait_for(lambda: not output_thread._waiting)
    for index in range(1, 10):
        output_thread.offer(frame(index))
    permits.release(100)
    output_thread.close()
    assert [index for index, _ in sink.got] == [0, 1, 2, 3, 4]
    assert output_thread.dropped == 5


def test_errors_of_opening_and_writing_reach_the_caller_and_the_sink_is_aborted():
    def refuse():
        raise OutputExists("it is there")

    with pytest.raises(OutputExists):
        OutputThread("file", refuse).wait_open()
    sink = Sink(fail_at=1)
    output_thread = OutputThread("file", lambda: sink, behind=8)
    for index in range(4):
        output_thread.offer(frame(index))
    with pytest.raises(SinkError, match="disk full"):
        output_thread.close()
    assert sink.aborted
    assert not sink.closed
    output_thread.offer(frame(9))  # ignored


def test_recordings_are_numbered_and_their_time_starts_at_zero():
    sinks = {}

    def open_file(path):
        sinks[path.name] = Sink()
        return sinks[path.name]

    recorder = Recorder(Path("take.mp4"), open_file)
    recorder.offer(frame(0, 5))  # not running yet
    recorder.start()
    for index in range(3):
        recorder.offer(frame(index, 10 + index))
    assert recorder.seconds == 2.0
    recorder.toggle()
    assert recorder.seconds is None
    recorder.offer(frame(3, 13))
    recorder.toggle()
    recorder.offer(frame(4, 100))
    recorder.close()
    assert sinks["take.mp4"].got == [(0, 0), (1, 1), (2, 2)]
    assert sinks["take-2.mp4"].got == [(4, 0)]
    assert all(sink.closed for sink in sinks.values())
    assert recorder.files == ["take.mp4", "take-2.mp4"]
    assert recorder.written == 4
    assert len(recorder.news()) == 2


def test_a_failing_recording_is_said_and_the_show_goes_on(tmp_path):
    """A full disk stops the recording, not the show; the next one gets a name of its own."""
    sinks = iter([Sink(fail_at=0), Sink()])
    recorder = Recorder(tmp_path / "x.mp4", lambda path: next(sinks))
    recorder.start()
    news: list[str] = []
    for index in range(100000):
        recorder.offer(frame(index))
        news += recorder.news()
        if news:
            break
        time.sleep(0.0005)
    assert len(news) == 1 and news[0].startswith("recording stopped: ")
    assert recorder.seconds is None
    recorder.toggle()
    recorder.offer(frame(0))
    with pytest.raises(SinkError):  # for the exit code, when the show is over
        recorder.close()
    assert recorder.files == [str(tmp_path / "x-2.mp4")]


def test_a_recording_by_key_takes_the_next_free_name(tmp_path):
    for name in ("take.mp4", "take-2.mp4"):
        (tmp_path / name).write_text("the user's own")
    recorder = Recorder(tmp_path / "take.mp4", lambda path: Sink())
    recorder.toggle()
    recorder.offer(frame(0))
    recorder.close()
    assert recorder.files == [str(tmp_path / "take-3.mp4")]


def test_a_recording_that_is_stopped_before_a_picture_came_is_no_failure(tmp_path):
    recorder = Recorder(tmp_path / "take.mp4", lambda path: Sink(fail_at=0))
    recorder.toggle()
    recorder.toggle()
    recorder.close()
    assert recorder.files == []
    assert recorder.news() == ["stopped before a picture came: nothing was recorded"]
