"""Pipeline: order, counts, errors from every stage, stopping; nothing hangs, nothing is lost."""

import threading
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from runtime.clips import pipeline, stages
from runtime.clips.pipeline import Watcher
from runtime.errors import SinkError, SourceError
from runtime.frame import Frame
from runtime.meter import Meter
from runtime.sinks.null import NullSink
from runtime.sources import Source, SourceInfo, open_source


class Identity:
    resets = 0
    remembers, begins_scene = False, True

    def stylize(self, image):
        return image

    def reset(self):
        self.resets += 1


class Invert(Identity):
    def stylize(self, image):
        return 255 - image


class Memory(NullSink):
    """Remembers the frames and how it was left."""

    def __init__(self):
        super().__init__()
        self.got, self.remembered, self.end = [], [], None

    def remember(self, facts):
        self.remembered.append(facts)

    def write(self, frame):
        super().write(frame)
        self.got.append(frame)

    def close(self):
        self.end = "closed"

    def abort(self):
        self.end = self.end or "aborted"


class Painted:
    """A shot that is shown as it was painted."""

    def __init__(self, frames):
        self.frames, self.count = list(frames), len(frames)

    def shown(self, before):
        return iter(self.frames)


class Frames(Source):
    """A source from a list; `fail_at` raises instead of that frame."""

    def __init__(self, count, fail_at=None):
        self.info = SourceInfo("list", 8, 6, Fraction(25), count)
        self.damage = {}
        self._count, self._fail_at = count, fail_at

    def __iter__(self):
        for index in range(self._count):
            if index == self._fail_at:
                raise SourceError("the decoder died")
            yield Frame(np.full((6, 8, 3), index % 256, np.uint8), Fraction(index, 25), index)


def run(source, session=None, stabilizer=None, sinks=None, beside=(), **options):
    sinks = [Memory()] if sinks is None else sinks
    layers = [pipeline.Layer(session or Identity(), stabilizer), *beside]
    report = pipeline.run(source, layers, sinks, Meter(), **options)
    return report, sinks[0]


def test_all_frames_in_order_with_their_times():
    report, sink = run(Frames(50), Invert())
    assert (report.frames_in, report.frames_out, report.interrupted) == (50, 50, False)
    assert [f.index for f in sink.got] == list(range(50))
    assert [f.time for f in sink.got] == [Fraction(i, 25) for i in range(50)]
    assert all(f.image[0, 0, 0] == 255 - f.index for f in sink.got)
    assert sink.end == "closed"


def test_stages_are_timed():
    meter = Meter()
    pipeline.run(Frames(3), [pipeline.Layer(Identity(), None)], [Memory()], meter)
    stages = meter.summary()["stages_ms"]
    assert {name: stages[name]["count"] for name in ("decode", "style", "encode")} == {
        "decode": 3,
        "style": 3,
        "encode": 3,
    }


def test_empty_source():
    report, sink = run(Frames(0))
    assert report.frames_out == 0
    assert sink.end == "closed"


@pytest.mark.parametrize("fail_at", [0, 1, 7, 29])
def test_a_source_that_fails_aborts_with_what_came_before(fail_at):
    sink = Memory()
    with pytest.raises(SourceError, match="died"):
        run(Frames(30, fail_at), sinks=[sink])
    assert sink.end == "aborted"
    assert [f.index for f in sink.got] == list(range(len(sink.got)))
    assert threading.active_count() < 20


class Broken(Memory):
    def __init__(self, at):
        super().__init__()
        self._at = at

    def write(self, frame):
        if frame.index == self._at:
            raise SinkError("the disk is full")
        super().write(frame)


@pytest.mark.parametrize("at", [0, 5, 99])
def test_a_sink_that_fails_ends_the_run(at):
    sink = Broken(at)
    with pytest.raises(SinkError, match="disk"):
        run(Frames(100), sinks=[sink])
    assert sink.end == "aborted"
    assert len(sink.got) == at


class FailingSession(Identity):
    def stylize(self, image):
        if image[0, 0, 0] == 4:
            raise RuntimeError("bug")
        return image


def test_a_session_that_fails_ends_the_run():
    sink = Memory()
    with pytest.raises(RuntimeError, match="bug"):
        run(Frames(100), FailingSession(), sinks=[sink])
    assert sink.end == "aborted"


class BadAbort(Broken):
    def abort(self):
        raise SinkError("cannot even abort")


def test_the_first_error_is_the_one_that_is_raised():
    with pytest.raises(SinkError, match="disk is full"):
        run(Frames(10), sinks=[BadAbort(3)])


class Forgetful(Memory):
    def write(self, frame):
        if frame.index != 3:
            super().write(frame)


def test_a_sink_that_loses_a_frame_is_an_error():
    with pytest.raises(SinkError, match="10 frames were read, 9 written"):
        run(Frames(10), sinks=[Forgetful()])


class Told(Watcher):
    """Counts what it is told, and passes one thing on."""

    def __init__(self, on_written=lambda: None):
        self.counts = Counter()
        self._on_written = on_written

    def painted(self):
        self.counts["painted"] += 1

    def shot(self):
        self.counts["shots"] += 1

    def written(self):
        self.counts["written"] += 1
        self._on_written()


def test_a_watcher_is_told_of_painted_and_written_frames_and_of_shots():
    class Cuts:
        """A stabilizer that finds a cut at frame 6, and paints shots as a whole."""

        context = 0

        def part(self, height, width):
            return 4

        def shots(self, frames):
            return ((frame, frame.index in (0, 6)) for frame in frames)

        def paint(self, frames, stylize, *, on_cut=None, start=0, until=None, before=None):
            shot = []
            for frame in frames:
                if frame.index == 6:
                    yield Painted(shot)
                    shot.clear()
                    on_cut()
                shot.append(replace(frame, image=stylize(frame.image)))
                seen.append((told.counts["painted"], told.counts["written"]))
            yield Painted(shot)

    told, seen, sink = Told(), [], Memory()
    sink.frames = 2  # of an earlier run
    run(Frames(10), stabilizer=Cuts(), sinks=[sink], watcher=told, first=2)
    assert told.counts == {"painted": 10, "written": 8, "shots": 1}
    # Painted frames are told at once, not when the shot is finished.
    assert seen[:6] == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)]
    assert [painted for painted, _ in seen] == list(range(1, 11))


def test_stopping_keeps_whole_frames_and_aborts():
    stop, seen = threading.Event(), []

    def written():
        seen.append(1)
        if len(seen) == 12:
            stop.set()

    report, sink = run(Frames(10_000), stop=stop, watcher=Told(written))
    assert report.interrupted
    assert sink.end == "aborted"
    assert 12 <= len(sink.got) < 40
    assert report.frames_in == report.frames_out == len(sink.got)


def test_stopping_after_the_last_frame_is_no_interruption():
    stop, seen = threading.Event(), []

    def written():
        seen.append(1)
        if len(seen) == 10:
            while not finished.wait(0.01):
                pass
            stop.set()

    finished = threading.Event()

    class Source(Frames):
        def __iter__(self):
            yield from super().__iter__()
            finished.set()

    report, sink = run(Source(10), stop=stop, watcher=Told(written))
    # The reader may see the event before or after it saw the end; both are reported truthfully.
    assert report.interrupted == (sink.end == "aborted")
    assert report.frames_out == 10


def test_several_sinks_get_the_same():
    sinks = [Memory(), Memory()]
    run(Frames(7), sinks=sinks)
    assert [f.index for f in sinks[1].got] == list(range(7))


def test_first_paints_but_does_not_write_what_is_there():
    session = Identity()
    sink = Memory()
    sink.frames = 6
    report, _ = run(open_source("synthetic:16x16@25x9"), session, sinks=[sink], first=6)
    assert [f.index for f in sink.got] == [6, 7, 8]
    assert (report.frames_in, report.painted) == (9, 9)


def test_prepare_and_finish():
    half = lambda image: np.ascontiguousarray(image[::2, ::2])  # noqa: E731
    mixed = lambda image, styled: image // 2 + styled // 2  # noqa: E731
    _, sink = run(Frames(4), Invert(), prepare=half, finish=mixed)
    assert sink.got[2].image.shape == (3, 4, 3)
    assert sink.got[2].image[0, 0, 0] == 2 // 2 + 253 // 2


class Live:
    """A frame-by-frame stabilizer: sums what it has seen since the last cut (every 4th frame)."""

    def __init__(self):
        self.cut, self.calls = False, []

    def prepare(self, image):
        self.cut = int(image[0, 0, 0]) % 4 == 0
        return image

    def reset(self):
        self.resets = getattr(self, "resets", 0) + 1

    def step(self, image, styled):
        self.calls.append(int(image[0, 0, 0]))
        return styled


def test_frame_stabilizer_protocol_and_restart_points():
    session, stabilizer = Identity(), Live()
    _, sink = run(Frames(10), session, stabilizer)
    assert stabilizer.calls == list(range(10))
    # Cuts at 4 and 8 (the first frame is none); a new shot keeps nothing of the old one.
    assert session.resets == 1 + 2
    assert stabilizer.resets == 2
    expected = [-1] * 4 + [3] * 4 + [7] * 2
    assert [facts.restart[0] for facts in sink.remembered] == expected
    assert sink.remembered[5].restart[1] == Fraction(3, 25)


def test_no_restart_points_where_frames_stand_alone():
    _, sink = run(Frames(5))
    assert {facts.restart for facts in sink.remembered} == {None}


class Whole:
    """A whole-shot stabilizer: shots of four frames, three read ahead."""

    context = 0

    def part(self, height, width):
        return 4

    def shots(self, frames):
        return ((frame, frame.index % 4 == 0) for frame in frames)

    def paint(self, frames, stylize, *, on_cut=None, start=0, until=None, before=None):
        waiting = []
        for frame in frames:
            if frame.index % 4 == 0 and frame.index:
                yield Painted([replace(f, image=stylize(f.image)) for f in waiting])
                waiting = []
                on_cut()
            waiting.append(frame)
        yield Painted([replace(f, image=stylize(f.image)) for f in waiting])


def test_shot_stabilizer_protocol_and_restart_points():
    session = Invert()
    meter, sink = Meter(), Memory()
    finish = lambda image, styled: styled - (image // 255)  # noqa: E731
    layers = [pipeline.Layer(session, Whole())]
    pipeline.run(Frames(10), layers, [sink], meter, finish=finish)
    assert [f.index for f in sink.got] == list(range(10))
    assert all(f.image[0, 0, 0] == 255 - f.index for f in sink.got)
    expected = [-1] * 4 + [3] * 4 + [7] * 2
    assert [facts.restart[0] for facts in sink.remembered] == expected
    assert [facts.begins_shot for facts in sink.remembered] == [i in (0, 4, 8) for i in range(10)]
    assert session.resets == 1 + 2
    assert meter.summary()["stages_ms"]["stabilize"]["count"] == 10


def test_a_shot_is_painted_while_the_one_before_is_stabilized():
    """Neither half goes on before the other has begun: in one thread this would wait for ever."""
    painting, showing = threading.Event(), threading.Event()

    class Shown(Painted):
        def shown(self, before):
            if self.frames[0].index == 0:
                assert before is None
                showing.set()
                assert painting.wait(30)
            else:
                assert [frame.index for frame in before.frames] == [0, 1]
            return iter(self.frames)

    class TwoShots(Whole):
        def paint(self, frames, stylize, *, on_cut=None, start=0, until=None, before=None):
            frames = [replace(f, image=stylize(f.image)) for f in frames]
            yield Shown(frames[:2])
            assert showing.wait(30)
            painting.set()
            on_cut()
            yield Shown(frames[2:])

    report, sink = run(Frames(5), stabilizer=TwoShots())
    assert [frame.index for frame in sink.got] == list(range(5))
    assert report.frames_out == 5


@pytest.mark.parametrize("at", [0, 3])
def test_a_sink_that_fails_ends_the_painting_ahead(at):
    class Full(Memory):
        def write(self, frame):
            if frame.index == at:
                raise SinkError("disk full")
            super().write(frame)

    before = threading.active_count()
    with pytest.raises(SinkError, match="disk full"):
        run(Frames(400), stabilizer=Whole(), sinks=[Full()])
    assert threading.active_count() == before


def test_a_long_shot_can_be_stopped():
    stop, painted = threading.Event(), []

    class Slow(Identity):
        def stylize(self, image):
            painted.append(1)
            if len(painted) == 3:
                stop.set()
            return image

    class OneShot(Whole):
        def paint(self, frames, stylize, *, on_cut=None, start=0, until=None, before=None):
            frames = list(frames)
            yield Painted([replace(f, image=stylize(f.image)) for f in frames])

    report, sink = run(Frames(50), Slow(), OneShot(), stop=stop)
    assert len(painted) == 3
    assert report.interrupted
    assert sink.end == "aborted"


def test_damage_travels_with_the_frames():
    source = Frames(3)
    source.damage = {"concealed": 2}
    _, sink = run(source)
    assert sink.remembered[0].damage == {"concealed": 2}


class Pairs:
    """A shot stabilizer that changes nothing: shots of three frames, read at once."""

    context = 0

    def part(self, height, width):
        return 4

    def shots(self, frames):
        return ((frame, frame.index % 3 == 0) for frame in frames)

    def paint(self, frames, stylize, *, on_cut=None, start=0, until=None, before=None):
        shot = []
        for frame in frames:
            shot.append(frame)
            if len(shot) == 3:
                yield self._painted(shot, stylize, on_cut if frame.index > 2 else None)
                shot = []
        yield self._painted(shot, stylize, on_cut)

    def _painted(self, shot, stylize, on_cut):
        if on_cut is not None and shot:
            on_cut()
        return Painted([replace(frame, image=stylize(frame.image)) for frame in shot])


@pytest.mark.parametrize("stabilizer", [None, Pairs()])
def test_two_paintings_of_every_frame_are_put_together(stabilizer):
    calls = []

    def finish(image, one, other):
        calls.append((int(image[0, 0, 0]), int(one[0, 0, 0]), int(other[0, 0, 0])))
        return other

    beside = [pipeline.Layer(Invert(), stabilizer)]
    report, sink = run(Frames(8), stabilizer=stabilizer, finish=finish, beside=beside)
    assert report.frames_out == 8
    assert calls == [(k, k, 255 - k) for k in range(8)]
    assert [int(frame.image[0, 0, 0]) for frame in sink.got] == [255 - k for k in range(8)]
    assert [frame.index for frame in sink.got] == list(range(8))


def test_what_finishes_is_told_of_shots_before_their_first_frame():
    events = []

    def finish(image, painted):
        events.append(int(image[0, 0, 0]))
        return painted

    run(Frames(7), stabilizer=Pairs(), finish=finish, on_shot=lambda: events.append("shot"))
    assert events == ["shot", 0, 1, 2, "shot", 3, 4, 5, "shot", 6]


def test_what_is_made_ahead_is_not_waited_for_without_end(monkeypatch):
    gate, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(stages, "PATIENCE_S", 0.05)

    def items():
        gate.wait(10)
        yield 1

    ahead = stages.Ahead(items(), ended)
    ahead.start()
    ahead.close()
    assert ahead.is_alive()
    gate.set()
    ahead.join(10)
    assert not ahead.is_alive()
