"""Distances of feature sets by hand, and the stand-ins' names and loaders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.metrics import _proxies
from benchmarks.temporal import scenes
from benchmarks.temporal.warped_lpips import open_warped_lpips, try_warped_lpips
from runtime.errors import EngineUnavailable, UsageError
from training.backbones import squeezenet
from training.clip.folder import open_clip
from training.pairs import likeness

CHANNELS = (64, 128, 256, 384, 384, 512, 512)


def test_frechet_distance_by_hand():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4))
    assert _proxies.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    shift = np.array([1.0, -2.0, 0.5, 0.0])
    assert _proxies.frechet_distance(x, x + shift) == pytest.approx(float(shift @ shift))
    # Gaussians along the axes: sum of squared differences of deviations.
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    assert _proxies.frechet_distance(x, 3 * x) == pytest.approx(4 * (3 - 1) ** 2)
    assert _proxies.frechet_distance(x, 3 * x) == pytest.approx(_proxies.frechet_distance(3 * x, x))


def test_features_on_one_scale():
    rng = np.random.default_rng(0)
    sizes = np.geomspace(0.1, 10, 8)
    real, same, other = rng.standard_normal((3, 60, 8)) * sizes + 5 * sizes
    other[:, 0] += 2 * sizes[0]  # what a channel of small numbers says counts as well

    distance = _proxies.scaled_kernel_distance
    # By hand: lengths of sqrt(d), so that the kernel is (1 + cos)^3.
    y = _proxies.on_one_scale(same, real)
    np.testing.assert_allclose((y**2).sum(1), 8)
    x = (same - real.mean(0)) / real.std(0)
    cosine = x[0] @ x[1] / np.linalg.norm(x[0]) / np.linalg.norm(x[1])
    assert y[0] @ y[1] / 8 == pytest.approx(cosine)
    # Units do not matter, a change of one channel does, and more with every one that has it.
    assert distance(7 * same, 7 * real) == pytest.approx(distance(same, real))
    mixed = [np.concatenate([same[n:], other[:n]]) for n in (0, 15, 30, 45, 60)]
    found = [distance(each, real) for each in mixed]
    assert abs(found[0]) < 0.05 and found == sorted(found) and found[-1] > 0.5
    # A channel that real pictures never excite has no deviation.
    real[:, 1] = same[:, 1] = 0
    assert np.isfinite(distance(other, real)) and np.isfinite(distance(same, real))


def test_kernel_distance_is_unbiased_and_sees_shifts():
    rng = np.random.default_rng(0)
    same = [
        _proxies.kernel_distance(rng.standard_normal((20, 3)), rng.standard_normal((20, 3)))
        for _ in range(200)
    ]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    x = rng.standard_normal((50, 3))
    assert _proxies.kernel_distance(x, rng.standard_normal((50, 3)) + 1) > 5 * np.std(same)
    with pytest.raises(UsageError, match="at least two"):
        _proxies.kernel_distance(x[:1], x)


@pytest.fixture
def weights(random_weights, tmp_path):
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(CHANNELS)}
    save_file(heads, tmp_path / likeness.LPIPS_FILE)
    name = squeezenet.FILE.name
    (tmp_path / name).write_bytes((random_weights / name).read_bytes())
    return tmp_path


def test_lpips_is_a_distance(weights):
    backbone = likeness.open_squeezenet(weights)
    heads = likeness.load_lpips_heads(weights)
    a, b = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    assert likeness.lpips(backbone, heads, a, a) == 0
    near = likeness.lpips(backbone, heads, a, (a + 0.02 * b).clamp(0, 1))
    far = likeness.lpips(backbone, heads, a, b)
    assert 0 < near < far
    assert far == pytest.approx(likeness.lpips(backbone, heads, b, a))


def test_lpips_by_hand_on_one_layer():
    class Two:
        def __call__(self, x, layers):
            return {layer: x for layer in layers}

    a = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)  # unit (0.6, 0.8)
    b = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    heads = [torch.tensor([2.0, 1.0]).view(1, 2, 1, 1)] * 7
    expected = 7 * (2 * (0.6 - 1) ** 2 + 0.8**2)
    assert likeness.lpips(Two(), heads, a, b) == pytest.approx(expected)


def test_warped_lpips_follows_the_motion(weights):
    clip = scenes.synthetic("pan", "chelsea", "rocket", (64, 96), num_frames=4, noise=0.0)
    measure = open_warped_lpips(weights)
    along = measure(clip.frames, clip.motion)
    glued = measure([clip.frames[0]] * 4, clip.motion)  # a picture that stays on the screen
    assert along < 0.3 * glued
    nowhere = np.zeros(clip.frames[0].shape[:2], bool)
    assert np.isnan(measure(clip.frames, lambda t, u: (clip.motion(t, u)[0], nowhere)))
    assert try_warped_lpips(weights / "nowhere") is None


def test_missing_and_wrong_heads(weights):
    (weights / likeness.LPIPS_FILE).unlink()
    with pytest.raises(EngineUnavailable, match="PerceptualSimilarity"):
        likeness.load_lpips_heads(weights)
    save_file({"x": torch.zeros(1)}, weights / likeness.LPIPS_FILE)
    with pytest.raises(UsageError, match=r"no lin0\.model\.1\.weight"):
        likeness.load_lpips_heads(weights)


def test_features_are_one_vector_per_picture(weights):
    backbone = likeness.open_squeezenet(weights)
    found = _proxies.pooled_features(backbone, [torch.rand(1, 3, 64, 64) for _ in range(3)])
    assert found.shape == (3, 512)


def test_inception_score_by_hand():
    known = np.eye(4)
    assert _proxies.inception_score(known) == pytest.approx(4)  # all classes, each clearly
    # Nulls: pictures that look alike, whatever they look like; pictures that look like nothing.
    assert _proxies.inception_score(known[[1, 1, 1]]) == pytest.approx(1)
    assert _proxies.inception_score(np.full((5, 4), 0.25)) == pytest.approx(1)
    # Two classes, half clearly: ln IS = KL([1 - e, e] | [1/2, 1/2]).
    doubtful = np.array([[0.9, 0.1], [0.1, 0.9]])
    expected = np.exp(np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert _proxies.inception_score(doubtful) == pytest.approx(expected)


def test_class_probabilities_need_a_classifier(weights):
    pictures = [torch.rand(1, 3, 64, 64) for _ in range(3)]
    with pytest.raises(UsageError, match='no layer "classes"'):
        _proxies.class_probabilities(likeness.open_squeezenet(weights), pictures)
    path = weights / squeezenet.FILE.name
    held = load_file(path)
    held |= {"classifier.1.weight": torch.randn(7, 512, 1, 1), "classifier.1.bias": torch.ones(7)}
    save_file(held, path)
    found = _proxies.class_probabilities(likeness.open_squeezenet(weights), pictures)
    assert found.shape == (3, 7) and np.allclose(found.sum(1), 1)


def test_clip_score_by_hand_and_its_nulls():
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((6, 512))
    assert _proxies.clip_score(pictures, 3 * pictures) == pytest.approx(100)
    assert _proxies.clip_score(pictures, -pictures) == 0  # what contradicts counts as nothing
    assert _proxies.clip_score(np.eye(4)[:2], np.eye(4)[2:3]) == 0
    sixty = np.array([[0.5, np.sqrt(0.75)]])
    assert _proxies.clip_score(np.eye(2)[:1], sixty) == pytest.approx(50)
    # Null: texts of other pictures say nothing; cosines of random directions are about d^(-1/2).
    others = [_proxies.clip_score(pictures, np.roll(pictures, n, 0)) for n in range(1, 6)]
    assert max(others) < 10


def test_clip_score_with_a_model_that_knows_colors():
    tiny = Path(__file__).resolve().parents[2] / "training" / "clip" / "tiny"
    reader = open_clip(tiny)
    red, blue = (
        torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 32, 32)
        for c in ((0.86, 0.1, 0.1), (0.15, 0.2, 0.85))
    )
    score = {
        (name, text): _proxies.clip_score(_proxies.seen(reader, [image]), reader.read(text).numpy())
        for name, image in (("red", red), ("blue", blue))
        for text in ("red", "blue")
    }
    assert (
        score["red", "red"] > score["red", "blue"] and score["blue", "blue"] > score["blue", "red"]
    )


def test_art_fid_by_hand():
    assert _proxies.art_fid(0.5, 19.0) == pytest.approx(30.0)
