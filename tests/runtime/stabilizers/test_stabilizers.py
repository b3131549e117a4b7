"""Every stabilizer keeps the contract; live keeps paint on the scene, best over whole shots."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import plugins, stabilizers
from runtime.stabilizers import _flow, _layers
from runtime.stabilizers._blocks import boxes, spread
from runtime.stabilizers._denoise import Denoiser
from runtime.stabilizers._memory import MAX_ROWS, MEMORY_BYTES, PAD, Memory, num_slots
from runtime.stabilizers._motion import QUICK, Motion
from runtime.stabilizers._pack import mix
from runtime.stabilizers._visibility import smeared
from runtime.stabilizers.best import SEARCH
from runtime.stabilizers.live import LIFE, Live

NAMES = plugins.names(stabilizers)
SIZE = (96, 144)
# Sixteen 4x4 tiles: texture that stays on the screen's grid and changes with the content.
TILES = np.random.default_rng(5).integers(-45, 46, (16, 4, 4)).astype(np.int16)


def woven(image):
    """A stylizer with the flaw of stride-4 networks: its texture is glued to its own grid."""
    height, width = (side // 4 * 4 for side in image.shape[:2])
    cells = cv2.resize(image[:height, :width], (width // 4, height // 4))
    index = cells[..., 1].astype(int) // 7 % 16
    texture = TILES[index].transpose(0, 2, 1, 3).reshape(height, width)
    result = image[..., ::-1].astype(np.int16) // 2 + 60
    result[:height, :width] += texture[..., None]
    return np.clip(result, 0, 255).astype(np.uint8)


def landscape(seed=0, size=(220, 300)):
    """A picture with detail at all scales."""
    rng, picture = np.random.default_rng(seed), np.zeros((*size, 3), np.float32)
    for sigma in (2, 5, 15, 40):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (*size, 3)).astype(np.float32), (0, 0), sigma)
        picture += noise / noise.std()
    return np.clip(128 + 28 * picture, 0, 255).astype(np.uint8)


def pan(count, step=(2, 1), noise=0.0, size=SIZE, seed=0):
    """A camera moving by whole pixels: exact motion without interpolation."""
    big, rng = landscape(seed), np.random.default_rng(1)
    frames = []
    for t in range(count):
        x, y = 10 + t * step[0], 10 + t * step[1]
        frame = big[y : y + size[0], x : x + size[1]].astype(np.float32)
        frame = frame + rng.normal(0, noise, frame.shape) if noise else frame
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    return frames


def run(stabilizer, frames, paint=woven):
    return [stabilizer.step(f, paint(stabilizer.prepare(f))) for f in frames]


def change_along(outputs, step):
    """Mean squared difference of neighboring outputs along a whole-pixel motion, in 0..255."""
    dx, dy = step
    inner = (slice(8, -8), slice(8, -8))
    values = []
    for a, b in pairwise(outputs):
        moved = np.roll(b, (dy, dx), (0, 1))[inner].astype(float)
        values.append(np.square(moved - a[inner]).mean())
    return np.mean(values)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def make(self, name, strength=1.0):
        return plugins.load(stabilizers, name)(strength)

    def test_output_has_the_frame_s_shape_and_inputs_are_untouched(self, name):
        stabilizer = self.make(name)
        for frame in pan(3):
            before, styled = frame.copy(), woven(frame)
            kept = styled.copy()
            given = stabilizer.prepare(frame)
            shown = stabilizer.step(frame, styled)
            assert given.shape == shown.shape == frame.shape
            assert given.dtype == shown.dtype == np.uint8
            assert (frame == before).all() and (styled == kept).all()

    def test_first_frame_is_the_network_s(self, name):
        frame = pan(1)[0]
        assert (self.make(name).step(frame, woven(frame)) == woven(frame)).all()

    def test_zero_strength_changes_nothing(self, name):
        stabilizer = self.make(name, 0.0)
        for frame in pan(3, noise=3):
            assert stabilizer.prepare(frame) is frame
            styled = woven(frame)
            assert stabilizer.step(frame, styled) is styled

    @pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
    def test_strength_out_of_range(self, name, strength):
        with pytest.raises(ValueError, match="stability"):
            self.make(name, strength)

    def test_a_still_clip_stays_as_it_is(self, name):
        frame = pan(1)[0]
        outputs = run(self.make(name), [frame] * 6)
        assert all((output == outputs[0]).all() for output in outputs)

    def test_a_cut_starts_from_nothing(self, name):
        stabilizer = self.make(name)
        run(stabilizer, pan(3))
        after = 255 - landscape(9)[: SIZE[0], : SIZE[1]] // 3
        shown = stabilizer.step(after, woven(after))
        assert (shown == woven(after)).all()

    def test_reset_and_new_size_start_from_nothing(self, name):
        stabilizer = self.make(name)
        run(stabilizer, pan(3))
        stabilizer.reset()
        frame = pan(1, seed=2)[0]
        assert (stabilizer.step(frame, woven(frame)) == woven(frame)).all()
        small = np.ascontiguousarray(frame[:64, :80])
        assert (stabilizer.step(small, woven(small)) == woven(small)).all()

    @pytest.mark.parametrize("size", [(8, 8), (33, 47), (1, 50), (200, 20)])
    def test_odd_sizes(self, name, size):
        stabilizer, big = self.make(name), landscape()
        for t in range(4):
            frame = np.ascontiguousarray(big[t : t + size[0], t : t + size[1]])
            assert stabilizer.step(frame, 255 - stabilizer.prepare(frame)).shape == frame.shape

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_flat_frames(self, name, level):
        stabilizer = self.make(name)
        frame = np.full((*SIZE, 3), level, np.uint8)
        for _ in range(4):
            assert (stabilizer.step(frame, stabilizer.prepare(frame)) == level).all()

    def test_nothing_to_carry_at_first(self, name):
        assert self.make(name).skip(pan(1)[0]) is None


class TestLive:
    def test_texture_moves_with_the_scene(self):
        step = (2, 1)
        frames = pan(12, step)
        before = change_along([woven(f) for f in frames], step)
        after = change_along(run(Live(), frames), step)
        assert after < 0.15 * before

    def test_works_without_prepare(self):
        step = (2, 1)
        frames, live = pan(8, step), Live()
        outputs = [live.step(f, woven(f)) for f in frames]
        assert change_along(outputs, step) < 0.2 * change_along([woven(f) for f in frames], step)

    def test_still_camera_with_noise_does_not_boil(self):
        frames = pan(12, (0, 0), noise=3)
        outputs = run(Live(), frames)
        raw = [woven(f) for f in frames]
        assert change_along(outputs, (0, 0)) < 0.05 * change_along(raw, (0, 0))

    def test_light_is_followed(self):
        frame = pan(1)[0]
        frames = [np.uint8(frame * gain) for gain in np.linspace(1, 0.6, 30)]
        outputs = run(Live(), frames)
        assert abs(outputs[-1].mean() - woven(frames[-1]).mean()) < 4
        assert abs(outputs[0].mean() - woven(frames[-1]).mean()) > 10

    def test_what_an_object_uncovers_is_painted_anew(self):
        back, frames = landscape(3)[: SIZE[0], : SIZE[1]], []
        for t in range(8):
            frame = back.copy()
            frame[30:70, 20 + 8 * t : 60 + 8 * t] = landscape(4)[30:70, 20:60][..., ::-1]
            frames.append(frame)
        outputs = run(Live(), frames)
        uncovered = (slice(36, 64), slice(24, 60))
        error = np.abs(outputs[-1][uncovered].astype(int) - woven(frames[-1])[uncovered]).mean()
        old = np.abs(woven(frames[0])[uncovered].astype(int) - woven(frames[-1])[uncovered]).mean()
        assert error < 0.4 * old

    def test_paint_is_exchanged_without_squares(self):
        """The network changes its mind by 40: for three seconds old paint stands beside new. What
        is seen is between both but for a tenth of that, and no step is larger than a quarter of it
        (squares from 104 to 170, with edges of 32, stood here)."""
        frame, live = np.full((120, 160, 3), 90, np.uint8), Live()
        frame[::7, ::5] = 60  # something to recognize
        live.step(frame, np.full_like(frame, 100))
        for _ in range(110):
            shown = live.step(frame, np.full_like(frame, 140)).astype(int)
            assert shown.min() >= 99 and shown.max() <= 144
            assert max(np.abs(np.diff(shown, axis=k)).max() for k in (0, 1)) <= 10
        assert (shown == 140).all()

    def test_the_same_bytes_on_any_number_of_threads(self):
        frames, results = pan(8, (2, 1), noise=3), []
        before = cv2.getNumThreads()
        try:
            for threads in (1, 2, 5):
                cv2.setNumThreads(threads)
                results.append(run(Live(), frames))
        finally:
            cv2.setNumThreads(before)
        for other in results[1:]:
            assert all((a == b).all() for a, b in zip(results[0], other, strict=True))

    def test_skip_carries_the_last_output(self):
        frames, live = pan(6, (2, 0)), Live()
        shown = run(live, frames[:5])[-1]
        propagated = live.skip(frames[5])
        assert propagated is not None
        moved = np.roll(propagated, 2, 1)[8:-8, 8:-8].astype(int)
        assert np.abs(moved - shown[8:-8, 8:-8]).mean() < 3

    def test_skip_repeats_the_border_where_nothing_was_seen(self):
        frames, live = pan(3, (0, 6)), Live()
        for t in range(20):  # fills the memory with other pictures
            live.step(frames[0] // 2, np.full_like(frames[0], 250 * (t % 2)))
        live.reset()
        live.step(frames[1], np.full_like(frames[1], 100))
        for index in (0, 2):
            propagated = live.skip(frames[index])
            assert propagated is None or (np.abs(propagated.astype(int) - 100) <= 1).all()

    def test_a_late_result_is_welcome(self):
        frames, live = pan(6, (1, 0)), Live()
        run(live, frames[:3])
        live.skip(frames[4])
        assert live.step(frames[3], woven(frames[3])).shape == frames[3].shape
        assert live.skip(frames[5]) is not None

    def test_skip_across_a_cut_shows_nothing(self):
        live = Live()
        run(live, pan(3))
        assert live.skip(255 - landscape(9)[: SIZE[0], : SIZE[1]] // 3) is None

    def test_buffers_may_be_reused(self):
        frames, plain, shared = pan(6, (1, 1)), Live(), Live()
        image, styled = np.empty_like(frames[0]), np.empty_like(frames[0])
        for frame in frames:
            expected = plain.step(frame, woven(frame)).copy()
            image[:], styled[:] = frame, woven(frame)
            assert (shared.step(image, styled) == expected).all()
            image[:], styled[:] = 0, 0

    def test_strokes_live_longer_with_more_stability(self):
        assert Live(0.0).life == 1
        assert Live(0.5).life == pytest.approx(np.sqrt(LIFE), abs=2)
        assert Live(1.0).life == pytest.approx(LIFE, abs=2)

    def test_styled_of_another_size_is_an_error(self):
        frame = pan(1)[0]
        with pytest.raises(ValueError, match="styled frame"):
            Live().step(frame, frame[:-1])

    def test_cut_says_so(self):
        live, frames = Live(), pan(2)
        live.prepare(frames[0])
        assert live.cut
        live.step(frames[0], woven(frames[0]))
        live.prepare(frames[1])
        assert not live.cut


class TestMotion:
    @settings(max_examples=8, deadline=None)
    @given(st.integers(-6, 6), st.integers(-6, 6))
    def test_whole_pixel_shift(self, dx, dy):
        big = _flow.to_gray(landscape())
        a, b = big[20:140, 20:180], big[20 + dy : 140 + dy, 20 + dx : 180 + dx]
        flow = Motion(120, 160).estimate(a.copy(), b.copy())
        inner = flow[12:-12, 12:-12]
        assert np.abs(inner - [-dx, -dy]).mean() < 0.1

    def test_turning_camera(self):
        gray = _flow.to_gray(landscape())
        turn = cv2.getRotationMatrix2D((150, 110), 1.0, 1.01)
        turned = cv2.warpAffine(gray, turn, gray.shape[::-1], flags=cv2.INTER_CUBIC)
        area = (slice(50, 170), slice(70, 230))
        flow = Motion(120, 160).estimate(gray[area].copy(), turned[area].copy())
        x, y = np.meshgrid(np.arange(70, 230), np.arange(50, 170))
        exact = np.dstack([x, y]) @ turn[:, :2].T + turn[:, 2] - np.dstack([x, y])
        assert np.abs(flow - exact)[12:-12, 12:-12].mean() < 0.1

    def test_a_large_object_is_not_the_camera(self):
        """Its edges are found, what it drags along is not more than a rim, what it hid is known."""
        back, front = (_flow.to_gray(landscape(seed)) for seed in (0, 7))
        disc = np.hypot(*(np.indices((120, 160)) - np.reshape([60, 80], (2, 1, 1)))) < 35
        now, then = back[20:140, 20:180].copy(), back[20:140, 21:181].copy()
        now[disc] = front[20:140, 20:180][disc]
        moved = np.roll(disc, 4, 1)  # the camera goes by -1, the object by 4
        then[moved] = np.roll(front[20:140, 20:180], 4, 1)[moved]
        motion = Motion(120, 160)
        flow = motion.estimate(now, then)
        truth = np.where(disc[..., None], (4, 0), (-1, 0))
        wrong = np.abs(flow - truth).max(axis=2) > 0.5
        hid = ~disc & np.roll(moved, 1, 1)
        assert wrong[~hid].mean() < 0.08
        assert motion.uncovered is not None
        assert (motion.uncovered[hid] > 0).mean() > 0.8
        beside = cv2.dilate(hid.astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
        assert (motion.uncovered[~beside] > 0).mean() < 0.01

    def test_noise_on_a_flat_wall_is_no_motion(self):
        for seed, size in enumerate([(120, 160), (180, 320), (180, 320)]):
            rng = np.random.default_rng(seed)
            a, b = (np.uint8(rng.normal(90, 3, size)) for _ in range(2))
            for search in (QUICK, SEARCH):
                assert np.abs(Motion(*size, search).estimate(a, b)).max() == 0

    def test_gain(self):
        gray = _flow.to_gray(landscape())
        assert _flow.brightness_gain(gray, gray) == 1.0
        darker = cv2.convertScaleAbs(gray, alpha=0.8)
        assert _flow.brightness_gain(gray, darker) == pytest.approx(0.8, abs=0.02)
        assert _flow.brightness_gain(np.zeros_like(gray), gray) == 1.0

    def test_flow_size(self):
        assert _flow.flow_size(360, 640) == (180, 320)
        assert _flow.flow_size(480, 640) == (240, 320)
        assert _flow.flow_size(1920, 1080) == (320, 180)
        assert _flow.flow_size(144, 176) == (144, 176)
        assert _flow.flow_size(4, 4) == (32, 32)


class TestParts:
    def test_plain_objects_are_filled_and_keep_their_size(self):
        evidence = np.zeros((90, 160), np.float32)
        cv2.circle(evidence, (80, 45), 20, 20.0, 3)  # only its outline says something
        found = _layers.find_object(evidence)
        assert found is not None and found[45, 80] == 255
        assert np.sqrt((found > 0).sum() / np.pi) == pytest.approx(20, abs=2)
        assert _layers.find_object(np.zeros((90, 160), np.float32)) is None

    def test_a_mask_is_fitted_to_the_picture(self):
        gray = np.full((120, 160), 60, np.uint8)
        gray[:, 83:] = 160
        mask = np.zeros((60, 80), np.uint8)
        mask[:, 40:] = 255  # at 80 px: three too early
        small = cv2.resize(gray, (80, 60), interpolation=cv2.INTER_AREA).astype(np.float32)
        fitted = _layers.fit(mask, small, gray)
        assert (fitted[:, 84:] == 255).all() and (fitted[:, :82] == 0).all()

    def test_what_was_behind_is_beside(self):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 20:30] = 255
        own, behind = (np.full((40, 60, 2), (dx, 0), np.float32) for dx in (6, 0))
        hidden = _layers.uncovered(mask, own, behind, _flow.grid(40, 60))
        assert (hidden[10:30, 30:36] == 255).all()
        assert not hidden[:, :26].any() and not hidden[:, 40:].any()

    def test_denoiser_takes_noise_out_and_keeps_motion(self):
        frames, denoiser = pan(10, (2, 0), noise=3), Denoiser()
        clean = pan(10, (2, 0))
        flow, scale = np.full((*SIZE, 2), (2, 0), np.float32), np.float32([1, 1])
        results = [denoiser.start(frames[0], frames[0])]
        results += [denoiser.step(f, f, flow, scale) for f in frames[1:]]
        before = np.abs(frames[-1].astype(int) - clean[-1]).mean()
        after = np.abs(results[-1].astype(int) - clean[-1])[:, 24:].mean()
        assert after < 0.7 * before

    @pytest.mark.parametrize("size", [(24, 40), (30, 53)])
    def test_a_mixture_is_soft_and_exact_at_its_ends(self, size):
        below, above = np.full((*size, 3), 50, np.uint8), np.full((*size, 3), 150, np.uint8)
        weight = np.zeros((12, 20), np.uint8)
        weight[:, 5:] = 128
        weight[:, 12:] = 255
        mix(below, above, weight)
        row = below[size[0] // 2, :, 0].astype(int)
        scale = size[1] / 20
        assert (row[: int(5 * scale)] == 50).all()
        assert (row[int(6 * scale) + 1 : int(11 * scale)] == 100).all()
        assert (row[int(12 * scale) + 1 :] == 150).all()
        assert (np.diff(row) >= 0).all()

    def test_a_mixture_gives_each_block_what_it_was_given_at_least(self):
        """Beside a neighbor that gets nothing a rim of the old paint stayed, and rings on walls."""
        below, above = np.full((24, 40, 3), 50, np.uint8), np.full((24, 40, 3), 150, np.uint8)
        weight = np.zeros((12, 20), np.uint8)
        weight[4:8, 6:12] = 255
        mix(below, above, weight)
        assert (below[8:16, 12:24] == 150).all()
        assert (below[:8] == 50).all() and (below[:, 24:] == 50).all()

    def test_a_mixture_of_the_same_is_the_same(self):
        picture = landscape()[:40, :60].copy()
        kept = picture.copy()
        mix(picture, kept, np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8))
        assert (picture == kept).all()

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**16), st.integers(1, 90), st.integers(1, 90))
    def test_boxes_hold_every_pixel_of_a_mask(self, seed, height, width):
        mask = (np.random.default_rng(seed).random((40, 33)) > 0.97).astype(np.uint8) * 255
        held = np.zeros((height, width), bool)
        for area in boxes(mask, (height, width)):
            assert not held[area].any()
            held[area] = True
        assert held[spread(mask, (height, width)) > 0].all()
        assert not list(boxes(np.zeros_like(mask), (height, width)))

    def test_boxes_leave_out_what_is_wide_enough_between_two_groups(self):
        mask = np.zeros((12, 100), np.uint8)
        mask[2:5, 10:14] = mask[7:9, 60:70] = 255
        size = (48, 400)  # 12 x 46 flow pixels between, each of 4 x 4 pixels
        between = 12 * 46 * 16
        apart = [(slice(8, 20), slice(40, 56)), (slice(28, 36), slice(240, 280))]
        assert list(boxes(mask, size, between)) == apart
        assert list(boxes(mask, size, between + 12 * 16)) == [(slice(8, 36), slice(40, 280))]

    def test_smear_is_found(self):
        x = np.zeros((20, 30), np.float32)
        x[:, 10:20] = -np.arange(10)  # all of them point at column 10
        found = smeared(np.dstack([x, np.zeros_like(x)]), np.zeros_like(x))
        assert found[:, 11:19].all() and not found[:, :8].any()

    @given(st.integers(1, 5000), st.integers(1, 9000))
    def test_memory_is_bounded(self, height, width):
        slots = num_slots(height, width)
        assert slots >= 2 and slots * (height + 2 * PAD) <= MAX_ROWS
        assert slots <= 4 or slots * 3 * height * width <= MEMORY_BYTES


@pytest.mark.parametrize("last", [(0.0, 0.0), (-2.1, 0.4)], ids=["at first", "after a mistake"])
def test_the_camera_is_what_most_of_the_picture_agrees_on(last):
    """A sharp object on ground whose flow scatters: from anywhere the fit ends at the ground."""
    motion = Motion(180, 320)
    height, width = motion._search_grid.shape[:2]
    rng = np.random.default_rng(0)
    dense = rng.normal((1.0, 0.3), 0.15, (height, width, 2)).astype(np.float32)
    dense[:, : width * 2 // 5] = (-2.1, 0.4)
    motion._last[0] = last
    fitted = motion._fit(dense)
    assert np.abs(motion._corners @ fitted - (1.0, 0.3)).max() < 0.3


class Moving:
    """A motion estimate that says that a box of the picture moved."""

    own = uncovered = None
    local = False

    def __init__(self, grid, flow, box):
        self.grid, self.flow, self.moved = grid, flow, box

    def estimate(self, *_):
        return self.flow


@pytest.mark.parametrize("corner", [(0, 0), (9, 7)])
def test_a_part_that_moved_is_drawn_as_the_whole_is(corner):
    """OpenCV takes a number for a picture of 4 x 1 pixels: a part of this size ended the show."""
    rng = np.random.default_rng(5)
    image = cv2.GaussianBlur(rng.integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 2)
    for height, width in np.ndindex(6, 6):
        box = (*corner, width + 1, height + 1)
        drawn = []
        for moved in (box, (0, 0, 96, 64)):
            memory = Memory(64, 96)
            memory.store(image, image, None)
            flow = np.zeros((*memory.small, 2), np.float32)
            flow[corner[1] :, corner[0] :][: height + 1, : width + 1] = 0.75
            memory._motion = Moving(memory._motion.grid, flow, moved)
            memory.follow(image)
            drawn.append(memory.draw())
        # Strokes keep their sharpness by a mean of what is drawn: a part's is another one.
        assert np.abs(np.subtract(*drawn, dtype=int)).mean() < 0.05
