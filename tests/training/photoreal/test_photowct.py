"""Photorealistic WCT: Haar bands with known answers, a decoder that learns, edges that stay."""

import pytest
import torch

from runtime.errors import UsageError
from training import methods, networks
from training.config import load_recipe
from training.methods import Assets
from training.networks.photowct import haar, inverse_haar
from training.photoreal.smoothing import fast_local_affine


def test_haar_of_a_block():
    low, details = haar(torch.tensor([[1.0, 2.0], [3.0, 6.0]])[None, None])
    assert low.item() == 3  # (1 + 2 + 3 + 6) / 4
    assert details[0, :, 0, 0].tolist() == [-1.0, -1.5, 0.5]


def test_haar_is_undone_exactly():
    x = torch.randint(0, 256, (2, 5, 12, 8), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(inverse_haar(*haar(x)), x)


def test_flat_pictures_have_no_details():
    low, details = haar(torch.full((1, 3, 8, 8), 0.3))
    assert not details.any() and torch.equal(low, torch.full((1, 3, 4, 4), 0.3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"level": 5}, "allowed is 2 to 4"), ({"alpha": 2.0}, r"allowed is 0\.\.1")],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        networks.build("photowct", **settings)


@torch.no_grad()
def test_codes_recolor_and_edges_stay():
    torch.manual_seed(0)
    generator = networks.build("photowct", level=3).eval()
    images, style = torch.rand(2, 3, 24, 32), torch.rand(1, 3, 16, 16)
    codes = generator.encode(style)
    assert [tuple(code.shape) for code in codes] == generator.code_shapes
    styled = generator(images, *codes)
    assert styled.shape == images.shape and not torch.allclose(styled, images, atol=1e-2)
    assert generator(images).shape == images.shape


@torch.no_grad()
def test_maps_found_in_small_pictures_hold_in_large_ones():
    photo = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    recolored = 0.5 * photo + 0.3 * photo.flip(1) + 0.1
    torch.testing.assert_close(
        fast_local_affine(recolored, photo, 4, 1e-7), recolored, atol=2e-3, rtol=0
    )
    strokes = recolored + 0.1 * torch.rand(1, 3, 64, 96)
    left = (fast_local_affine(strokes, photo, 8, 1e-4) - recolored - 0.05).abs().mean()
    assert left < 0.4 * (strokes - recolored - 0.05).abs().mean()


@pytest.fixture
def method(photo_folder, tmp_path):
    """On random weights: files as published, made by an untrained network."""
    from safetensors.torch import save_file

    from training.networks._parts.vgg16x import Decoder, Encoder

    torch.manual_seed(0)
    for level in (1, 2):
        for kind, half in (("encoder", Encoder(level)), ("decoder", Decoder(level))):
            name = f"vgg19_16x_{kind}_relu{level}_1.safetensors"
            save_file(dict(half.state_dict()), tmp_path / name)
    small = ["network.level=2", "steps=25", "batch=2", "data.crop=32", "data.short_side=48"]
    recipe = load_recipe("photowct", [*small, "optimizer.lr=0.003"])
    return methods_load("photowct")(recipe, Assets(None, photo_folder, tmp_path))


def methods_load(name: str):
    from runtime.plugins import load

    return load(methods, name)


def test_the_decoder_learns_and_the_encoder_does_not(method):
    before = {k: v.clone() for k, v in method.networks["generator"].state_dict().items()}
    totals = [method.step(step)["total"] for step in range(25)]
    assert sum(totals[-5:]) < 0.6 * sum(totals[:5])
    after = method.networks["generator"].state_dict()
    changed = {
        key.split(".")[0] for key, value in after.items() if not torch.equal(value, before[key])
    }
    assert changed == {"decoder"}
    rows = method.sheet(method.networks["generator"].eval())
    assert [len(row) for row in rows] == [4, 4, 4]


def test_unknown_terms_are_refused(photo_folder):
    with pytest.raises(UsageError, match='Did you mean "features"'):
        methods_load("photowct")(
            load_recipe("photowct", ["objective={feature=1.0}"]), Assets(None, photo_folder)
        )
