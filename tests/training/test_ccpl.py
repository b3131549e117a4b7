"""The contrastive coherence term: known answers, and places that come again."""

import math

import pytest
import torch

from training.losses import LossInputs, Target
from training.losses.ccpl import (
    AROUND,
    TEMPERATURE,
    CcplTerm,
    Head,
    contrast,
    differences,
    draw_places,
)
from training.objective import Objective


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


class Pixels(torch.nn.Module):
    """A backbone whose only layer is the picture itself, four times."""

    layers = ("pixels",)

    def check_layers(self, wanted):
        assert set(wanted) <= {"pixels"}

    def forward(self, images, layers):
        return {name: images.repeat(1, 4, 1, 1) for name in layers}


def test_heads_have_the_papers_form_and_one_start():
    head = Head(64)
    shapes = [tuple(p.shape) for p in head.parameters()]
    assert shapes == [(64, 64), (64,), (16, 64), (16,)]
    state = torch.get_rng_state()
    assert all(
        torch.equal(a, b) for a, b in zip(head.parameters(), Head(64).parameters(), strict=True)
    )
    assert torch.equal(state, torch.get_rng_state()), "no other draw is changed by it"


def test_heads_learn_to_see_past_a_change_of_colors():
    backbone = Pixels()
    painting = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    objective = Objective(backbone, painting, {"pixels": 1.0}, (), {"ccpl": 1.0})
    photos = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    turned = photos.roll(1, 1)  # red green, green blue, blue red
    known = objective.content_features(photos)
    plain = objective(turned, known)["ccpl"].item()
    learned = objective.learn()
    assert set(learned) == {"ccpl"}
    optimizer = torch.optim.Adam(learned.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective(turned, known)["ccpl"]
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * plain


def test_whoever_only_scores_compares_the_differences_themselves():
    backbone, photos = Pixels(), torch.rand(1, 3, 16, 16)
    features = backbone(photos, {"pixels"})
    term = CcplTerm(Target(backbone, {"pixels": 1.0}, (), features))
    inputs = LossInputs(photos, features, {"photo": photos})
    places = draw_places(photos, (16, 16))
    own = differences(features["pixels"], places)
    assert torch.equal(term(inputs), contrast(own, own))
    before = term(inputs)
    term.learn()
    assert not torch.equal(before, term(inputs))
