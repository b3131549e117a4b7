"""What goes wrong around a training run: little data, odd sizes, half-written and foreign files."""

import pytest
import torch
from PIL import Image

from runtime.errors import UsageError
from tests.training.toy import SETTINGS
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import load_recipe
from training.engine import Engine
from training.methods import Assets
from training.methods.perceptual import Perceptual
from training.train import main

TINY = [*SETTINGS, "steps=2"]


@pytest.fixture
def train(tmp_path, photo_folder, painting, random_weights):
    """The command on a folder of photos and a painting; returns its exit code."""

    def start(content=photo_folder, style=painting, *more):
        words = ["--recipe", "starry", "--quiet", "--device", "cpu", "--content", content]
        words += ["--style", style, "--weights", random_weights, "--output", tmp_path / "run"]
        settings = [part for text in TINY for part in ("--set", text)]
        return main([str(word) for word in [*words, *settings, *more]])

    return start


@pytest.fixture
def method(photo_folder, painting, random_weights):
    def build(*more):
        assets = Assets(painting, photo_folder, random_weights)
        return Perceptual(load_recipe("starry", [*TINY, *more]), assets)

    return build


def test_one_photo_is_enough(train, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (90, 70), "teal").save(tmp_path / "photos" / "only.png")
    assert train(tmp_path / "photos") == 0
    assert (tmp_path / "run" / "sheet_000002.png").is_file()


def test_photos_of_all_sizes_and_shapes(train, tmp_path):
    """Smaller than the crop, very wide, one pixel, gray, with alpha: each becomes a square."""
    (tmp_path / "photos").mkdir()
    for index, (mode, size) in enumerate(
        [("RGB", (20, 30)), ("L", (400, 16)), ("RGBA", (64, 64)), ("RGB", (1, 1))]
    ):
        Image.new(mode, size).save(tmp_path / "photos" / f"{index}.png")
    assert train(tmp_path / "photos") == 0


@pytest.mark.parametrize("size", [(32, 32), (32, 200), (5, 7)])
def test_a_small_painting(train, tmp_path, photo_folder, size):
    Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / "small.png")
    assert train(photo_folder, tmp_path / "small.png") == 0


def test_the_page_is_there_while_the_run_lasts(method, tmp_path):
    Engine(method(), tmp_path, quiet=True).run()
    page = (tmp_path / "index.html").read_text()
    assert "data:image/jpeg" in page and "<svg" in page
    assert not list(tmp_path.glob(".*"))


def test_a_write_that_is_interrupted_leaves_the_last_checkpoint(method, tmp_path, monkeypatch):
    Engine(method(), tmp_path, quiet=True).run(stop=1)
    before = (tmp_path / "last.safetensors").read_bytes()

    def die(*_, **__):
        raise OSError(28, "No space left on device")

    again = Engine(method(), tmp_path, quiet=True)
    again.resume()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("os.replace", die)
        again.run()
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".last*"))


def test_half_a_checkpoint_is_refused(method, tmp_path):
    Engine(method(), tmp_path, quiet=True).run(stop=1)
    path = tmp_path / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UsageError, match="not a safetensors checkpoint"):
        Engine(method(), tmp_path, quiet=True).resume()


def test_a_checkpoint_of_another_network_is_refused(method, tmp_path):
    Engine(method(), tmp_path, quiet=True).run(stop=1)
    found = load_checkpoint(tmp_path / "last.safetensors")
    tensors = {k: t for k, t in found.tensors.items() if "head.weight" not in k}
    save_checkpoint(
        Checkpoint(found.network, found.recipe, 1, tensors, found.state),
        tmp_path / "last.safetensors",
    )
    with pytest.raises(UsageError, match=r"another network \(Missing key.*head.weight"):
        Engine(method(), tmp_path, quiet=True).resume()


def test_a_checkpoint_older_than_a_recipe_key_resumes(method, tmp_path):
    """Keys that came later have their defaults in it; how the work is done may change."""
    Engine(method(), tmp_path, quiet=True).run(stop=1)
    found = load_checkpoint(tmp_path / "last.safetensors")
    del found.recipe["compute"]
    save_checkpoint(found, tmp_path / "last.safetensors")
    again = Engine(method("compute.accumulate=2"), tmp_path, quiet=True)
    again.resume()
    again.run()
    assert again.done == 2


def test_tensorboard_that_is_missing_exits_3(train, photo_folder, painting, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train(photo_folder, painting, "--tensorboard") == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_photos_of_one_color_do_not_end_in_nan(train, tmp_path):
    (tmp_path / "photos").mkdir()
    for color in ("black", "white"):
        Image.new("RGB", (80, 64), color).save(tmp_path / "photos" / f"{color}.png")
    assert train(tmp_path / "photos") == 0
    assert torch.isfinite(
        load_checkpoint(tmp_path / "run" / "last.safetensors").tensors["generator.stem.weight"]
    ).all()
