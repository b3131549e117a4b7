"""Known answers of the losses beyond the core, and what every term in the folder must obey."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from runtime.errors import UsageError
from runtime.plugins import load, names
from training import losses
from training.backbones import open_backbone
from training.feature_statistics import channel_moments, covariance
from training.losses import PHOTO, Film, LossInputs, Target
from training.losses.coarse import coarse_features
from training.losses.coral import coral_distance
from training.losses.histogram import histogram_distance, matched
from training.losses.laplacian import laplacian, laplacian_distance
from training.losses.matting import matting_energy, matting_laplacian
from training.losses.moments import moments_distance
from training.losses.motion import random_similarity
from training.losses.regions import masked_gram
from training.losses.sliced import directions, sliced_distance
from training.losses.style import gram_matrix
from training.objective import Objective


def seeded(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_moments_by_hand():
    features = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)  # mean 2, deviation 1
    mean, deviation = torch.tensor([[4.0]]), torch.tensor([[2.0]])
    expected = ((2 - 4) ** 2 + (1 - 2) ** 2) / (4**2 + 2**2)
    assert float(moments_distance(features, mean, deviation)) == pytest.approx(expected, rel=1e-4)


def test_laplacian_of_a_point_and_of_a_ramp():
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 1
    expected = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    assert torch.equal(laplacian(point)[0], expected)
    ramp = torch.linspace(0, 1, 9).expand(1, 3, 9, 9)
    assert laplacian(ramp).abs().max() < 1e-6
    images = seeded(1, 3, 32, 32)
    assert laplacian_distance(images, images, 4) == 0
    assert laplacian_distance(images + 0.1, images, 4) < 1e-10


def test_matching_is_identity_monotone_and_exact():
    features, style = seeded(2, 3, 6, 7), seeded(1, 3, 6, 7, seed=1) * 3 - 1
    torch.testing.assert_close(matched(features[:1], features[:1]), features[:1])
    found = matched(features, style)
    for channel in range(3):
        torch.testing.assert_close(
            found[1, channel].flatten().sort().values, style[0, channel].flatten().sort().values
        )
        order = features[1, channel].flatten().argsort()
        assert (found[1, channel].flatten()[order].diff() >= 0).all()


def test_matching_other_sizes_and_ties():
    style = torch.linspace(0, 1, 400).view(1, 1, 20, 20)
    found = matched(seeded(1, 1, 9, 9), style).flatten().sort().values
    torch.testing.assert_close(found, (torch.arange(81) + 0.5) / 81, atol=2 / 81, rtol=0)
    flat = matched(torch.zeros(1, 1, 4, 4), style).flatten()
    assert (flat.diff() > 0).all()  # equal values keep their order


def test_histogram_sees_what_moments_do_not():
    two = torch.tensor([-1.0, 1.0]).repeat(50).view(1, 1, 10, 10)
    normal = torch.randn(1, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    normal = (normal - normal.mean()) / normal.std(correction=0)
    assert moments_distance(normal, *channel_moments(two)) < 1e-6
    assert histogram_distance(normal, two) > 0.1


def test_coral_is_zero_for_any_order_and_sees_the_mean():
    features = seeded(1, 4, 8, 8)
    mean, matrix = covariance(features)
    shuffled = features.flatten(2)[:, :, torch.randperm(64)].view_as(features)
    assert coral_distance(shuffled, mean, matrix) < 1e-10
    moved = float(coral_distance(features + 1, mean, matrix))
    assert moved == pytest.approx(4 / float(mean.square().sum()), rel=1e-4)


def test_sliced_wasserstein_of_a_shift():
    features, sides = seeded(1, 3, 10, 10), directions(3, 64)
    torch.testing.assert_close(sides.norm(dim=1), torch.ones(64))
    shuffled = features.flatten(2)[:, :, torch.randperm(100)].view_as(features)
    assert sliced_distance(shuffled, features, sides) < 1e-10
    shift = torch.tensor([0.3, -0.2, 0.1]).view(1, 3, 1, 1)
    found = sliced_distance(features + shift, features, sides)
    energy = torch.einsum("kc,nchw->nkhw", sides, features).square().mean()
    torch.testing.assert_close(found, (sides @ shift.flatten()).square().mean() / energy)


def test_matting_matrix_obeys_levin():
    photo = seeded(1, 3, 7, 8)
    matrix = matting_laplacian(photo, 1e-5)
    dense = matrix.to_dense()
    assert (dense @ torch.ones(56, dtype=torch.float64)).abs().max() < 1e-9
    torch.testing.assert_close(dense, dense.T)
    assert torch.linalg.eigvalsh(dense).min() > -1e-9
    assert ((dense != 0).sum(1) <= 25).all()


def test_matting_of_a_constant_window():
    dense = matting_laplacian(torch.full((1, 3, 3, 3), 0.4)).to_dense()
    expected = torch.eye(9, dtype=torch.float64) - 1 / 9
    torch.testing.assert_close(dense, expected)


def test_matting_energy_is_the_quadratic_form():
    photo, image = seeded(1, 3, 9, 11), seeded(1, 3, 9, 11, seed=1)
    matrix = matting_laplacian(photo, 1e-4)
    flat = image.double().flatten(2)[0]
    expected = sum(v @ (matrix @ v) for v in flat) / 99
    torch.testing.assert_close(matting_energy(image, photo, 1e-4), expected)


def test_matting_forgives_affine_recoloring_as_epsilon_vanishes():
    photo = seeded(1, 3, 16, 16)
    recolored = torch.einsum("dc,nchw->ndhw", seeded(3, 3, seed=2) - 0.3, photo) + 0.1
    found = [float(matting_energy(recolored, photo, e)) for e in (1e-2, 1e-4, 1e-6)]
    assert found[0] > found[1] > found[2]
    # In proportion to epsilon: four decades of one are four of the other.
    assert found[2] < 2e-4 * found[0]


def test_matting_gradient_is_right():
    photo = seeded(1, 3, 5, 6).double()
    image = seeded(1, 3, 5, 6, seed=3).double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: matting_energy(x, photo, 1e-3), image)


def test_masked_gram_is_the_gram_of_the_region():
    features = seeded(1, 4, 8, 8)
    torch.testing.assert_close(
        masked_gram(features, torch.ones(1, 1, 16, 16)), gram_matrix(features)
    )
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    torch.testing.assert_close(masked_gram(features, left), gram_matrix(features[..., :4]))


def halves(side):
    mask = torch.zeros(1, 2, side, side)
    mask[:, 0, :, : side // 2] = 1
    mask[:, 1, :, side // 2 :] = 1
    return mask


LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0}


@pytest.fixture(scope="module")
def backbone(random_weights):
    return open_backbone("vgg19_16x", random_weights)


@pytest.fixture(scope="module")
def target(backbone):
    painting = seeded(1, 3, 64, 64, seed=5)
    features = backbone(painting, set(LAYERS))
    masks = (halves(64), halves(64))
    return painting, Target(backbone, LAYERS, ("relu2_1",), features, masks, painting)


def inputs_for(output, photos, backbone):
    features = backbone(output, set(LAYERS))
    content = {**backbone(photos, {"relu2_1"}), PHOTO: photos}
    mask = torch.ones_like(output[:, :1])
    grid = random_similarity(1, tuple(output.shape[2:]), np.random.default_rng(0))
    grid = grid.expand(len(output), -1, -1, -1)
    film = Film(photos, photos.flip(3), output * 0.9, output, grid, mask)
    coarse = coarse_features(backbone, output, LAYERS)
    return LossInputs(output, features, content, (output * 0.9, output, mask), film, coarse)


ZERO_AT = {
    "painting": [
        "style",
        "moments",
        "histogram",
        "coral",
        "sliced",
        "regions",
        "palette",
        "coarse",
    ],
    "photo": ["content", "laplacian"],
    "gray": ["tv", "range", "periodicity", "matting", "laplacian"],
}
# "text" needs words: tests/training/clip.
TESTED = [name for name in names(losses) if name not in ("gan", "text")]


@pytest.mark.parametrize("name", TESTED)
def test_terms_are_means_with_finite_gradients(name, target):
    _, fixed = target
    term = load(losses, name)(fixed)
    photos = seeded(2, 3, 64, 64, seed=6)
    outputs = (seeded(2, 3, 64, 64, seed=7) * 1.4 - 0.2).requires_grad_(True)
    both = term(inputs_for(outputs, photos, fixed.backbone))
    both.backward()
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad.abs().sum() > 0
    if name == "content":  # relative to the energy of the whole batch
        return
    singles = [
        term(inputs_for(outputs[i : i + 1].detach(), photos[i : i + 1], fixed.backbone))
        for i in range(2)
    ]
    torch.testing.assert_close(both.detach(), sum(singles) / 2, rtol=1e-3, atol=1e-6)


def test_coarse_is_the_style_term_of_reduced_copies(target):
    """Of 64 px, the copy of half size fits; a quarter has 16 px, too few for deep layers."""
    painting, fixed = target
    output = seeded(1, 3, 64, 64, seed=9)
    copy, reduced = (F.avg_pool2d(x, 2) for x in (output, painting))
    features = fixed.backbone(reduced, set(LAYERS))
    style = load(losses, "style")(replace(fixed, style_features=features))
    expected = style(LossInputs(copy, fixed.backbone(copy, set(LAYERS))))
    found = load(losses, "coarse")(fixed)(inputs_for(output, painting, fixed.backbone))
    torch.testing.assert_close(found, expected)


def test_coarse_features_are_blind_to_single_pixels(backbone):
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 3, 64, 64)
    flat = coarse_features(backbone, torch.full_like(board, 0.5), LAYERS)
    for key, features in coarse_features(backbone, board, LAYERS).items():
        torch.testing.assert_close(features, flat[key])


def test_coarse_leaves_small_maps_out(backbone):
    found = coarse_features(backbone, seeded(1, 3, 128, 144), ["relu1_1", "relu3_1", "relu4_1"])
    assert set(found) == {
        *((2, layer) for layer in ("relu1_1", "relu3_1", "relu4_1")),
        *((4, layer) for layer in ("relu1_1", "relu3_1")),
    }
    assert not coarse_features(backbone, seeded(1, 3, 48, 144), LAYERS)


@pytest.mark.parametrize("where", ZERO_AT)
def test_terms_are_zero_at_their_target(where, target):
    painting, fixed = target
    photos = seeded(1, 3, 64, 64, seed=8)
    pictures = {"painting": painting, "photo": photos, "gray": torch.full_like(photos, 0.4)}
    picture = pictures[where]
    inputs = inputs_for(picture, picture if where == "gray" else photos, fixed.backbone)
    for name in ZERO_AT[where]:
        assert abs(float(load(losses, name)(fixed)(inputs))) < 1e-6, name


def test_every_loss_names_its_source():
    own = ["periodicity", "range"]  # ours: the docstring says so
    for name in names(losses):
        module = importlib.import_module(f"training.losses.{name}")
        text = (module.__doc__ or "") + "".join(
            str(getattr(module, item).__doc__) for item in dir(module) if item[0] != "_"
        )
        word = "Ours" if name in own else "20"
        assert word in text or "19" in text, name


def test_photos_reach_the_terms_that_need_them(backbone):
    weights = {"style": 1.0, "matting": 10.0, "laplacian": 1.0}
    objective = Objective(backbone, seeded(1, 3, 64, 64), LAYERS, ("relu2_1",), weights)
    photo = seeded(1, 3, 64, 64, seed=1)
    values = objective(seeded(1, 3, 64, 64, seed=2), objective.content_features(photo))
    assert values["matting"] > 0 and values["laplacian"] > 0
    plain = Objective(backbone, seeded(1, 3, 64, 64), LAYERS, ("relu2_1",), {"style": 1.0})
    assert PHOTO not in plain.content_features(photo)


def test_regions_need_masks(backbone):
    painting = seeded(1, 3, 64, 64)
    with pytest.raises(UsageError, match="needs masks"):
        Objective(backbone, painting, LAYERS, ("relu2_1",), {"regions": 1.0})
    with pytest.raises(UsageError, match="2 regions, the photo 1"):
        masks = (halves(64), torch.ones(1, 1, 64, 64))
        Objective(backbone, painting, LAYERS, ("relu2_1",), {"regions": 1.0}, masks)
    with pytest.raises(UsageError, match="every region is empty"):
        masks = (torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64))
        Objective(backbone, painting, LAYERS, ("relu2_1",), {"regions": 1.0}, masks)


def test_gan_term_needs_a_discriminator(target):
    with pytest.raises(UsageError, match="discriminator"):
        load(losses, "gan")(target[1])(LossInputs(torch.zeros(1, 3, 8, 8)))
