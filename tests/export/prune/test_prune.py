import copy
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from export.distill import student_recipe
from export.int8.lean_layers import take_apart
from export.prune import pruning, sweep
from export.prune.__main__ import main
from export.prune.checkpoint import largest_difference
from export.prune.pareto import draw
from export.prune.pruning import drop_blocks, energies, prune, rounded, silence
from export.verify import evaluator as judging
from runtime.errors import UsageError
from training import networks
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.methods.perceptual import start_weights

tp = pytest.importorskip("torch_pruning", reason="torch-pruning is not installed")

CASES = [
    ("lean", {"width": 32, "blocks": 3}),
    ("lean", {"width": 32, "blocks": 2, "normalization": "none"}),
    ("lean", {"width": 32, "blocks": 2, "padding": "reflect"}),
    ("lean", {"width": 32, "blocks": 2, "padding": "replicate", "margin": 0}),
    ("johnson", {"width": 16, "blocks": 2}),
    ("resnet_cycle", {"width": 16, "blocks": 2}),
    ("resnet_cycle", {"width": 16, "blocks": 2, "upsample": "resize"}),
]


@pytest.fixture(scope="module")
def photos():
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, 48, 64, generator=generator) for _ in range(2)]


def build(name, **config):
    """A network as after training: normalizations of all scales, a head of normal size."""
    torch.manual_seed(4)
    network = networks.build(name, **config).eval().requires_grad_(False)
    for key, tensor in network.named_parameters():
        if "norm" in key or (tensor.ndim == 1 and "bias" not in key):
            tensor.add_(0.5 * torch.randn(tensor.shape))
        if name == "lean" and "head" in key:
            tensor.mul_(6)
    return network


@pytest.mark.parametrize(("name", "config"), CASES, ids=lambda value: str(value))
def test_it_paints_what_the_source_paints_with_those_channels_at_zero(name, config, photos):
    source = build(name, **config)
    before = copy.deepcopy(source.state_dict())
    pruned = prune(source, photos, config["width"] // 2, config["blocks"] - 1)
    narrow = pruned.generator
    assert narrow.config == {
        **source.config,
        "width": config["width"] // 2,
        "blocks": len(pruned.blocks),
    }
    assert largest_difference(source, pruned, photos) < 1e-5
    assert all(torch.equal(before[key], tensor) for key, tensor in source.state_dict().items())
    # What is kept are slices of the source's tensors, to the bit.
    for key, tensor in narrow.state_dict().items():
        assert tensor.flatten()[0] in before[_old(key, pruned.blocks)].flatten()
    with torch.no_grad():
        assert not torch.allclose(narrow(photos[0]), source(photos[0]), atol=1e-3)


def _old(key, blocks):
    if not key.startswith("trunk."):
        return key
    _, number, rest = key.split(".", 2)
    return f"trunk.{blocks[int(number)]}.{rest}"


@pytest.mark.parametrize(("name", "config"), CASES, ids=lambda value: str(value))
def test_channels_that_pass_nothing_on_go_first(name, config, photos):
    """With half of the channels at zero, pruning to half changes no picture."""
    source = build(name, **config)
    rng = np.random.default_rng(0)
    quiet = {}
    for key, module in source.named_modules():
        if isinstance(module, pruning.CONVOLUTIONS) and key != "head":
            shared = name == "lean" or "trunk" in key or key in ("down.2.conv", "down.6")
            stream = shared and (key in ("stem", "down.2.conv", "down.6") or "conv2" in key)
            group = "stream" if stream else key
            if group not in quiet:
                half = module.out_channels // 2
                quiet[group] = sorted(rng.choice(module.out_channels, half, replace=False).tolist())
            quiet[key] = quiet[group]
    quiet.pop("stream", None)
    silence(source, quiet)
    pruned = prune(source, photos, config["width"] // 2, config["blocks"])
    with torch.no_grad():
        difference = (pruned.generator(photos[0]) - source(photos[0])).abs().max()
    assert difference < 1e-5


def test_energy_is_what_a_channel_adds_behind_a_normalization(photos):
    """Scaling a convolution and its gamma's meaning away changes no energy."""
    source = build("lean", width=16, blocks=1)
    before = energies(source, photos)["trunk.0.conv1"]
    source.trunk[0].conv1.weight.mul_(100)
    after = energies(source, photos)["trunk.0.conv1"]
    assert torch.allclose(before, after, rtol=1e-3)
    source.trunk[0].norm1.weight.mul_(3)
    assert torch.allclose(energies(source, photos)["trunk.0.conv1"], 9 * after, rtol=1e-3)


def test_the_least_needed_block_goes(photos):
    source = build("lean", width=16, blocks=3)
    source.trunk[1].norm2.weight.mul_(1e-3)
    source.trunk[1].norm2.bias.mul_(1e-3)
    assert drop_blocks(source, photos, 2) == [0, 2]
    assert len(source.trunk) == 2


def test_widths():
    assert rounded(48, 0.67, 16) == 32 and rounded(48, 0.67, 8) == 32
    assert rounded(48, 0.01, 16) == 16 and rounded(32, 0.67, 8) == 24
    assert rounded(8, 0.9, 16) == 8, "never wider than it was"


def test_what_cannot_be_pruned(photos):
    with pytest.raises(UsageError, match="cannot be pruned"):
        prune(networks.build("magenta"), photos, 8, 1)
    lean = build("lean", width=16, blocks=1)
    for width, blocks in ((32, 1), (0, 1), (16, 2)):
        with pytest.raises(UsageError, match="allowed is"):
            prune(lean, photos, width, blocks)


@pytest.fixture
def source(new_checkpoint, tmp_path):
    return new_checkpoint(tmp_path / "toy" / "last.safetensors", width=32, blocks=2)


def test_the_command(source, photos_folder, tmp_path, capsys):
    output = tmp_path / "pruned"
    words = ["--checkpoint", source.parent, "--output", output, "--photos", photos_folder]
    words = [str(word) for word in words]
    assert main([*words, "--keep", "0.5", "--blocks", "1", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert f"--teacher {source.parent} --student {output}" in said.err
    checkpoint = load_checkpoint(output / "last.safetensors")
    assert checkpoint.network["width"] == 16 and checkpoint.network["blocks"] == 1
    assert checkpoint.recipe["network"] == checkpoint.network
    assert checkpoint.recipe["style"]["title"] == "Toy" and checkpoint.step == 7
    assert report["parameters"] < 0.4 * report["parameters_before"]
    assert report["largest_difference_from_silenced"] < 1e-5
    assert json.loads((output / "prune.json").read_text()) == report
    assert main([*words, "--keep", "0.5"]) == 2 and "--overwrite" in capsys.readouterr().err


def test_ends_of_a_fine_tuned_network_are_left_out(source, photos_folder, tmp_path):
    checkpoint = load_checkpoint(source)
    names = ["stem"]
    names += [f"block{n}.{part}" for n in (0, 1) for part in ("conv1", "conv2", "conv2.sum")]
    checkpoint.tensors |= {f"extra.range.{name}": torch.tensor([-0.1, 0.1]) for name in names}
    save_checkpoint(checkpoint, source)
    output = tmp_path / "pruned"
    words = ["--checkpoint", source, "--output", output, "--photos", photos_folder, "--quiet"]
    assert main([str(word) for word in (*words, "--keep", "0.5")]) == 0
    pruned = load_checkpoint(output / "last.safetensors").build_generator()
    assert take_apart(pruned).clipping_ranges() == {}


def test_distillation_goes_on_from_it(source, photos_folder, tmp_path):
    output = tmp_path / "pruned"
    words = ["--checkpoint", source, "--output", output, "--photos", photos_folder]
    assert main([*map(str, words), "--width", "16", "--quiet"]) == 0
    recipe = student_recipe(source, str(output), ["steps=3"])
    assert recipe.method == "distill" and recipe.network["width"] == 16
    assert recipe.options["start"] == str(output / "last.safetensors")
    begun = start_weights(recipe.options["start"], recipe.network)
    stored = load_checkpoint(output / "last.safetensors").group("generator")
    assert all(torch.equal(begun[key], stored[key]) for key in stored)


def test_any_network_may_start_from_itself(new_checkpoint, tmp_path):
    path = new_checkpoint(tmp_path / "j.safetensors", "johnson", width=8, blocks=1)
    network = load_checkpoint(path).network
    assert set(start_weights(str(path), {"name": "johnson", "width": 8, "blocks": 1})) == set(
        networks.build("johnson", width=8, blocks=1).state_dict()
    )
    with pytest.raises(UsageError, match="prunes lean networks only"):
        start_weights(str(path), {**network, "width": 4})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to do"),
        (["--keep", "0"], "at most 1"),
        (["--keep", "0.5,0.2"], "for --sweep"),
        (["--keep", "x"], "allowed is"),
        (["--keep", "0.5", "--width", "16"], "leave one of them out"),
        (["--width", "20"], "not a multiple of 16"),
        (["--width", "48"], "allowed is 1..32"),
        (["--keep", "0.9"], "nothing to prune"),
        (["--blocks", "3"], "allowed is 0..2"),
        (["--sweep", "--width", "16"], "shares of the width"),
        (["--sweep", "--target", "tensorrt"], "nothing here runs it"),
        (["--sweep", "--precision", "int4"], "writes fp32"),
    ],
)
def test_wrong_requests(source, photos_folder, tmp_path, capsys, arguments, says):
    words = ["--checkpoint", source, "--output", tmp_path / "x", "--photos", photos_folder]
    assert main([*map(str, words), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_without_the_library(source, photos_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    words = ["--checkpoint", source, "--output", tmp_path / "x", "--photos", photos_folder]
    assert main([*map(str, words), "--keep", "0.5"]) == 3
    assert ".[prune]" in capsys.readouterr().err


def point(label, ms, ratio, faster=None, low=None):
    gain = 100 / ms if faster is None else faster
    return sweep.Point(label, 16, 1, ms, gain, low or gain * 0.98, gain * 1.02, ratio, ratio, 1)


BASE = point("c48n5", 100, 1.0)


def test_the_front():
    points = [BASE, point("a", 60, 1.05), point("b", 70, 1.08), point("c", 30, 2.0)]
    assert [p.label for p in sweep.pareto(points)] == ["c48n5", "a", "c"]
    assert [p.label for p in sweep.worth(points)] == ["a"]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (
            [point("a", 60, 1.05), point("b", 30, 1.5)],
            "pays down to a after 9 steps of distillation",
        ),
        ([point("a", 60, 1.05), point("b", 30, 1.5)], "it stops there: b is 3.33 times as fast"),
        ([point("a", 60, 1.05)], "nothing smaller was tried"),
        (
            [point("a", 99, 1.01), point("b", 97, 1.02)],
            "not worth it here: the fastest, b, is 1.03",
        ),
        ([point("a", 60, 1.2), point("b", 30, 1.5)], "not worth it here after 9 steps"),
        ([point("a", 60, 1.05, low=1.01)], "not worth it here: the fastest, a"),
    ],
)
def test_verdicts(points, says):
    assert says in sweep.verdict([BASE, *points], 9)


def test_an_interval_of_a_steady_machine_is_narrow():
    base = np.full(15, 0.10)
    assert sweep.faster(base, base / 2) == (2.0, 2.0, 2.0)
    noisy = base / 2 * np.random.default_rng(0).uniform(0.8, 1.25, 15)
    median, low, high = sweep.faster(base, noisy)
    assert low < median < high and 1.5 < low < high < 2.6


class Brightness:
    """Stands for the loss network: total = mean brightness, which pruning changes."""

    def content_features(self, photos):
        return {}

    def __call__(self, styled, features):
        return {"total": styled.mean()}


def test_a_sweep(source, photos_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judging, "build_objective", lambda *_: Brightness())
    monkeypatch.setattr(judging, "SIZE", (96, 80))
    output = tmp_path / "sweep"
    words = ["--checkpoint", source, "--output", output, "--photos", photos_folder, "--sweep"]
    words = [*map(str, words), "--size", "96x64", "--rounds", "3", "--quiet"]
    assert main([*words, "--keep", "0.5", "--threads", "1"]) == 0
    verdict = capsys.readouterr().out.strip()
    report = json.loads((output / "sweep.json").read_text())
    assert report["verdict"] == verdict and verdict
    assert [p["label"] for p in report["points"]] == ["c32n2", "c16n2"]
    assert report["points"][0]["ratio"] == report["points"][0]["faster"] == 1
    assert all(p["ms"] > 0 and p["bytes"] > 0 for p in report["points"])
    assert (output / "c16n2" / "last.safetensors").exists()
    root = ElementTree.fromstring((output / "sweep.svg").read_text())
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert set(report["pareto"]) <= set(texts) and "milliseconds per picture" in texts
    assert main(words) == 2 and "--overwrite" in capsys.readouterr().err


def test_a_picture_of_equal_points():
    report = {
        "points": [
            {"label": "a", "ms": 5.0, "ratio": 1.0},
            {"label": "b", "ms": 5.0, "ratio": 1.0},
        ],
        "pareto": ["a", "b"],
        "worth": [],
        "most_ratio": 1.1,
        "target": "onnx",
        "precision": "fp32",
        "size": "8x8",
        "device": "cpu",
        "steps": 0,
    }
    ElementTree.fromstring(draw(report))


def test_a_border_painted_otherwise_needs_no_pruning(tmp_path):
    """Padding and margin have no weights: without normalization, too, the same ones serve."""
    network = {"name": "lean", "width": 8, "blocks": 1, "normalization": "none", "margin": 24}
    generator = networks.build(**network)
    tensors = {f"ema.{key}": value for key, value in generator.state_dict().items()}
    save_checkpoint(Checkpoint(network, {}, 1, tensors), tmp_path / "zeros.safetensors")
    other = {**network, "padding": "replicate", "margin": 0}
    begun = start_weights(str(tmp_path / "zeros.safetensors"), other)
    assert all(torch.equal(begun[key], value) for key, value in generator.state_dict().items())
