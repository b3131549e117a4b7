"""The contrastive coherence term: known answers, and places that come again."""

import math

import pytest
import torch

from training.losses.ccpl import AROUND, TEMPERATURE, contrast, differences, draw_places


def test_right_angles():
    eye = torch.eye(16).expand(2, 16, 16)
    expected = math.log(1 + 15 * math.exp(-1 / TEMPERATURE))
    assert contrast(3 * eye, eye).item() == pytest.approx(expected, abs=1e-6)


def test_nothing_tells_them_apart():
    same = torch.ones(1, 64, 5)
    assert contrast(same, same).item() == pytest.approx(math.log(64))
    assert contrast(torch.zeros(1, 64, 5), same).item() == pytest.approx(math.log(64))


def test_exchanged_differences_cost_most():
    eye = torch.eye(4)[None]
    wrong = contrast(eye, eye[:, [1, 2, 3, 0]])
    assert wrong.item() == pytest.approx(1 / TEMPERATURE, abs=1e-3)


def test_differences_are_to_all_eight_neighbors():
    features = torch.arange(25.0).view(1, 1, 5, 5)
    found = differences(features, torch.tensor([[[2, 3]]]))[0, :, 0]
    assert found.tolist() == [-(5 * dy + dx) for dy, dx in AROUND]


def test_places_are_inside_and_the_same_for_the_same_photo():
    photos = torch.rand(3, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    places = draw_places(photos, (4, 30))
    assert places.shape == (3, 8, 2)
    assert places[..., 0].unique().tolist() == [1, 2]
    assert places[..., 1].min() >= 1 and places[..., 1].max() <= 28
    assert torch.equal(places[1:2], draw_places(photos[1:2], (4, 30))), "whatever the batch"
    assert not torch.equal(places[0], places[1])


def test_gradients_are_finite_on_flat_pictures():
    features = torch.full((1, 4, 6, 6), 0.5, requires_grad=True)
    places = draw_places(torch.rand(1, 3, 8, 8), (6, 6))
    contrast(differences(features, places), differences(features.detach(), places)).backward()
    assert features.grad is not None and features.grad.isfinite().all()


def test_a_recolored_photo_is_coherent_and_noise_is_not():
    photo = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    places = draw_places(photo, (32, 32))
    own = differences(photo, places)
    recolored = contrast(differences(0.5 * photo + 0.2, places), own)
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert recolored < 0.6 * contrast(differences(noise, places), own)
