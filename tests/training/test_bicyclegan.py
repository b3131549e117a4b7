"""BicycleGAN: the divergence by hand, both ways of its game, the noise port at run time."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sanity import domains, shapes
from benchmarks.sanity.shapes import write_pairs
from runtime.errors import UsageError
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.model.session import open_session
from training import networks
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.engine import Engine
from training.methods import Assets
from training.methods.bicyclegan import BicycleGan, kl_to_normal

SMALL = [
    "data.short_side=32",
    "data.crop=32",
    "data.zoom=1.0",
    "batch=2",
    "options.discriminator={width=4, layers=1, scales=2}",
    "options.encoder={width=4, layers=1}",
    "sheet_every=10000",
    "save_every=10000",
]
LEAN = "network={name='bicycle', width=8, blocks=1, scale=4, margin=8}"
PAPER = "network={name='unet_pix2pix', width=4, depth=3}"


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path / "pairs", 6, 0)


def bicyclegan(pairs, *more, network=LEAN):
    recipe = load_recipe("bicyclegan", [*SMALL, network, "steps=4", *more])
    return BicycleGan(recipe, Assets(None, pairs))


def test_the_recipe_has_the_published_numbers():
    recipe = load_recipe("bicyclegan")
    wanted = {"noise": 8, "l1": 10, "latent": 0.5, "kl": 0.01}
    assert {key: recipe.options[key] for key in wanted} == wanted
    assert (recipe.optimizer.lr, recipe.optimizer.beta1) == (2e-4, 0.5)


def test_divergence_by_hand():
    zero = torch.zeros(2, 3)
    assert float(kl_to_normal(zero, zero)) == 0
    assert float(kl_to_normal(zero + 2, zero)) == pytest.approx(3 * 2)  # m^2 / 2 each
    four = torch.full((2, 3), float(np.log(4)))
    assert float(kl_to_normal(zero, four)) == pytest.approx(3 * (4 - 1 - np.log(4)) / 2, rel=1e-5)


def test_the_drawn_way_teaches_the_generator_alone(pairs):
    method = bicyclegan(pairs, "options.l1=0.0", "options.kl=0.0")
    batch = method.draw(0)
    values, _ = method.generate(batch, slice(0, 2))
    values["latent"].backward()
    encoder = list(method.networks["encoder"].parameters())
    assert all(each.grad is None for each in encoder)
    grads = [p.grad for p in method.networks["generator"].parameters() if p.grad is not None]
    assert any(float(grad.abs().max()) > 0 for grad in grads)


@pytest.mark.parametrize("seed", range(4))
def test_a_new_encoder_sees_colors(pairs, seed):
    """Else the generator finds nothing in z, and the encoder falls silent before it can begin."""
    method = bicyclegan(pairs, "options.encoder={width=16, layers=2}", f"seed={seed}")
    canvas, mask = next(iter(shapes.outlines(1, 3)))
    fills = (shapes.ORANGE, shapes.BLUE)
    pictures = domains.stacked([shapes.filled(canvas, mask, color) for color in fills])
    with torch.no_grad():
        (orange, blue), _ = method.networks["encoder"](pictures)
    assert float((orange - blue).abs().max()) > 0.03  # of z's deviation of 1; was .007


@pytest.mark.parametrize("network", [LEAN, PAPER])
def test_resume_is_bit_equal(pairs, tmp_path, network):
    Engine(bicyclegan(pairs, network=network), tmp_path / "whole", quiet=True).run()
    Engine(bicyclegan(pairs, network=network), tmp_path / "broken", quiet=True).run(stop=2)
    torch.manual_seed(99)
    again = Engine(bicyclegan(pairs, network=network), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())


def test_noise_changes_the_answer_of_both_networks():
    for name, more in (("bicycle", {"margin": 8}), ("unet_pix2pix", {"depth": 3, "noise": 8})):
        torch.manual_seed(0)
        network = networks.build(name, width=8, **more).eval()
        images = torch.rand(1, 3, 32, 32)
        with torch.no_grad():
            one, two = (network(images, z) for z in torch.randn(2, 1, 8))
        assert one.shape == images.shape
        assert float((one - two).abs().max()) > 1e-3, name


def test_variations_at_run_time(pairs, tmp_path, capsys):
    from export.__main__ import main

    Engine(bicyclegan(pairs), tmp_path / "run", quiet=True).run()
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((320, 256), 60).convert("RGB").save(photos / "one.png")
    model = tmp_path / "shoes.onnx"
    flags = ["--checkpoint", str(tmp_path / "run"), "--photos", str(photos), "-q"]
    assert main([*flags, "--output", str(model)]) == 0
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with open_session(model) as session:
        seven, again, eight = (session.stylize(picture, variation=n) for n in (7, 7, 8))
        drawn = np.random.default_rng(7).standard_normal((1, 8))
        by_hand = session.stylize(picture, variation=drawn.ravel().tolist())
        middle = session.stylize(picture)
        zeros = session.stylize(picture, variation=[0.0] * 8)
        for bad in (-1, 0.5, [0.0] * 7):
            with pytest.raises(UsageError, match="allowed is a whole number from 0, or 8 numbers"):
                session.stylize(picture, variation=bad)
    assert np.array_equal(seven, again)
    assert np.array_equal(seven, by_hand)
    assert np.array_equal(middle, zeros)
    assert not np.array_equal(seven, eight)
    with open_stylizer(StylizeOptions([(str(model), 1.0)], variation=7)) as stylizer:
        assert np.array_equal(stylizer.stylize(picture), seven)


def test_a_model_without_noise_has_no_variations():
    with open_session("starry") as session:
        picture = np.zeros((64, 64, 3), np.uint8)
        with pytest.raises(UsageError, match='takes no "variation"'):
            session.stylize(picture, variation=7)
