import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.verify.parity import MOST_PSNR, psnr, ssim
from export.verify.photos import cover, load_photos
from runtime.errors import UsageError


def test_psnr_of_a_known_error():
    a = np.zeros((4, 4, 3), np.float32)
    assert psnr(a, a + np.float32(0.1)) == pytest.approx(20.0, abs=1e-4)
    assert psnr(a, a) == MOST_PSNR
    assert psnr(a, np.full_like(a, np.nan)) == 0.0


def test_ssim_is_one_for_equal_and_falls_with_noise():
    rng = np.random.default_rng(0)
    a = rng.random((32, 40, 3))
    assert ssim(a, a) == pytest.approx(1.0)
    little, much = (ssim(a, a + s * rng.standard_normal(a.shape)) for s in (0.02, 0.3))
    assert 1 > little > much


def test_ssim_equals_scikit_image_inside():
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(2)
    a = rng.random((64, 64, 3))
    b = np.clip(a + 0.1 * rng.standard_normal(a.shape), 0, 1)
    expected = structural_similarity(
        a, b, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(a, b) == pytest.approx(expected, abs=5e-3)  # borders differ


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 60)] * 4))
def test_cover_has_the_size_asked_for(sizes):
    rows, columns, width, height = sizes
    assert cover(np.zeros((rows, columns, 3), np.uint8), width, height).shape == (height, width, 3)


def test_broken_photos_are_skipped(photos_folder, tmp_path):
    assert len(load_photos(photos_folder)) == 3
    assert len(load_photos(photos_folder, 2)) == 2
    with pytest.raises(UsageError, match="no readable photo"):
        load_photos(tmp_path)
