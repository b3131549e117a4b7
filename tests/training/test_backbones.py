import pytest
import torch

from runtime.errors import EngineUnavailable, UsageError
from runtime.plugins import names
from training import backbones
from training.backbones import _weights, open_backbone

LOCAL = ["squeezenet", "vgg19_16x", "vgg19_low"]  # the others download


def test_the_folder_is_the_registry():
    assert set(LOCAL) < set(names(backbones))


@pytest.mark.parametrize("name", LOCAL)
def test_named_features_shrink_with_depth(name, random_weights):
    backbone = open_backbone(name, random_weights)
    features = backbone(torch.rand(1, 3, 64, 80), set(backbone.layers))
    assert set(features) == set(backbone.layers)
    areas = [features[layer].shape[2] * features[layer].shape[3] for layer in backbone.layers]
    assert areas == sorted(areas, reverse=True)
    assert all(feature.min() >= 0 for feature in features.values())
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("name", LOCAL)
def test_a_layer_does_not_depend_on_what_else_is_asked(name, random_weights):
    backbone = open_backbone(name, random_weights)
    images = torch.rand(1, 3, 48, 48)
    layer = backbone.layers[2]
    every = backbone(images, set(backbone.layers))[layer]
    torch.testing.assert_close(backbone(images, {layer})[layer], every)


def test_unknown_layer_lists_the_layers(random_weights):
    backbone = open_backbone("vgg19_low", random_weights)
    with pytest.raises(UsageError, match=r"relu4_1.*relu1_1, relu1_2"):
        backbone.check_layers(["relu4_1"])


def test_metric_is_symmetric_and_positive(random_weights):
    metric = open_backbone("vgg19_16x", random_weights).metric("relu3_1")
    assert metric.shape == (64, 64)
    torch.testing.assert_close(metric, metric.T)
    assert torch.linalg.eigvalsh(metric).min() > -1e-3


def test_missing_weights_say_which_and_from_where(monkeypatch):
    monkeypatch.delenv(_weights.VARIABLE, raising=False)
    with pytest.raises(
        EngineUnavailable, match=r"vgg19_16x_encoder.*sha256 a8b169.*--weights"
    ) as e:
        open_backbone("vgg19_16x")
    assert e.value.exit_code == 3


def test_wrong_weights_name_both_sides(tmp_path, random_weights):
    text = tmp_path / "text.safetensors"
    text.write_text("not tensors")
    with pytest.raises(UsageError, match="not a safetensors file"):
        open_backbone("vgg19_16x", text)
    other = random_weights / "vgg19_conv1_1_to_conv3_4.safetensors"
    with pytest.raises(UsageError, match=r"tensor conv0.weight should be \(3, 3, 1, 1\)"):
        open_backbone("vgg19_16x", other)


def test_weights_come_from_the_environment(monkeypatch, random_weights):
    monkeypatch.setenv(_weights.VARIABLE, str(random_weights))
    assert open_backbone("squeezenet").layers[0] == "relu1"


def test_torchvision_vgg_from_a_file(tmp_path):
    from training.backbones._torchvision import import_torchvision

    models = import_torchvision("torchvision.models")
    torch.manual_seed(0)
    vgg = models.vgg16(weights=None).features[:5].eval()
    state = models.vgg16(weights=None).state_dict()
    state |= {f"features.{key}": value for key, value in vgg.state_dict().items()}
    path = tmp_path / "vgg16.pth"
    torch.save({k: v for k, v in state.items() if k.startswith("features")}, path)
    ours = open_backbone("vgg16", path)
    images = torch.rand(1, 3, 32, 32)
    theirs = vgg[:4]((images - ours.mean) / ours.std)
    found = ours(images, {"relu1_2"})["relu1_2"]
    # Inside the frame only: ours pads by reflection, torchvision's with zeros.
    torch.testing.assert_close(found[:, :, 2:-2, 2:-2], theirs[:, :, 2:-2, 2:-2])


def test_real_weights_load(shared_data):
    for name in LOCAL:
        backbone = open_backbone(name, shared_data / "weights")
        assert backbone(torch.rand(1, 3, 64, 64), {backbone.layers[1]})
