"""From working size to the shown picture: scaling, strength, split view, mirror; gauges."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.card import ModelCard, Port
from runtime.live.compose import Composer
from runtime.live.controls import Settings
from runtime.live.gauges import TIMELINE_S, WARM_UP, Gauges, resident_mb
from runtime.live.ladder import Choice
from runtime.live.pipeline import Beside, LiveFrame
from runtime.live.styles import Active, Key
from runtime.meter import Meter
from runtime.model.stylizer import COLOR_MODES

WIDTH, HEIGHT = 64, 48


def made(painted_size=(WIDTH, HEIGHT), card=None):
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:, :4] = 0  # a black bar on the left
    width, height = painted_size
    painted = np.full((height, width, 3), 200, np.uint8)
    card = card or ModelCard("m", "test", (Port("image"),), (Port("styled"),))
    stylizer = SimpleNamespace(card=card)
    return LiveFrame(
        image,
        Fraction(0),
        0,
        0.0,
        Settings(),
        Choice(width, height),
        Active(stylizer, Key(0)),
        image,
        False,
        painted,
        painted,
    )


def composed(settings, **facts):
    return Composer(WIDTH, HEIGHT).compose(made(**facts), settings)


def test_small_pictures_are_scaled_up():
    picture = composed(Settings(), painted_size=(16, 12))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture == 200).all()


def test_strength_blends_with_the_cameras_picture():
    assert (composed(Settings(strength=0.0))[:, 8:] == 40).all()
    assert (composed(Settings(strength=0.5))[:, 8:] == 120).all()
    assert (composed(Settings(strength=1.0)) == 200).all()


def test_a_models_own_strength_knob_is_not_applied_twice():
    parameter = Port("strength", "scalar", (1,), default=1.0)
    card = ModelCard("m", "adain", (Port("image"), parameter), (Port("styled"),))
    assert (composed(Settings(strength=0.5), card=card) == 200).all()


def test_split_shows_both_and_a_mirror_turns_the_whole():
    split = composed(Settings(split=True))
    assert (split[:, :4] == 0).all()
    assert (split[:, 8 : WIDTH // 2 - 2] == 40).all()
    assert (split[:, WIDTH // 2 + 2 :] == 200).all()
    composer = Composer(WIDTH, HEIGHT)
    assert np.array_equal(composer.mirrored(split), split[:, ::-1])
    moved = composed(Settings(split=True, divider=0.25))
    assert (moved[:, 8 : WIDTH // 4 - 2] == 40).all()
    assert (moved[:, WIDTH // 4 + 2 :] == 200).all()


def test_a_part_of_the_picture():
    """The painting inside the mask, the camera's picture or the second painting outside."""
    frame = made()
    frame.mask = np.zeros((HEIGHT, WIDTH), np.float32)
    frame.mask[:, 32:] = 1
    shown = Composer(WIDTH, HEIGHT).compose(frame, Settings(region="person"))
    assert (shown[:, 32:] == 200).all()
    assert np.array_equal(shown[:, :32], frame.image[:, :32])
    frame.beside = Beside(frame.active, False, None, np.full((24, 32, 3), 90, np.uint8))
    shown = Composer(WIDTH, HEIGHT).compose(frame, Settings(region="person"))
    assert (shown[:, 32:] == 200).all()
    assert (shown[:, 8:24] == 90).all()


@pytest.mark.parametrize("colors", COLOR_MODES)
def test_the_cameras_colors_are_kept(colors):
    """A gray camera: whatever was painted in color becomes gray."""
    frame = made()
    frame.painted = np.random.default_rng(0).integers(0, 256, frame.painted.shape, np.uint8)
    plain = Composer(WIDTH, HEIGHT).compose(frame, Settings())
    kept = Composer(WIDTH, HEIGHT).compose(frame, Settings(colors=colors))
    assert np.ptp(plain.astype(int), axis=2).mean() > 50
    assert np.ptp(kept.astype(int), axis=2).mean() < 3


def test_the_input_is_never_written_to():
    frame = made()
    before = frame.image.copy(), frame.painted.copy()
    for settings in (Settings(strength=0.3, split=True), Settings()):
        Composer(WIDTH, HEIGHT).compose(frame, settings)
    assert np.array_equal(frame.image, before[0])
    assert np.array_equal(frame.painted, before[1])


def run(gauges, seconds, fps, latency=20.0, start=0.0, style=10.0):
    now = start
    for number in range(round(seconds * fps)):
        now = start + number / fps
        gauges.add(now, latency, {"decode": 1.0, "style": style, "stabilize": 5.0, "show": 2.0})
        gauges.tick(now, 0)
    return now


def test_gauges_know_the_last_moments_and_the_whole():
    meter = Meter()
    gauges = Gauges(meter, 0.0)
    now = run(gauges, 4, 30)
    run(gauges, 4, 10, latency=80.0, start=now + 0.1)
    assert gauges.fps() == pytest.approx(10, rel=0.02)
    assert gauges.latency()[0] == 80.0
    assert gauges.mean_fps() == pytest.approx(160 / 8, rel=0.05)
    assert gauges.stages() == {"decode": 1.0, "style": 10.0, "stabilize": 5.0, "show": 2.0}
    assert gauges.report()["latency_ms"]["p50"] == 20.0
    assert gauges.first_s == 0.0


def test_the_controllers_window_is_median_and_without_the_warm_up():
    gauges = Gauges(Meter(), 0.0)
    assert gauges.window(1.0, 5) is None
    now = run(gauges, WARM_UP / 10, 10, style=900.0)
    assert gauges.window(now + 9, 5) is None
    now = run(gauges, 1.0, 10, start=now + 0.1)
    gauges.add(now + 0.1, 20.0, {"style": 500.0})
    window = gauges.window(now + 0.1, 50)
    assert window.styled_ms == 10.0
    assert window.per_frame_ms == {"stabilize": 5.0}
    assert window.fixed_ms == {"decode": 1.0, "show": 2.0}
    assert window.shown == 11
    assert gauges.window(now + 0.1, 50) is None


def test_long_runs_have_a_timeline():
    gauges = Gauges(Meter(), 0.0)
    run(gauges, 3.5 * TIMELINE_S, 10)
    entries = gauges.report()["timeline"]
    assert len(entries) == 3
    assert entries[0]["fps"] == pytest.approx(10, rel=0.02)
    assert entries[0]["latency_p50_ms"] == 20.0
    assert entries[0]["rss_mb"] == pytest.approx(resident_mb(), rel=0.5)
