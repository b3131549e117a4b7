"""DCGAN and StyleGAN2: their layers by hand, augmentation, runs that resume, and a set of two."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

from runtime.errors import UsageError
from runtime.provenance import GENERATED
from training import networks, train
from training.config import load_recipe
from training.data import augmentation
from training.methods import Assets
from training.methods.generation import Generation
from training.networks.layers import EqualizedConv, EqualizedDense, levels_of
from training.networks.stylegan2 import Modulated
from training.sample import __main__ as sample

SHAPES = {
    "dcgan": (
        "network={name='dcgan', latent=8, width=8, most=16, side=16}",
        "options.discriminator={width=8, most=16, minibatch_deviation=true}",
    ),
    "stylegan2": (
        "network={name='stylegan2', latent=8, mapping=2, width=8, most=16, side=16}",
        "options.discriminator={form='residual', width=8, most=16, minibatch_deviation=true}",
    ),
}
DATA = ("data.short_side=16", "data.crop=16", "data.zoom=1.0")


def built(name, **more):
    torch.manual_seed(0)
    shape = {"latent": 8, "width": 8, "most": 16, "side": 16}
    return networks.build(name, **shape, **more).eval()


def test_sides_are_powers_of_two():
    assert [levels_of(side) for side in (8, 16, 64)] == [1, 2, 4]
    for side in (4, 12, 100):
        with pytest.raises(ValueError, match=f"side is {side}"):
            levels_of(side)
    with pytest.raises(UsageError, match="side is 48, a power of two"):
        networks.build("stylegan2", side=48)


@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])
def test_generators_paint_what_their_styles_say(name):
    generator = built(name)
    latents = generator.draw(3, np.random.default_rng(0))
    with torch.no_grad():
        pictures = generator(latents)
        assert pictures.shape == (3, 3, 16, 16)
        torch.testing.assert_close(generator.paint(generator.styles(latents)), pictures)
        torch.testing.assert_close(generator(latents[1:2]), pictures[1:2], atol=1e-5, rtol=1e-4)
        assert generator.styles(latents).shape == (3, generator.layers, 8)
        same = generator.paint(generator.styles(latents, 0.0))
        assert (same - same[:1]).abs().max() < 1e-6  # all of the mean style
    assert generator.layers == {"dcgan": 1, "stylegan2": 6}[name]  # 2 log2(16) - 2


def test_published_shapes():
    """DCGAN's 1024 to 128 channels at 64 px; StyleGAN2's 512 and 8 layers of mapping."""
    recipe = load_recipe("dcgan")
    dcgan, discriminator = (
        networks.build(**dict(shape)) for shape in (recipe.network, recipe.options["discriminator"])
    )
    widths = [m.out_channels for m in dcgan.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert widths == [1024, 512, 256, 128, 3]
    widths = [m.out_channels for m in discriminator.blocks if isinstance(m, torch.nn.Conv2d)]
    assert widths == [128, 256, 512, 1024]
    recipe = load_recipe("stylegan2")
    assert (recipe.options["r1"], recipe.options["r1_every"]) == (5.0, 16)
    assert (recipe.network["latent"], recipe.network["mapping"]) == (512, 8)


def test_dcgan_may_enlarge_and_convolve():
    generator = built("dcgan", resize=True)
    with torch.no_grad():
        made = generator(generator.draw(2, np.random.default_rng(0)))
    assert made.shape == (2, 3, 16, 16)
    convs = [m for m in generator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 2 and convs[-1].bias is not None and convs[0].bias is None


def test_modulation_is_a_convolution_of_scaled_weights():
    torch.manual_seed(0)
    layer = Modulated(4, 6, 3, 5, demodulate=True)
    x, style = torch.randn(2, 4, 7, 7), torch.randn(2, 5)
    found = layer(x, style)
    for row in range(2):
        scaled = layer.weight * layer.gain * layer.affine(style)[row].view(1, 4, 1, 1)
        scaled = scaled / (scaled.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        wanted = F.conv2d(x[row : row + 1], scaled, padding=1)
        torch.testing.assert_close(found[row : row + 1], wanted, atol=1e-5, rtol=1e-4)
    # Demodulation: whatever the style, normal inputs come out with deviation 1.
    inner = layer(torch.randn(8, 4, 40, 40), 10 * torch.randn(8, 5))[:, :, 1:-1, 1:-1]
    assert float(inner.detach().std()) == pytest.approx(1, abs=0.05)


def test_equalized_layers_start_alike_and_learn_at_their_rate():
    torch.manual_seed(0)
    x = torch.randn(64, 32)
    moved = {}
    for rate in (1.0, 0.01):
        layer = EqualizedDense(32, 32, rate)
        before = layer(x)
        assert float(before.detach().std()) == pytest.approx(1, abs=0.1)
        adam = torch.optim.Adam(layer.parameters(), 1e-3)
        before.square().mean().backward()
        adam.step()
        moved[rate] = float((layer(x) - before).detach().abs().mean())
    assert moved[0.01] == pytest.approx(0.01 * moved[1.0], rel=0.1)
    deviation = EqualizedConv(16, 16, 3)(torch.randn(2, 16, 30, 30))[..., 1:-1, 1:-1].std()
    assert float(deviation.detach()) == pytest.approx(1, abs=0.1)
    started = EqualizedDense(4, 2, 0.01, start=1.0)(torch.zeros(1, 4))
    torch.testing.assert_close(started, torch.ones(1, 2))


def test_the_mean_style_follows_training_only():
    generator = built("stylegan2")
    latents = generator.draw(64, np.random.default_rng(0))
    generator.styles(latents)
    assert generator.mean_style.abs().max() == 0
    generator.train().styles(latents)
    wanted = (1 - 0.998) * generator.map(latents).mean(0)
    torch.testing.assert_close(generator.mean_style, wanted)


@pytest.mark.parametrize("form", ["plain", "residual"])
def test_discriminators_score_whole_pictures(form):
    torch.manual_seed(0)
    options = {"form": form, "width": 8, "most": 16, "side": 16, "minibatch_deviation": True}
    scores = networks.build("whole_picture", **options)(torch.rand(4, 3, 16, 16))
    assert scores.shape == (4, 1) and scores.dtype == torch.float32


def test_augmentation_leaves_alone_reorders_and_colors():
    rng = np.random.default_rng(0)
    pictures = torch.rand(16, 3, 8, 8)
    nothing = augmentation.draw(16, 8, 0.0, rng)
    torch.testing.assert_close(augmentation.augment(pictures, nothing), pictures)
    every = augmentation.draw(16, 8, 1.0, np.random.default_rng(1))
    still = augmentation.Drawn(
        every.flipped, every.turns, 0 * every.down, 0 * every.right,
        *(nothing.brighter, nothing.contrast, nothing.saturation),
    )  # fmt: skip
    moved = augmentation.augment(pictures, still)
    assert not torch.allclose(moved, pictures)
    for one, other in zip(moved, pictures, strict=True):  # the same pixels at other places
        torch.testing.assert_close(one.flatten().sort().values, other.flatten().sort().values)
    upright = augmentation.draw(16, 8, 1.0, np.random.default_rng(1), flip=False)
    assert not upright.flipped.any() and not upright.turns.any() and upright.down.any()
    leaf = pictures.clone().requires_grad_()
    augmentation.augment(leaf, every).sum().backward()
    assert leaf.grad.abs().sum() > 0
    # Later draws of a run do not depend on the chance.
    rngs = [np.random.default_rng(2) for _ in range(2)]
    for rng, chance in zip(rngs, (0.1, 0.9), strict=True):
        augmentation.draw(4, 8, chance, rng)
    assert rngs[0].random() == rngs[1].random()


def test_shifts_reflect_and_the_chance_follows():
    line = torch.arange(4.0).view(1, 1, 4).expand(3, 4, 4)
    assert augmentation._shifted(line, 0, 1)[0, 0].tolist() == [1, 0, 1, 2]
    assert augmentation._shifted(line, 0, -1)[0, 0].tolist() == [1, 2, 3, 2]
    adapted = augmentation.adapted
    assert adapted(0.2, 0.9, 64, 640) == pytest.approx(0.3)
    assert adapted(0.2, 0.3, 64, 640) == pytest.approx(0.1)
    assert adapted(0.05, 0.3, 64, 640) == 0 and adapted(0.8, 0.9, 64, 640) == 0.8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Flat pictures of two colors."""
    folder = tmp_path_factory.mktemp("flat")
    for index in range(16):
        color = (220, 60, 40) if index % 2 else (30, 80, 200)
        Image.new("RGB", (16, 16), color).save(folder / f"{index:02d}.png")
    return folder


def method_of(name, folder, *more):
    return Generation(load_recipe(name, [*SHAPES[name], *DATA, *more]), Assets(content=folder))


def test_path_length_of_a_linear_generator(pictures):
    method = method_of("stylegan2", pictures, "batch=4")
    torch.manual_seed(1)
    slope = torch.randn(8, 3 * 16 * 16)
    styles = torch.randn(4, 1, 8, requires_grad=True)
    push = torch.randn(4, 3, 16, 16)
    made = (styles[:, 0] @ slope).view(4, 3, 16, 16)
    lengths = (push.flatten(1) @ slope.t()).norm(dim=1)
    mean = 0.01 * lengths.mean()
    found = method._path_length(made, styles, push)
    torch.testing.assert_close(found, (lengths - mean).square().mean())
    torch.testing.assert_close(method.length, mean)


@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])
def test_a_discriminator_may_look_through_the_loss_network(name, pictures, random_weights):
    projected = "options.discriminator={name='projected', width=4, enlarge=2}"
    recipe = load_recipe(name, [*SHAPES[name], *DATA, "batch=4", projected])
    method = Generation(recipe, Assets(content=pictures, weights=random_weights))
    discriminator = method.networks["discriminator"]
    scores = discriminator(torch.rand(2, 3, 16, 16))
    assert scores.classes is None and len(scores.maps) == 4
    # Of 32 px, halved at each layer behind the first, and by the head.
    assert [each.shape for each in scores.maps] == [(2, 1, n, n) for n in (16, 8, 4, 2)]
    before = [weight.clone() for weight in discriminator.parameters()]
    method.step(0)
    moved = zip(before, discriminator.parameters(), strict=True)
    assert all(not torch.equal(one, other) for one, other in moved)


@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])
def test_resume_is_exact(name, pictures, tmp_path):
    words = ["--recipe", name, "--content", str(pictures), "--quiet"]
    settings = [*SHAPES[name], *DATA, "batch=4", "options.augment=true", "options.augment_over=20"]
    words += [word for setting in settings for word in ("--set", setting)]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train.main([*words, "--output", str(whole), "--steps", "6"]) == 0
    assert train.main([*words, "--output", str(parts), "--steps", "5"]) == 0
    resume = ["--output", str(parts), "--content", str(pictures), "--resume", "--steps", "6"]
    assert train.main([*resume, "--quiet"]) == 0
    one, other = (load_file(folder / "last.safetensors") for folder in (whole, parts))
    assert one.keys() == other.keys()
    assert not [key for key in one if not torch.equal(one[key], other[key])]
    # Pictures of the averaged weights: mixed styles where there are several layers, else refused.
    words = ["--checkpoint", str(whole), "--output", str(tmp_path / "mixed"), "--quiet"]
    mixed = sample.main([*words, "--mix", "1,2", "--with", "3,1", "--truncation", "0.7"])
    assert mixed == (0 if name == "stylegan2" else 2)
    if name == "stylegan2":
        plain = ["--checkpoint", str(whole), "--output", str(tmp_path / "plain"), "--quiet"]
        assert sample.main([*plain, "--count", "1", "--seed", "1", "--truncation", "0.7"]) == 0
        own = np.asarray(Image.open(tmp_path / "mixed" / "mix_0001_0001.png")).astype(int)
        assert np.abs(own - np.asarray(Image.open(tmp_path / "plain" / "seed_0001.png"))).max() <= 1
        assert sample.main([*words, "--mix", "1", "--with", "2", "--crossover", "6"]) == 2
        with Image.open(tmp_path / "plain" / "seed_0001.png") as picture:
            stated = picture.info["xmp"].decode()  # made of nothing, by this run
        assert f'"{GENERATED}"' in stated and '"Impasto (whole)"' in stated


@pytest.mark.slow
def test_both_colors_are_found(pictures):
    """The known answer: half of the pictures red, half blue, nothing between."""
    method = method_of("stylegan2", pictures, "batch=16")
    for step in range(500):
        method.step(step)
    generator = method.networks["generator"].eval()
    with torch.no_grad():
        made = generator(generator.draw(100, np.random.default_rng(1))).mean((2, 3))
    wanted = torch.tensor([[220, 60, 40], [30, 80, 200]]) / 255
    distance = (made[:, None] - wanted).abs().mean(2)
    near = distance.min(1)
    shares = torch.bincount(near.indices, minlength=2) / 100
    assert float(near.values.mean()) < 0.15 and float(shares.min()) > 0.25


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.crop=32", "network.side is 16"),
        ("network={name='lean', width=8}", "allowed are dcgan and stylegan2"),
        ("options.mixing=2", '"mixing" is 2'),
    ],
)
def test_bad_settings_are_one_line(pictures, setting, words):
    with pytest.raises(UsageError, match=words):
        method_of("dcgan", pictures, setting)
