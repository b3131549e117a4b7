"""MUNIT and UNIT: content and style apart, resume, two graphs for the one, one for the other."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sanity.shapes import gray, hills, hue_error, mean_hue, tinted, write_hues
from runtime.model.session import open_session
from training import networks
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.engine import Engine
from training.methods import Assets
from training.methods.munit import Munit
from training.networks.layers import LayerNorm

SMALL = [
    "data.short_side=32",
    "data.crop=32",
    "batch=2",
    "options.discriminator={width=4, layers=1, scales=3, normalization='none'}",
    "sheet_every=10000",
    "save_every=10000",
]
STYLE = {"munit": 8, "unit": 0}


@pytest.fixture
def hues(tmp_path):
    return write_hues(tmp_path / "hues", 5, 0)


def munit(hues, recipe="munit", *more):
    shape = f"{{name='munit', width=4, halvings=1, blocks=1, style={STYLE[recipe]}, hidden=16}}"
    found = load_recipe(recipe, [*SMALL, f"network={shape}", "steps=4", *more])
    return Munit(found, Assets(hues / "tinted", hues / "gray"))


def test_the_recipes_have_the_published_numbers():
    found = load_recipe("munit")
    assert [found.options[key] for key in ("x", "s", "c")] == [10, 1, 1]
    assert found.network["style"] == 8
    assert (found.optimizer.lr, found.optimizer.beta1) == (1e-4, 0.5)
    assert found.options["discriminator"]["scales"] == 3
    found = load_recipe("unit")
    assert [found.options[key] for key in ("x", "cycle", "kl")] == [10, 10, 0.01]
    assert found.network["style"] == 0


@pytest.mark.parametrize("recipe", ["munit", "unit"])
def test_resume_is_bit_equal(hues, tmp_path, recipe):
    Engine(munit(hues, recipe), tmp_path / "whole", quiet=True).run()
    Engine(munit(hues, recipe), tmp_path / "broken", quiet=True).run(stop=2)
    torch.manual_seed(99)
    again = Engine(munit(hues, recipe), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())


def test_terms_of_each(hues):
    assert {"x", "s", "c"} <= set(munit(hues).step(0))
    values = munit(hues, "unit").step(0)
    assert {"x", "cycle", "kl"} <= set(values)
    assert not {"s", "c"} & set(values)


def test_the_style_changes_the_picture_and_the_content_its_place():
    torch.manual_seed(0)
    network = networks.build("munit", width=4, halvings=1, blocks=1, hidden=16).eval()
    images, styles = torch.rand(1, 3, 32, 40), torch.randn(2, 1, 8)
    with torch.no_grad():
        one, two = (network(images, style) for style in styles)
        assert network.encode(torch.rand(3, 3, 32, 48)).shape == (3, 8)
    assert one.shape == images.shape
    assert float((one - two).abs().max()) > 1e-3


@pytest.mark.parametrize("recipe", ["munit", "unit"])
def test_export_and_an_example_at_run_time(hues, tmp_path, recipe):
    from export.__main__ import main

    Engine(munit(hues, recipe), tmp_path / "run", quiet=True).run()
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((320, 256), 60).convert("RGB").save(photos / "one.png")
    model = tmp_path / "tint.onnx"
    flags = ["--checkpoint", str(tmp_path / "run"), "--photos", str(photos), "-q"]
    assert main([*flags, "--output", str(model)]) == 0
    assert (tmp_path / "tint.style.onnx").is_file() == (recipe == "munit")
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    noise[2] //= 4
    with open_session(model) as session:
        if recipe == "unit":
            assert session.stylize(noise[0]).shape == noise[0].shape
        else:
            one, two = (session.stylize(noise[0], style=style) for style in noise[1:])
            assert not np.array_equal(one, two)


def test_hue_errors_by_hand():
    assert hue_error(np.array([350.0, 10, 180]), np.array([10.0, 350, 0])).tolist() == [20, 20, 180]
    ground = hills(np.random.default_rng(0))
    pictures = np.stack([tinted(ground, hue) for hue in (0, 90, 200)]) / 255
    assert mean_hue(pictures) == pytest.approx([0, 90, 200], abs=2)
    assert np.ptp(gray(ground), 2).max() == 0


def test_layer_normalization_keeps_how_channels_differ():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 12) * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + 5
    found = LayerNorm(3)(x)
    torch.testing.assert_close(found, torch.nn.functional.group_norm(x, 1))
    deviations = found.std((2, 3))
    ratio = deviations[:, 2] / deviations[:, 0]
    torch.testing.assert_close(ratio, torch.full((2,), 3.0), atol=0.8, rtol=0)


@torch.no_grad()
def test_a_style_says_the_color_of_the_whole_picture():
    """Behind instance normalization the mean color would be the same whatever the style: 0.002."""
    torch.manual_seed(0)
    network = networks.build("munit", width=8, halvings=1, blocks=1, style=2, hidden=16).eval()
    torch.nn.init.normal_(network.write.weight)
    content = network.content(torch.rand(1, 3, 64, 64))
    one, two = (network.decode(content, torch.tensor([s])) for s in ([3.0, 0.0], [0.0, 3.0]))
    assert float((one.mean((2, 3)) - two.mean((2, 3))).abs().max()) > 0.03
