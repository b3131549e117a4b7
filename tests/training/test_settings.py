"""Ranges stand beside the fields; what is outside ends in one line, wherever it comes from."""

import json

import pytest
import torch
from safetensors.torch import save_file

from runtime.errors import UsageError
from training import networks
from training.backbones import open_backbone
from training.checkpoint import load_checkpoint
from training.config import BackboneConfig, load_recipe, recipe_names
from training.objective import Objective


def test_bundled_recipes_are_inside_their_ranges():
    assert {load_recipe(name).name for name in recipe_names()}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed=-1", '"seed" is -1, allowed is 0'),
        ("crop=0", '"data.crop" is 0, allowed is 16..16384'),
        ("lr=nan", '"optimizer.lr" is nan'),
        ("batch=1000000000", '"batch" is 1000000000, allowed is 1..4096'),
        ("batch=1e9", '"batch" must be int'),
        (f"seed={10**400}", "more than 30 digits"),
        (f"zoom={10**400}", '"data.zoom" is inf'),
        ("objective.style=-1", '"objective.style" is -1.0'),
        ("objective.style=inf", '"objective.style" is inf'),
        ("style_layers=[1]", "must be str, not 1"),
        ("style_weights=[-1.0]", '"backbone.style_weights.0" is -1.0'),
        ("ema=1", "allowed is 0..0.999999"),
        ("network={width=3}", "lacks its name"),
        ("save_every=0", "allowed is 1..1000000000"),
    ],
)
def test_absurd_recipe_values(setting, words):
    with pytest.raises(UsageError) as caught:
        load_recipe("starry", [setting])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((), {"relu1_1": 1.0, "relu5_1": 1.0}),
        ((1.0, 2.5), {"relu1_1": 1.0, "relu5_1": 2.5}),
        ((1.0,), "1 numbers for 2 style layers"),
        ((0.0, 0.0), "all 0"),
    ],
)
def test_style_layers_have_one_weight_each_or_none(weights, expected):
    config = BackboneConfig(style_layers=("relu1_1", "relu5_1"), style_weights=weights)
    if isinstance(expected, dict):
        assert config.weighted_style() == expected
    else:
        with pytest.raises(UsageError, match=expected):
            config.weighted_style()


@pytest.mark.parametrize(
    "config",
    [{"width": 10**100}, {"width": "48"}, {"padding": "mirror"}, {"blocks": -1}, {"scale": True}],
)
def test_absurd_networks(config):
    with pytest.raises(UsageError):
        networks.build("lean", **config)


@pytest.mark.parametrize(
    "header",
    [
        "{",
        "[" * 100_000,
        "3",
        '{"format": 1}',
        '{"format": 1, "network": 3, "recipe": {}, "step": 1, "state": {}}',
        '{"format": 1, "network": {}, "recipe": {}, "step": 1, "state": {}}',
        '{"format": 1, "network": {"name": "lean"}, "recipe": {}, "step": -1, "state": {}}',
        json.dumps(
            {"format": 1, "network": {"name": 3}, "recipe": {"style": 3}, "step": 1, "state": {}}
        ),
    ],
)
def test_damaged_headers_of_checkpoints(tmp_path, header):
    path = tmp_path / "last.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"impasto.checkpoint": header})
    with pytest.raises(UsageError, match=r"last\.safetensors"):
        load_checkpoint(path)


def test_pictures_too_small_for_the_loss_network(random_weights):
    backbone = open_backbone("vgg19_16x", random_weights)
    objective = Objective(backbone, torch.rand(1, 3, 48, 48), {"relu1_1": 1.0}, (), {"coarse": 1.0})
    picture = torch.rand(1, 3, 48, 48, requires_grad=True)
    with pytest.raises(UsageError, match="no term of the objective applies to pictures of 48x48"):
        objective(picture, {})
    with pytest.raises(UsageError, match='too small for the layer "relu5_1"'):
        backbone(torch.rand(1, 3, 16, 16), {"relu5_1"})
