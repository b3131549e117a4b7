"""Known values of the temporal metrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.metrics import _pictures
from benchmarks.metrics.excess_warping_error import excess_warping_error
from benchmarks.metrics.ghost import ghost
from benchmarks.metrics.global_drift import global_drift
from benchmarks.metrics.histogram_distance import BINS, histogram_distance
from benchmarks.metrics.lag import lag
from benchmarks.metrics.palette import palette
from benchmarks.metrics.periodicity import flat_periodicity, periodicity
from benchmarks.metrics.phase_roughness import phase_roughness
from benchmarks.metrics.pop import pop
from benchmarks.metrics.sharpness import sharpness
from benchmarks.metrics.shift_equivariance import shift_equivariance, shift_errors
from benchmarks.metrics.ssim import C1, ssim
from benchmarks.metrics.stability_error import stability_error
from benchmarks.metrics.static_flicker import static_flicker
from benchmarks.metrics.tile_edges import tile_edges
from benchmarks.metrics.warped_ssim import warped_ssim
from benchmarks.metrics.warping_error import warping_error, warping_errors

SHAPE = (160, 200, 3)
SIGMA = 0.03


def noise(count, sigma=SIGMA, level=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(level, sigma, SHAPE) for _ in range(count)]


def shift(dx, dy, margin=6):
    mask = np.zeros(SHAPE[:2], bool)
    mask[margin:-margin, margin:-margin] = True
    flow = np.broadcast_to(np.float32([dx, dy]), (*SHAPE[:2], 2))
    return lambda t, u: (flow * (u - t), mask)


class TestWarpingError:
    @pytest.mark.parametrize("step", [(0, 0), (1, 0), (3, -2)])
    def test_whole_pixels_on_noise(self, step):
        assert warping_error(noise(4), shift(*step)) == pytest.approx(2 * SIGMA**2, rel=0.03)

    def test_half_pixels_on_noise(self):
        found = warping_error(noise(4), shift(0.5, 0.5), linear=True)
        assert found == pytest.approx(1.25 * SIGMA**2, rel=0.03)

    def test_whole_pixel_pan_of_a_picture_is_zero(self):
        base = noise(1, 0.2)[0]
        frames = [np.roll(base, (2 * t, t), (0, 1)) for t in range(4)]
        assert warping_error(frames, shift(1, 2)) < 1e-12
        assert warping_error(frames, shift(1, 2), step=2) < 1e-12
        assert warped_ssim(frames, shift(1, 2)) == pytest.approx(1, abs=1e-5)

    def test_a_constant_has_none(self):
        assert warping_error([np.full(SHAPE, 90, np.uint8)] * 3, shift(0.4, 0.3)) < 1e-12

    def test_pairs_across_a_cut_are_left_out(self):
        flow, mask = shift(0, 0)(0, 1)
        frames = [np.zeros(SHAPE)] * 3 + [np.ones(SHAPE)] * 3

        def motion(t, u):
            return flow, mask & (not (t < 3 <= u))

        assert len(warping_errors(frames, motion)) == 4
        assert warping_error(frames, motion) == 0

    def test_nothing_visible_is_no_number(self):
        flow, mask = shift(0, 0)(0, 1)
        assert np.isnan(warping_error(noise(3), lambda t, u: (flow, mask & False)))

    def test_derived_values(self):
        frames, motion = noise(5), shift(1, 0)
        values = warping_errors(frames, motion)
        assert stability_error(frames, motion) == pytest.approx(np.sqrt(np.mean(values)))
        assert pop(frames, motion, 100) == pytest.approx(max(values))
        assert excess_warping_error(frames, frames, motion) == 0
        calm = noise(5, SIGMA / 2)
        expected = 1.5 * SIGMA**2
        assert excess_warping_error(frames, calm, motion) == pytest.approx(expected, rel=0.05)
        assert excess_warping_error(calm, frames, motion) == 0


class TestStillScenes:
    def test_flicker_of_noise(self):
        expected = 255 * 2 * SIGMA / np.sqrt(np.pi)
        assert static_flicker(noise(6)) == pytest.approx(expected, rel=0.02)

    def test_pumping_is_seen(self):
        base = np.full(SHAPE, 0.5)
        frames = [base * g for g in (1, 1.02, 1, 1.02)]
        assert static_flicker(frames) == pytest.approx(255 * 0.01, rel=1e-3)
        assert global_drift(frames) == pytest.approx(255 * 0.005, rel=1e-3)
        assert global_drift([base] * 3) == 0


class TestEquivariance:
    photo = np.uint8(np.random.default_rng(3).integers(0, 256, (120, 130, 3)))

    def test_pointwise_is_equivariant(self):
        assert shift_equivariance(lambda image: 255 - image, self.photo) == 0

    def test_texture_on_a_grid_is_not(self):
        x = np.mgrid[:200, :200][1]
        grid = np.uint8(40 * ((x % 4) < 2))[..., None]

        def glued(image):
            return image // 2 + grid[: image.shape[0], : image.shape[1]]

        errors = shift_errors(glued, self.photo)
        expected = {1: 0.5, 2: 1.0, 3: 0.5}  # share of pixels where the stripes disagree
        for (dx, _), error in errors.items():
            assert error == pytest.approx(expected[dx] * (40 / 255) ** 2, rel=0.05)

    def test_too_small(self):
        with pytest.raises(ValueError, match="too small"):
            shift_equivariance(lambda image: image, self.photo[:60])


class TestPictures:
    def test_phase_roughness(self):
        steps = np.random.default_rng(0).normal(0.5, 0.2, (1, 64, 3))
        blocks = np.repeat(np.repeat(steps, 4, 1), 256, 0)
        assert phase_roughness(blocks) == pytest.approx(1, rel=0.1)  # the loss's test has the sum
        assert phase_roughness(np.random.default_rng(1).random((256, 256, 3))) < 0.05
        assert phase_roughness(np.full((64, 64, 3), 0.5)) == 0

    def test_periodicity(self):
        y, x = np.mgrid[:128, :192]
        weave = np.where((x // 2 + y // 2) % 2, 0.6, 0.4)[..., None] * np.ones(3)
        rough = np.random.default_rng(0).normal(0.5, 0.1, (512, 512, 3))
        assert periodicity(weave) > 0.9
        assert periodicity(rough) == pytest.approx(1 / 64, rel=0.3)
        assert periodicity(np.full((64, 64, 3), 0.5)) == 0
        half = rough[:128, :192].copy()
        half[:, :64] = weave[:, :64]
        source = np.random.default_rng(1).normal(0.5, 0.1, half.shape)
        source[:, :64] = 0.5
        assert flat_periodicity(half, source) > 0.9 > periodicity(half)

    def test_ssim(self):
        p, q = 0.3, 0.6
        a, b = np.full(SHAPE, p), np.full(SHAPE, q)
        assert ssim(a, b) == pytest.approx((2 * p * q + C1) / (p * p + q * q + C1), rel=1e-4)
        assert ssim(noise(1)[0], noise(1)[0]) == pytest.approx(1, abs=1e-5)

    def test_sharpness_and_palette(self):
        base = noise(1, 0.1)[0]
        assert sharpness([base], [base]) == 1
        assert sharpness([0.5 + (base - 0.5) / 2], [base]) == pytest.approx(0.5, rel=1e-4)
        assert palette([base + 0.1], [base]) == pytest.approx(25.5, rel=1e-4)

    @pytest.mark.parametrize("late", [0, 1, 2])
    def test_lag(self, late):
        import cv2

        rough = np.random.default_rng(4).normal(0.5, 1, SHAPE).astype(np.float32)
        base = cv2.GaussianBlur(rough, (0, 0), 3)
        frames = [np.roll(base, 3 * t, 1) for t in range(12)]
        assert lag([frames[max(0, t - late)] for t in range(12)], frames) == late
        with pytest.raises(ValueError, match="too few"):
            lag(frames[:4], frames[:4])

    def test_lag_is_not_guessed(self):
        """A clip that hardly moves says nothing; a freeze of a moving one is late."""
        import cv2

        rough = np.random.default_rng(4).normal(0.5, 1, SHAPE).astype(np.float32)
        base = cv2.GaussianBlur(rough, (0, 0), 4)
        turn = [np.float32([[1, 0, 0.1 * t], [0, 1, 0]]) for t in range(12)]
        slow = [cv2.warpAffine(base, m, SHAPE[1::-1], borderMode=cv2.BORDER_REFLECT) for m in turn]
        assert np.isnan(lag(slow, slow))
        moving = [np.roll(base, 4 * t, 1) for t in range(12)]
        assert lag([moving[0]] * 12, moving) != 0
        assert lag([np.full(SHAPE, 0.5)] * 12, moving) != 0

    def test_ghost_sees_only_what_was_uncovered(self):
        base = [np.full(SHAPE, 0.5)] * 3
        mask = np.zeros(SHAPE[:2], bool)
        mask[40:80, 50:90] = True
        wrong = base[0].copy()
        wrong[mask] = 0.6
        assert ghost([wrong] * 3, base, lambda t: mask) == pytest.approx(25.5, rel=1e-3)
        assert ghost([wrong] * 3, base, lambda t: ~mask) == pytest.approx(0, abs=1e-6)
        assert ghost(base, base, lambda t: mask & False) == 0

    @settings(max_examples=10, deadline=None)
    @given(st.integers(-4, 4), st.integers(-4, 4))
    def test_warp_by_whole_pixels_is_a_roll(self, dx, dy):
        base = np.float32(noise(1, 0.2)[0])
        moved = _pictures.warp(base, shift(dx, dy)(0, 1)[0])
        inner = (slice(6, -6), slice(6, -6))
        assert np.allclose(moved[inner], np.roll(base, (-dy, -dx), (0, 1))[inner], atol=1e-5)


def tiled(side, deviation, shape=(192, 320)):
    """A gray picture and the same with squares of independent offsets."""
    rng = np.random.default_rng(3)
    offsets = rng.normal(0, deviation, (shape[0] // side, shape[1] // side))
    plain = np.full((*shape, 3), 0.5, np.float32)
    squares = np.kron(offsets, np.ones((side, side)))[..., None]
    return plain, (plain + squares).astype(np.float32)


@pytest.mark.parametrize("side", [8, 16, 32])
def test_tile_edges_of_independent_squares(side):
    plain, squares = tiled(side, 5 / 255)
    assert tile_edges([squares], [plain], (side,)) == pytest.approx(5, rel=0.25)


def test_tile_edges_of_two_squares_by_hand():
    """Columns of squares 1, 0, 1, 0: steps of 1 on the grid, of 0 on the moved grid, in x alone."""
    plain = np.zeros((24, 64, 3), np.float32)
    columns = np.kron(np.tile([1.0, 0.0], 4), np.ones(8))[None, :, None]
    assert tile_edges([plain + columns], [plain], (8,)) == pytest.approx(255 * np.sqrt(1 / 3))


def test_tile_edges_of_nothing_noise_and_slopes():
    plain, _ = tiled(16, 0.0)
    noise = np.random.default_rng(0).normal(0, 3 / 255, plain.shape).astype(np.float32)
    slope = np.linspace(0, 0.3, plain.shape[1], dtype=np.float32)[None, :, None]
    assert tile_edges([plain], [plain]) == 0
    assert tile_edges([plain + noise], [plain]) < 0.3
    assert tile_edges([plain + slope], [plain]) < 0.05


def test_tile_edges_of_a_pattern_that_a_network_repeats():
    """A weave of 4 pixels is in every square alike: it says nothing about squares."""
    plain, _ = tiled(16, 0.0)
    weave = np.tile(np.random.default_rng(1).normal(0, 0.1, (4, 4, 1)), (48, 80, 3))
    assert tile_edges([plain + weave], [plain]) < 1e-6


def test_histogram_distance_by_hand_and_its_nulls():
    rng = np.random.default_rng(0)
    picture = rng.random((20, 30, 3))
    shuffled = rng.permutation(picture.reshape(-1, 3)).reshape(30, 20, 3)
    assert histogram_distance(picture, picture) == pytest.approx(0, abs=1e-7)
    assert histogram_distance(picture, shuffled) == pytest.approx(
        0, abs=1e-7
    )  # places do not count
    black, white = np.zeros((4, 4, 3)), np.ones((2, 8, 3))
    assert histogram_distance(black, white) == 1
    half = np.concatenate([black[:2], np.ones((2, 4, 3))])
    assert histogram_distance(black, half) == pytest.approx(np.sqrt(1 - np.sqrt(0.5)))
    # A color between two bins is divided between them: no jump at an edge.
    edge = 0.5 / (BINS - 1)
    near, far = (histogram_distance(black, black + edge * s) for s in (0.99, 1.01))
    assert 0 < near < far < near + 0.02


def test_histogram_distance_of_draws_of_one_distribution_falls_with_their_size():
    rng = np.random.default_rng(1)
    sizes = (10, 40, 160)
    found = [histogram_distance(*(rng.random((n, n, 3)) for _ in range(2))) for n in sizes]
    assert found == sorted(found, reverse=True) and found[-1] < 0.1
