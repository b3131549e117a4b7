"""Edges that stay: the measure by hand, and the command, tiny."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks import photoreal
from benchmarks.measuring import results
from benchmarks.metrics.gradient_ssim import gradient_ssim, gradients
from benchmarks.photoreal.__main__ import main
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint
from training.config import load_recipe
from training.networks._parts.vgg16x import Decoder, Encoder


def test_the_gradient_of_a_ramp():
    ramp = np.tile((np.arange(10) / 100).astype(np.float32)[None, :, None], (8, 1, 3))
    assert gradients(ramp)[1:-1, 1:-1] == pytest.approx(0.01 * np.sqrt(3), rel=1e-4)


def test_contrast_and_colors_may_change(photo):
    half = (photo / 2 + 60).astype(np.float32) / 255
    assert gradient_ssim(photo, photo) == pytest.approx(1)
    assert gradient_ssim(half, photo) == pytest.approx(1, abs=1e-4)
    assert gradient_ssim(photo[..., ::-1].copy(), photo) == pytest.approx(1, abs=1e-6)


def test_moved_and_missing_edges_cost(photo):
    assert gradient_ssim(np.roll(photo, 5, 1), photo) < 0.6
    assert gradient_ssim(np.full_like(photo, 90), photo) < 0.6


def test_the_command(photo_folder, random_weights, tmp_path):
    torch.manual_seed(0)
    for kind, half in (("encoder", Encoder), ("decoder", Decoder)):
        for level in range(1, 6):
            file = tmp_path / f"vgg19_16x_{kind}_relu{level}_1.safetensors"
            tensors = dict(half(level).state_dict())
            save_file({key: value.contiguous() for key, value in tensors.items()}, file)
    backbone = (
        next(random_weights.glob("*encoder_relu5_1*"))
        if random_weights.is_dir()
        else random_weights
    )
    (tmp_path / "vgg19_16x_encoder_relu5_1.safetensors").write_bytes(backbone.read_bytes())
    generator = networks.build("photowct", level=2)
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    recipe = load_recipe("photowct").to_dict()
    path = tmp_path / "photowct.safetensors"
    save_checkpoint(Checkpoint({"name": "photowct", **generator.config}, recipe, 0, tensors), path)
    pair = f"{photo_folder / 'astronaut.png'}:{photo_folder / 'coffee_tall.jpg'}"
    words = ["--pair", pair, "--photowct", path, "--weights", tmp_path, "--size", 64, "--quiet"]
    words += ["--evaluations", 2, "--pictures", tmp_path / "made", "--json", tmp_path / "p.json"]
    assert main([str(word) for word in words]) == 0
    data = results.read(tmp_path / "p.json")
    rows = {row["labels"]["method"]: row["metrics"] for row in data["rows"]}
    assert list(rows) == ["nothing", "WCT", "photowct", "Deep Photo"]
    assert rows["nothing"]["gradient_ssim"] == pytest.approx(1)
    assert "Deep Photo" in photoreal.table_of(data)
    made = Image.open(tmp_path / "made" / "astronaut_coffee_tall_Deep_Photo.png")
    assert made.size == (84, 64)
    made.close()
    words[words.index("--json") :] = ["--size", 64]
    assert main([str(word) for word in words]) == 2  # pictures that are there stay


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "4"], "--size is 4, it must be at least 64"),
        (["--evaluations", "-1"], "allowed are 0 (none) and more"),
        (["--pair", "{pair}"], '--pair names "astronaut:coffee_tall" twice'),
    ],
)
def test_what_cannot_be_measured_is_told_before_the_work(photo_folder, capsys, words, message):
    pair = f"{photo_folder / 'astronaut.png'}:{photo_folder / 'coffee_tall.jpg'}"
    assert main(["--pair", pair, *(word.format(pair=pair) for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_pair_without_a_style_is_one_line(capsys):
    assert main(["--pair", "photo.jpg"]) == 2
    assert "PHOTO:STYLE" in capsys.readouterr().err
