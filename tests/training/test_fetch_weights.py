"""Weights of a loss network from the files that people have, and what is done without any."""

import pickle

import pytest
import torch
from torch.nn import functional as F

from runtime.checksum import sha256
from training.backbones import available, open_backbone
from training.fetch_weights import BLOCKS, TORCHVISION, as_torchvision, convert, main

WIDTHS = (64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def vgg():
    """Names and shapes of VGG-19 under Caffe's names; the first block is random, the rest zero."""
    generator = torch.Generator().manual_seed(0)
    tensors, before = {}, 3
    for block, (count, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), 1):
        for number in range(1, count + 1):
            shape = (width, before, 3, 3)
            make = torch.zeros if block > 1 else lambda s: torch.randn(s, generator=generator)
            tensors[f"conv{block}_{number}.weight"] = make(shape) / 10
            tensors[f"conv{block}_{number}.bias"] = make((width,)) / 10
            before = width
    return tensors


def torchvision_names(tensors):
    """features.0, .2, (pool 4) .5, ...: torchvision counts convolution, ReLU and pool alike."""
    indices = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    layers = list(dict.fromkeys(name.split(".")[0] for name in tensors))
    return {
        f"features.{index}.{part}": tensors[f"{layer}.{part}"]
        for index, layer in zip(indices, layers, strict=True)
        for part in ("weight", "bias")
    }


def test_torchvisions_file_is_read_by_the_trainer(vgg, tmp_path, capsys):
    file = tmp_path / "carried.pth"
    held = {**torchvision_names(vgg), "classifier.0.bias": torch.zeros(8)}
    torch.save(held, file)
    folder = tmp_path / "weights"
    assert main(["--from", str(file), "--output", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(folder / "vgg19_imagenet.safetensors")
    assert sha256(folder / "vgg19_imagenet.safetensors") in err and "IMPASTO_WEIGHTS" in err
    backbone = open_backbone("vgg19", folder)
    torch.testing.assert_close(backbone.chain.convs["relu1_2"].weight.data, vgg["conv1_2.weight"])
    assert available("vgg19_16x", folder) == "vgg19"
    assert available("squeezenet", folder) == "squeezenet"
    assert main(["--from", str(file), "--output", str(folder)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_caffes_weights_give_caffes_features(vgg):
    """What Caffe computes from BGR in 0..255 minus its mean, by hand."""
    weight, bias = vgg["conv1_1.weight"], vgg["conv1_1.bias"]
    picture = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    padded = F.pad(picture.flip(1) * 255 - mean, (1, 1, 1, 1), mode="reflect")
    wanted = F.conv2d(padded, weight, bias)
    statistics = [
        torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    ]
    normalized = F.pad((picture - statistics[0]) / statistics[1], (1, 1, 1, 1), mode="reflect")
    found = F.conv2d(normalized, *as_torchvision(weight, bias))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    name, tensors = convert(vgg, "torchvision")
    assert name == "vgg19_imagenet.safetensors"
    assert not torch.equal(tensors["features.0.weight"], weight)
    torch.testing.assert_close(tensors["features.2.weight"], vgg["conv1_2.weight"])


def test_the_small_encoder_keeps_its_names(random_weights, tmp_path, capsys):
    file = random_weights / "vgg19_16x_encoder_relu5_1.safetensors"
    assert main(["--from", str(file), "--output", str(tmp_path)]) == 0
    assert (tmp_path / file.name).is_file()
    assert "not the file our models were trained with" in capsys.readouterr().err
    assert available("vgg19_16x", tmp_path) == "vgg19_16x"


class Malice:
    def __reduce__(self):
        return print, ("code of a pickle ran",)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("evil.pth", lambda path: path.write_bytes(pickle.dumps(Malice())), "no plain tensors"),
        ("text.safetensors", lambda path: path.write_text("no"), "no plain tensors"),
        ("other.pth", lambda path: torch.save({"a": torch.zeros(2)}, path), "no VGG-19"),
        (TORCHVISION, lambda path: torch.save({"a": torch.zeros(2)}, path), "damaged or another"),
        ("absent.pth", lambda path: None, "no file"),
    ],
)
def test_other_files_are_refused_in_one_line(name, write, message, tmp_path, capsys):
    write(tmp_path / name)
    assert main(["--from", str(tmp_path / name), "--output", str(tmp_path / "w")]) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and "code of a pickle ran" not in out
    assert not (tmp_path / "w").exists()


def test_without_a_network_it_says_what_to_carry_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the port that discards
    assert main(["--output", str(tmp_path / "w")]) == 3
    err = capsys.readouterr().err
    assert TORCHVISION in err and "--from FILE" in err
