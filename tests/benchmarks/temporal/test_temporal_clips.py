"""Synthetic clips: the motion they claim is the motion they show."""

import numpy as np
import pytest

from benchmarks.metrics._pictures import warp
from benchmarks.temporal import synthetic_clips
from runtime.errors import SourceError, UsageError

SIZE = (64, 96)


def build(kind, **options):
    return synthetic_clips.build(kind, "rocket", "chelsea", SIZE, num_frames=8, **options)


@pytest.mark.parametrize("kind", list(synthetic_clips.KINDS))
def test_flow_explains_the_clip(kind):
    clip = build(kind, noise=0.0)
    for t, u in ((1, 2), (2, 7), (6, 1)):
        flow, valid = clip.flow(t, u)
        if kind == "cut" and min(t, u) < 4 <= max(t, u):
            assert not valid.any()
            continue
        assert valid.mean() > 0.5
        gain = clip.gains[t] / clip.gains[u]
        error = np.abs(warp(clip.clean(u) * gain, flow) - clip.clean(t))[valid]
        assert error.mean() < 2.5


@pytest.mark.parametrize("kind", list(synthetic_clips.KINDS))
def test_there_and_back(kind):
    clip = build(kind)
    there, valid = clip.flow(1, 3)
    back, _ = clip.flow(3, 1)
    returned = there + np.dstack([warp(back[..., k], there, linear=True) for k in (0, 1)])
    assert not valid.any() or np.abs(returned[valid]).max() < 0.05


def test_speeds_are_as_stated():
    flow, _ = build("pan").flow(2, 3)
    assert np.allclose(flow, [-2, -1])
    flow, _ = build("subpixel").flow(0, 1)
    assert np.allclose(flow, [-0.37, -0.21], atol=1e-5)
    assert np.allclose(build("still").flow(0, 7)[0], 0)


def test_whole_pixel_pan_needs_no_interpolation():
    clip = build("pan", noise=0.0)
    a, b = clip.clean(3), clip.clean(4)
    assert np.abs(np.roll(b, (1, 2), (0, 1)) - a)[8:-8, 8:-8].max() < 0.5


def test_parallax_uncovers_the_back():
    clip = build("parallax", noise=0.0)
    new, (_, seen) = clip.uncovered(4), clip.flow(4, 3)
    assert 0.005 < new.mean() < 0.3
    assert not (new & seen).any()
    moving = np.unique(np.round(clip.flow(3, 4)[0].reshape(-1, 2), 2), axis=0)
    assert len(moving) == 2  # two surfaces, two motions


def test_noise_is_new_in_every_frame_and_repeatable():
    clip = build("still", noise=3.0)
    a, b = (f.astype(float) for f in clip.frames[:2])
    inner = (a > 12) & (a < 243)
    assert (b - a)[inner].std() == pytest.approx(3 * np.sqrt(2), rel=0.1)
    again = synthetic_clips.build("still", "rocket", "chelsea", SIZE, num_frames=8, noise=3.0)
    assert (again.frames[5] == clip.frames[5]).all()


def test_light_ramp():
    clip = build("ramp", noise=0.0)
    assert clip.gains[-1] == pytest.approx(0.6)
    assert np.allclose(clip.clean(7), 0.6 * clip.clean(0), atol=1e-3)


def test_wrong_names():
    with pytest.raises(UsageError, match="available"):
        synthetic_clips.build("wobble")
    with pytest.raises(SourceError, match="not a picture"):
        synthetic_clips.load_photo("nowhere.png", SIZE)


def test_small_photographs_are_enlarged():
    assert min(synthetic_clips.load_photo("chelsea", (400, 500)).shape[:2]) >= 400
