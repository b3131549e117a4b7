"""Known answers by hand for each loss, and what all terms must obey."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.plugins import load, names
from training import losses
from training.losses import LossInputs, Target
from training.losses.content import content_distance
from training.losses.motion import random_similarity, warp
from training.losses.periodicity import high_pass, periodicity_energy
from training.losses.phase_roughness import by_phase, phase_roughness
from training.losses.range import out_of_range
from training.losses.style import gram_energy, gram_matrix
from training.losses.tv import total_variation


def test_gram_of_constant_features():
    features = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 3, 5)
    torch.testing.assert_close(gram_matrix(features)[0], torch.tensor([[0.5, 1.0], [1.0, 2.0]]))


def test_gram_trace_is_the_mean_square():
    features = torch.randn(2, 5, 7, 4)
    gram = gram_matrix(features)
    traces = gram.diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(traces, features.square().mean((1, 2, 3)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 10))
def test_gram_forgets_where_and_scales_squared(seed, factor):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, 3, 6, 6, generator=generator)
    order = torch.randperm(36, generator=generator)
    shuffled = features.flatten(2)[:, :, order].view_as(features)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))
    torch.testing.assert_close(gram_matrix(factor * features), factor**2 * gram_matrix(features))


def test_gram_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        gram_matrix(torch.zeros(3, 4, 4))


def test_metric_measures_in_the_mapped_channels():
    q = torch.randn(9, 4)
    d = torch.randn(2, 4, 4)
    d = d + d.transpose(1, 2)
    mapped = q @ d @ q.T
    torch.testing.assert_close(
        gram_energy(d, q.T @ q), mapped.square().sum((1, 2)), rtol=1e-4, atol=1e-3
    )


def test_content_distance_is_relative():
    target = torch.rand(1, 4, 5, 5) + 0.1
    assert content_distance(target, target) == 0
    torch.testing.assert_close(
        content_distance(torch.zeros_like(target), target), torch.tensor(1.0)
    )
    torch.testing.assert_close(content_distance(1.5 * target, target), torch.tensor(0.25))


def test_total_variation_of_a_checkerboard():
    board = (torch.arange(6)[:, None] + torch.arange(8)) % 2
    for power in (1, 2):
        assert total_variation(board.float()[None, None], power) == 2
        assert total_variation(torch.full((1, 3, 5, 5), 0.7), power) == 0


def test_powers_of_an_edge():
    edge = torch.tensor([[0.0, 0.5, 0.5]]).expand(2, 3)[None, None]
    for name, expected in (("tv", 0.25), ("tv2", 0.125)):
        term = load(losses, name)(None)
        assert term(LossInputs(edge)) == expected


def test_out_of_range():
    images = torch.tensor([-0.5, 0.0, 1.0, 1.5]).view(1, 1, 2, 2)
    assert out_of_range(images) == 0.25
    assert out_of_range(torch.rand(1, 3, 4, 4)) == 0


def test_lock_sees_the_grid_and_not_other_periods():
    x = torch.arange(256.0)
    grid = torch.cos(2 * np.pi * x / 4).expand(1, 1, 256, 256) * 0.1
    other = torch.cos(2 * np.pi * x / 5).expand(1, 1, 256, 256) * 0.1
    # A cosine of amplitude .1 has energy .005, all of it common to all cells, in both windows; the
    # box of 17 px keeps 1/17 of a period of 4 px, so 16/17 of the amplitude passes.
    expected = torch.tensor(2 * 0.005 * (16 / 17) ** 2)
    torch.testing.assert_close(periodicity_energy(grid), expected, rtol=0.02, atol=0)
    # Four cells of a 32-px window leave a quarter of a period of 5 px, eight of 64 px .077 of it.
    assert periodicity_energy(other) == pytest.approx(0.005 * (0.25**2 + 0.077**2), rel=0.3)


def test_lock_of_noise_is_its_floor():
    noise = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)) * 0.1
    floor = 0.01 * ((8 / 64) ** 2 + (8 / 32) ** 2)
    torch.testing.assert_close(periodicity_energy(noise), torch.tensor(floor), rtol=0.1, atol=0)


def test_places_of_a_cell_by_hand():
    across = torch.zeros(1, 3, 64, 64)
    across[:, :, :, ::4] = 0.5
    places = by_phase(across)
    assert places.shape == (1, 3, 1, 16)
    torch.testing.assert_close(places[0, 0, 0], torch.tensor([0.5, 0, 0, 0]).repeat(4))


def test_grid_sees_stairs_of_its_own_period_only():
    """Steps every four pixels along one axis: first differences at one of four places give 3,
    second ones at two of four give 1, nothing along the other axis, so (3 + 1) / 4."""
    steps = torch.randn(1, 3, 1, 64, generator=torch.Generator().manual_seed(0))
    blocks = steps.repeat_interleave(4, 3).expand(1, 3, 256, 256)
    assert phase_roughness(blocks) == pytest.approx(1.0, rel=0.1)
    others = steps[..., :52].repeat_interleave(5, 3)[..., :256].expand(1, 3, 256, 256)
    assert phase_roughness(others) < 0.4
    noise = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    assert phase_roughness(noise) < 0.02
    assert phase_roughness(torch.full((1, 3, 64, 64), 0.5)) == 0


def test_grid_sees_what_all_cells_share():
    """A wave of 4 px: its first differences are the same in every cell (1) and, at this phase, of
    one size at all places (0); its second ones the same (1) and at two of four places only (1)."""
    wave = torch.cos(torch.arange(256.0) * torch.pi / 2).expand(1, 3, 256, 256) * 0.1
    assert phase_roughness(wave) == pytest.approx((1 + 1 + 1) / 4, rel=0.02)


def test_grid_does_not_mind_what_cannot_be_seen():
    steps = torch.randn(1, 3, 1, 64, generator=torch.Generator().manual_seed(0)) / 255
    blocks = steps.repeat_interleave(4, 3).expand(1, 3, 256, 256)
    assert phase_roughness(blocks / 20) < 0.01 < 0.5 < phase_roughness(blocks * 20)


def test_high_pass_removes_constants_and_slow_ramps():
    ramp = torch.linspace(0, 1, 128).expand(1, 1, 128, 128)
    assert high_pass(ramp)[:, :, 20:-20, 20:-20].abs().max() < 1e-5


def test_warp_by_identity_changes_nothing():
    images = torch.rand(1, 3, 20, 24)
    identity = torch.nn.functional.affine_grid(
        torch.eye(2, 3)[None], [1, 3, 20, 24], align_corners=False
    )
    torch.testing.assert_close(warp(images, identity), images, atol=1e-5, rtol=0)


def test_random_similarities_stay_small():
    grid = random_similarity(50, (64, 64), np.random.default_rng(0))
    center = grid[:, 31:33, 31:33].mean((1, 2))
    assert center.abs().max() <= 8 * 2 / 64 + 1e-4


@pytest.fixture(scope="module")
def target(random_weights):
    from training.backbones import open_backbone

    backbone = open_backbone("vgg19_16x", random_weights)
    layers = {"relu1_1": 1.0, "relu2_1": 1.0}
    painting = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    features = backbone(painting, set(layers))
    return painting, Target(backbone, layers, ("relu2_1",), features)


def inputs_for(output, photo, backbone):
    features = backbone(output, {"relu1_1", "relu2_1"})
    moved = (output * 0.9, output, torch.ones_like(output[:, :1]))
    return LossInputs(output, features, backbone(photo, {"relu2_1"}), moved)


CORE = ["content", "style", "tv", "range", "periodicity", "motion"]


@pytest.mark.parametrize("name", CORE)
def test_terms_are_means_with_finite_gradients(name, target):
    _, fixed = target
    term = load(losses, name)(fixed)
    generator = torch.Generator().manual_seed(2)
    photos = torch.rand(2, 3, 64, 64, generator=generator)
    outputs = torch.rand(2, 3, 64, 64, generator=generator) * 1.4 - 0.2
    outputs.requires_grad_(True)
    both = term(inputs_for(outputs, photos, fixed.backbone))
    both.backward()
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad.abs().sum() > 0
    if name != "content":  # relative to the energy of the whole batch
        singles = [
            term(inputs_for(outputs[i : i + 1].detach(), photos[i : i + 1], fixed.backbone))
            for i in range(2)
        ]
        torch.testing.assert_close(both.detach(), sum(singles) / 2, rtol=1e-4, atol=1e-6)


def test_style_and_content_are_zero_at_their_targets(target):
    painting, fixed = target
    inputs = inputs_for(painting, painting, fixed.backbone)
    assert load(losses, "style")(fixed)(inputs) < 1e-10
    assert load(losses, "content")(fixed)(inputs) == 0


@pytest.mark.parametrize("name", names(losses))
def test_every_loss_names_its_source(name):
    import importlib

    module = importlib.import_module(f"training.losses.{name}")
    text = inspect.getsource(module)
    assert any(str(year) in text for year in range(1980, 2027)) or "Ours" in text
