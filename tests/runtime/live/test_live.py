"""The live pipeline with fake sources, looks and stabilizers: freshness, errors, no hang."""

import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from waiting import PATIENCE_S, wait_for

from runtime.card import ModelCard, Port
from runtime.errors import SourceError, StyleError
from runtime.frame import Frame
from runtime.live.capture import Capture
from runtime.live.controls import Settings
from runtime.live.ladder import Choice
from runtime.live.pipeline import LivePipeline
from runtime.live.slot import Closed
from runtime.live.styles import Entry, Key, Styles
from runtime.meter import Meter
from runtime.sources import Source, SourceInfo
from runtime.stabilizers.off import Off

WIDTH, HEIGHT = 32, 24


class Numbers(Source):
    """Pictures whose gray level is their number; one per `tick`, or as fast as they are taken."""

    def __init__(self, count, ticks=None, error=None):
        self.info = SourceInfo("numbers", WIDTH, HEIGHT, Fraction(30), count, True)
        self.count, self.ticks, self.error = count, ticks, error

    def __iter__(self):
        for index in range(self.count):
            if self.ticks is not None:
                self.ticks.acquire(timeout=PATIENCE_S)
            picture = np.full((HEIGHT, WIDTH, 3), index % 250, np.uint8)
            yield Frame(picture, Fraction(index, 30), index)
        if self.error:
            raise self.error

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class FakeStylizer:
    """Adds 1 to every pixel; may wait for a permit per picture, or fail."""

    card = ModelCard("fake", "test", (Port("image"),), (Port("styled"),))

    def __init__(self, permits=None, error=None):
        self.permits, self.error = permits, error
        self.sizes, self.resets, self.closed = [], 0, False

    def stylize(self, image, *, strength=1.0):
        if self.permits is not None:
            self.permits.acquire(timeout=PATIENCE_S)
        if self.error:
            raise self.error
        self.sizes.append(image.shape[1::-1])
        return image + np.uint8(1)

    def reset(self):
        self.resets += 1

    def close(self):
        self.closed = True


class Carrier(Off):
    """Can carry: repeats its last output."""

    def __init__(self, able=True):
        super().__init__()
        self.able, self.last = able, None

    def step(self, image, styled):
        self.last = styled
        return styled

    def skip(self, image):
        return self.last if self.able else None


def build(source, stylizer=None, choice=None, stabilizer=None, settings=None):
    stylizer = stylizer or FakeStylizer()
    capture = Capture(lambda: source, Meter())
    styles = Styles([Entry("fake", lambda variant, threads: stylizer)])
    styles.open_first(Key(0))
    pipeline = LivePipeline(
        capture,
        styles,
        lambda on, stability: stabilizer or Off(),
        choice or Choice(WIDTH, HEIGHT),
        settings or Settings(),
        Meter(),
    )
    capture.start()
    pipeline.start()
    return pipeline


def drain(pipeline):
    frames = []
    while True:
        try:
            frames.append(pipeline.output.get(PATIENCE_S))
        except Closed:
            return frames


def test_the_network_sees_noise_and_nobody_else_does():
    seen = []

    class Watching(FakeStylizer):
        def stylize(self, image, *, strength=1.0):
            seen.append(image)
            return super().stylize(image)

    frames = drain(build(Numbers(3), Watching(), settings=Settings(noise=0.5)))
    assert len(seen) >= len(frames) > 0
    assert all(picture.std() > 1 for picture in seen)
    assert all(frame.work.std() == 0 == frame.image.std() for frame in frames)


def test_the_last_frame_always_arrives_painted():
    pipeline = build(Numbers(40))
    frames = drain(pipeline)
    assert frames[-1].index == 39
    assert all(int(f.painted[0, 0, 0]) == f.index + 1 for f in frames)
    indices = [f.index for f in frames]
    assert indices == sorted(set(indices))
    assert len(frames) + pipeline.dropped == 40
    pipeline.close()


def test_a_slow_network_gets_the_newest_frame_not_the_oldest():
    """While the network is busy with frame 0, 30 more arrive: the next one it sees is the last."""
    ticks, permits = threading.Semaphore(1), threading.Semaphore(0)
    source = Numbers(31, ticks)
    stylizer = FakeStylizer(permits)
    pipeline = build(source, stylizer)
    wait_for(lambda: pipeline._capture.arrived == 1 and not pipeline._capture.slot._full)
    ticks.release(30)
    wait_for(lambda: pipeline._capture.arrived == 31)
    permits.release(100)
    assert [f.index for f in drain(pipeline)][-1] == 30
    assert len(stylizer.sizes) <= 3
    pipeline.close()


def test_a_slow_screen_costs_frames_and_no_delay():
    """Nothing is shown while 50 frames pass through; what is shown then is at most three old: one
    in each place of the pipeline."""
    ticks = threading.Semaphore(0)
    pipeline = build(Numbers(51, ticks))
    for number in range(50):
        ticks.release()
        wait_for(lambda number=number: pipeline._capture.arrived > number)
        wait_for(lambda: not pipeline._capture.slot._full)
    first = pipeline.output.get(PATIENCE_S)
    assert first.index >= 46
    assert pipeline.dropped >= 40
    ticks.release()
    pipeline.close()


def test_every_second_frame_is_carried_by_the_stabilizer():
    ticks = threading.Semaphore(0)
    stylizer = FakeStylizer()
    pipeline = build(
        Numbers(10, ticks), stylizer, Choice(WIDTH, HEIGHT, every=2), stabilizer=Carrier()
    )
    frames = []
    for _ in range(10):
        ticks.release()
        frames.append(pipeline.output.get(PATIENCE_S))
    assert [f.styled is None for f in frames] == [False, True] * 5
    assert len(stylizer.sizes) == 5
    assert pipeline.propagated == 5
    assert all(f.painted is not None for f in frames)
    pipeline.close()


def test_frames_that_cannot_be_carried_leave_the_last_picture():
    ticks = threading.Semaphore(0)
    pipeline = build(
        Numbers(6, ticks), None, Choice(WIDTH, HEIGHT, every=2), stabilizer=Carrier(able=False)
    )
    for shown in (1, 2, 3):
        ticks.release()
        pipeline.output.get(PATIENCE_S)
        ticks.release()
        wait_for(lambda shown=shown: pipeline.held == shown)
    pipeline.close()


def test_the_first_frame_alone_may_be_smaller():
    ticks, stylizer = threading.Semaphore(0), FakeStylizer()
    source = Numbers(3, ticks)
    capture = Capture(lambda: source, Meter())
    styles = Styles([Entry("fake", lambda variant, threads: stylizer)])
    styles.open_first(Key(0))
    full = Choice(WIDTH, HEIGHT)
    pipeline = LivePipeline(
        capture,
        styles,
        lambda on, stability: Off(),
        full,
        Settings(),
        Meter(),
        Choice(WIDTH // 2, HEIGHT // 2),
    )
    capture.start()
    pipeline.start()
    for _ in range(3):
        ticks.release()
        pipeline.output.get(PATIENCE_S)
    assert stylizer.sizes == [(16, 12), (32, 24), (32, 24)]
    pipeline.close()


def test_working_size_and_settings_change_between_two_frames():
    ticks = threading.Semaphore(0)
    stylizer = FakeStylizer()
    pipeline = build(Numbers(4, ticks), stylizer)
    ticks.release()
    assert pipeline.output.get(PATIENCE_S).painted.shape == (HEIGHT, WIDTH, 3)
    pipeline.set_plan(pipeline.settings, Choice(16, 12))
    ticks.release()
    frame = pipeline.output.get(PATIENCE_S)
    assert frame.painted.shape == (12, 16, 3)
    assert frame.image.shape == (HEIGHT, WIDTH, 3)
    assert stylizer.sizes == [(32, 24), (16, 12)]
    pipeline.set_plan(replace(pipeline.settings, frozen=True), pipeline.choice)
    ticks.release(2)
    held = pipeline.output.get(PATIENCE_S)
    again = pipeline.output.get(PATIENCE_S) if held.index == 2 else held
    assert np.array_equal(again.image, held.image)
    pipeline.close()


@pytest.mark.parametrize("error", [StyleError("the model failed"), ZeroDivisionError("bug")])
def test_an_error_of_the_network_reaches_the_one_who_shows(error):
    pipeline = build(Numbers(5), FakeStylizer(error=error))
    with pytest.raises(type(error), match=str(error)):
        drain(pipeline)
    pipeline.close()


def test_an_error_of_the_stabilizer_reaches_the_one_who_shows():
    class Broken(Off):
        def step(self, image, styled):
            raise ValueError("flow exploded")

    pipeline = build(Numbers(5), stabilizer=Broken())
    with pytest.raises(ValueError, match="flow exploded"):
        drain(pipeline)
    pipeline.close()


def test_an_error_of_the_source_comes_after_its_last_frame():
    pipeline = build(Numbers(3, error=SourceError("cable")))
    frames = []
    with pytest.raises(SourceError, match="cable"):
        while True:
            frames.append(pipeline.output.get(PATIENCE_S))
    assert frames[-1].index == 2
    pipeline.close()


def test_close_in_the_middle_ends_all_threads_and_closes_the_looks():
    before = threading.active_count()
    stylizer = FakeStylizer()
    ticks = threading.Semaphore(3)
    pipeline = build(Numbers(1000, ticks), stylizer)
    pipeline.output.get(PATIENCE_S)
    pipeline.close()
    assert stylizer.closed
    assert not any(thread.is_alive() for thread in pipeline._threads)
    ticks.release(1000)
    wait_for(lambda: threading.active_count() <= before)
    pipeline.close()
