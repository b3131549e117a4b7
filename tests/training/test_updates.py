"""One batch, many ways to compute it: parts, processes, precisions, compilation, less memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from runtime.errors import StyleError, UsageError
from runtime.plugins import load
from training import methods, networks, out_of_memory, updates
from training.backbones import open_backbone, recompute
from training.checkpoint import load_checkpoint
from training.config import load_recipe, with_painting
from training.engine import Engine
from training.losses.gan import KINDS
from training.methods import Assets

ROOT = Path(__file__).resolve().parents[2]
COMMON = ["data.short_side=64", "data.crop=48", "style.size=48", "precision='fp32'", "batch=4"]
SETTINGS = {
    "starry": [
        "network={name = 'lean', width = 8, blocks = 1}",
        "backbone.style_layers=['relu1_1', 'relu2_1']",
        "backbone.content_layers=['relu2_1']",
        "options.ramp_start=0",
        "options.ramp_end=0.1",
    ],
    "many": [
        "network={name='cin', width=8, blocks=1}",
        "backbone.style_layers=['relu1_1', 'relu2_1']",
        "backbone.content_layers=['relu2_1']",
    ],
    "microast": [
        "network={name='microast', width=8, blocks=1, encoder_width=4, hidden=8}",
        "backbone.style_layers=['relu1_1', 'relu2_1']",
        "backbone.content_layers=['relu2_1']",
    ],
    "cyclegan_lean": [
        "network={name='lean', width=8, blocks=1}",
        "options.discriminator={width=8, layers=1}",
        "options.pool=6",
    ],
    "pix2pix": [
        # depth 4: the deepest level without dropout, whose draws depend on how a batch is divided
        "network={name='lean', width=8, blocks=1}",
        "options.discriminator={width=8, layers=1}",
    ],
}
ACCUMULATED = ["compute.accumulate=2"]
# What rounding may do in three steps, in image units. Weights are judged by the pictures they make:
# a bias before a normalization has no gradient but rounding, which Adam divides by itself.
ROUNDING = {"atol": 1e-3, "rtol": 0}


@pytest.fixture(scope="module")
def pairs(photo_folder, tmp_path_factory):
    """Photos and their halves in the layout of pix2pix: A on the left, B on the right."""
    from PIL import Image, ImageOps

    folder = tmp_path_factory.mktemp("pairs")
    for path in sorted(photo_folder.iterdir()):
        image = Image.open(path).convert("RGB").resize((64, 64))
        both = Image.new("RGB", (128, 64))
        both.paste(image, (0, 0))
        both.paste(ImageOps.invert(image), (64, 0))
        both.save(folder / f"{path.stem}.png")
    return folder


@pytest.fixture
def build(photo_folder, painting, random_weights, pairs):
    def make(name, *more):
        recipe = load_recipe(name, [*COMMON, *SETTINGS[name], "steps=10", *more])
        content = pairs if name == "pix2pix" else photo_folder
        style = painting if name == "starry" else photo_folder
        if style.is_file():
            recipe = with_painting(recipe, name, style)  # as the command does
        return load(methods, recipe.method)(recipe, Assets(style, content, random_weights))

    return make


def weights(method):
    return {
        f"{name}.{key}": tensor.detach().clone()
        for name, network in method.networks.items()
        for key, tensor in network.state_dict().items()
    }


def pictures(method):
    generator = method.networks["generator"].eval()
    found = [picture.flatten() for row in method.sheet(generator) for picture in row]
    generator.train()
    return torch.cat(found)


def assert_alike(one, two):
    torch.testing.assert_close(pictures(one), pictures(two), **ROUNDING)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_parts_are_worth_the_whole_batch(name, build):
    """Four pictures at once, and two times two: the same figures and the same weights."""
    whole, parts = build(name), build(name, "compute.accumulate=2")
    for step in range(3):
        one, two = whole.step(step), parts.step(step)
        assert one == pytest.approx(two, rel=2e-3, abs=1e-5)
    assert_alike(whole, parts)


def test_uneven_parts_count_by_their_pictures(build):
    whole, parts = build("starry", "batch=3"), build("starry", "batch=3", *ACCUMULATED)
    assert [p.stop - p.start for p in parts.updates.parts(3)] == [1, 2]
    assert whole.step(0) == pytest.approx(parts.step(0), rel=1e-4)


def test_more_parts_than_pictures_is_refused(build):
    with pytest.raises(UsageError, match="a batch of 4 cannot be divided into 5 parts"):
        build("starry", "compute.accumulate=5")


def test_unknown_precision_is_refused(build):
    with pytest.raises(UsageError, match="allowed are bf16, fp16, fp32"):
        build("starry", "precision='fp8'")


@pytest.mark.parametrize("name", ["starry", "many", "cyclegan_lean"])
def test_recomputing_changes_nothing(name, build):
    plain, lean = build(name), build(name, "compute.recompute=true")
    for step in range(2):
        assert plain.step(step) == lean.step(step)
    first, second = weights(plain), weights(lean)
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


def saved_bytes(backbone, images):
    """Bytes that a forward pass keeps for the backward pass, each storage once."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = backbone(images, {"relu1_1", "relu4_1"})
    sum(f.square().mean() for f in features.values()).backward()
    return sum(kept.values()), images.grad.clone()


def test_a_recomputing_backbone_keeps_less_for_the_same_gradient(random_weights):
    backbone = open_backbone("vgg19_16x", random_weights)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain, expected = saved_bytes(backbone, images.clone().requires_grad_(True))
    recompute(backbone, True)
    lean, found = saved_bytes(backbone, images.clone().requires_grad_(True))
    torch.testing.assert_close(found, expected)
    assert lean < plain / 2


def test_half_precision_scales_the_loss_and_resumes(build, tmp_path):
    """On a CPU as on a GPU: the scaled loss gives the same step, and the scale is saved."""
    whole, half = build("starry"), build("starry", "precision='fp16'")
    assert whole.step(0)["total"] == pytest.approx(half.step(0)["total"], rel=0.01)
    assert half.updates.scaler.get_scale() > 1
    Engine(build("starry", "precision='fp16'"), tmp_path, quiet=True).run(stop=2)
    again = build("starry", "precision='fp16'")
    again.updates.scaler.load_state_dict({**again.updates.scaler.state_dict(), "scale": 8.0})
    engine = Engine(again, tmp_path, quiet=True)
    engine.resume()
    state = load_checkpoint(tmp_path / "last.safetensors").state["scaler"]
    assert again.updates.scaler.get_scale() == state["scale"] > 8


def test_a_gradient_that_overflows_is_skipped(build):
    method = build("starry", "precision='fp16'")
    before = weights(method)
    scaler = method.updates.scaler
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0**100})
    method.step(0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in weights(method).items())
    assert scaler.get_scale() < 2.0**100


def test_compiled_is_eager(build, monkeypatch):
    """The graph that torch.compile captures; "inductor" itself is in the slow test below."""
    monkeypatch.setattr(updates, "BACKEND", "aot_eager")
    eager, compiled = build("starry"), build("starry", "compute.compile=true")
    for step in range(2):
        assert eager.step(step) == pytest.approx(compiled.step(step), rel=1e-3, abs=1e-6)
    assert callable(compiled.updates._compiled[compiled.networks["generator"]])
    assert_alike(eager, compiled)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # C++ is compiled: minutes, on a busy machine many
def test_inductor_is_eager(build, capsys):
    eager, compiled = build("starry"), build("starry", "compute.compile=true")
    for step in range(3):
        assert eager.step(step) == pytest.approx(compiled.step(step), rel=2e-3, abs=1e-5)
    assert "torch.compile failed" not in capsys.readouterr().err
    assert_alike(eager, compiled)


def test_a_network_that_does_not_compile_runs_as_it_is(build, monkeypatch, capsys):
    def broken(network, backend):
        def call(*inputs):
            raise RuntimeError("no compiler\nand many lines more")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    eager, compiled = build("starry"), build("starry", "compute.compile=true")
    for step in range(2):
        assert eager.step(step) == compiled.step(step)
    error = capsys.readouterr().err
    assert error == "torch.compile failed, training goes on without it: no compiler\n"


@pytest.mark.parametrize(
    "trouble",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_lower(trouble, build, tmp_path):
    method = build("starry")

    def step(number):
        raise trouble

    method.step = step
    expected = r"at step 0: lower data.crop \(48\) or batch \(4\), raise compute.accumulate"
    with pytest.raises(StyleError, match=expected):
        Engine(method, tmp_path, quiet=True).run()


def test_other_errors_are_no_memory_trouble():
    with (
        pytest.raises(RuntimeError, match="shapes differ"),
        out_of_memory.advice("here", "lower it"),
    ):
        raise RuntimeError("shapes differ")


def torchrun(processes, arguments, cwd=ROOT):
    """The command as a user starts it, without the console script."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launch, "-m", "training.train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("name", ["starry", pytest.param("cyclegan_lean", marks=pytest.mark.slow)])
def test_two_processes_are_one(name, photo_folder, painting, random_weights, build, tmp_path):
    """The same batch on one process and on two (gloo): the same pictures, and one set of files."""
    settings = [*COMMON, *SETTINGS[name], "steps=3", "sheet_every=100"]
    style = painting if name == "starry" else photo_folder
    words = ["--recipe", name, "--device", "cpu", "--threads", 1, "--content", photo_folder]
    words += ["--style", style, "--weights", random_weights, "--output", tmp_path / "two"]
    done = torchrun(2, [*words, *(part for text in settings for part in ("--set", text))])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("last.safetensors") == 1
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 1
    single, double = (build(name, "steps=3", "sheet_every=100") for _ in range(2))
    Engine(single, tmp_path / "one", quiet=True).run()
    Engine(double, tmp_path / "two", quiet=True).resume()
    assert_alike(single, double)
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("one", "two"))
    assert one.tensors.keys() == two.tensors.keys()
    assert one.state == two.state
    first, second = (
        json.loads((tmp_path / n / "log.jsonl").read_text()) | {"steps_per_s": 0}
        for n in ("one", "two")
    )
    assert first == pytest.approx(second, rel=2e-3, abs=1e-4)


def test_every_gan_loss_is_a_mean(build):
    """WGAN-GP's penalty and the pools as well: accumulation must not change them."""
    for kind in KINDS:
        more = (f"options.gan='{kind}'",)
        whole, parts = build("cyclegan_lean", *more), build("cyclegan_lean", *more, *ACCUMULATED)
        for step in range(2):
            assert whole.step(step) == pytest.approx(parts.step(step), rel=2e-3, abs=1e-4)


def test_networks_have_no_batch_statistics():
    """Batch normalization makes a result depend on how its batch is divided: DCGAN alone has it, as
    published, and refuses to be."""
    from runtime.plugins import names

    for name in names(networks):
        path = ROOT / "training" / "networks" / f"{name}.py"
        has = "BatchNorm" in path.read_text("utf-8")
        assert has == (name in ("dcgan", "whole_picture")), name


def test_a_batch_that_is_normalized_over_is_not_divided():
    recipe = load_recipe("dcgan", ["compute.accumulate=2", "batch=4"])
    plain, normalized = torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)
    updates.Updates(recipe, "cpu").check_whole({"generator": plain})
    with pytest.raises(UsageError, match=r"the generator normalizes .*accumulate is 2 on 1 proc"):
        updates.Updates(recipe, "cpu").check_whole(
            {"generator": torch.nn.Sequential(plain, normalized)}
        )
    whole = load_recipe("dcgan", ["batch=4"])
    updates.Updates(whole, "cpu").check_whole({"generator": normalized})
