"""The ablation of what keeps texture from crawling: its figures by hand, and the command, tiny."""

import json

import numpy as np
import pytest
import torch

from benchmarks import crawl
from benchmarks.measuring import results
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint
from training.config import load_recipe

GRAY = np.full((40, 48, 3), 128, np.uint8)


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_noise_gain_by_hand(factor):
    """A stylizer that scales contrast around gray by f has a gain of f, up to rounding."""

    def stylize(picture):
        return np.rint(128 + factor * (picture.astype(float) - 128)).astype(np.uint8)

    assert crawl.noise_gain(stylize, GRAY, 10 / 255) == pytest.approx(factor, rel=0.01)
    assert crawl.noise_gain(lambda picture: GRAY, GRAY, 10 / 255) == 0


def test_the_command(photo_folder, painting, random_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(crawl, "SIZE", 96)
    settings = [
        f'style.image="{painting}"',
        "style.size=48",
        "backbone.style_layers=['relu1_1', 'relu2_1']",
        "backbone.content_layers=['relu2_1']",
        "data.crop=64",
        "data.short_side=64",
        "batch=1",
    ]
    torch.manual_seed(0)
    generator = networks.build("lean", width=8, blocks=1)
    start = tmp_path / "tiny.safetensors"
    tensors = {f"ema.{k}": v for k, v in generator.state_dict().items()}
    recipe = load_recipe("starry", settings)
    save_checkpoint(
        Checkpoint({"name": "lean", **generator.config}, recipe.to_dict(), 0, tensors), start
    )
    words = ["--content", photo_folder, "--start", start, "--steps", 4, "--small-steps", 4]
    words += ["--photos", 1, "--width", 2, "--weights", random_weights, "--quiet"]
    words += ["--pictures", tmp_path / "pictures"]
    words += ["--style", painting, "--train-on", photo_folder, "--json", tmp_path / "crawl.json"]
    words += [word for setting in settings for word in ("--set", setting)]
    assert crawl.main([str(word) for word in words]) == 0
    data = results.read(tmp_path / "crawl.json")
    names = [row["labels"]["variant"] for row in data["rows"]]
    assert names == ["before", *crawl.LEAN, *crawl.SMALL]
    assert (tmp_path / "pictures" / "johnson_2_wide_ccpl_0.1.png").is_file()
    assert len(list((tmp_path / "pictures").iterdir())) == len(names)
    assert all(np.isfinite(list(row["metrics"].values())).all() for row in data["rows"])
    lean = {row["labels"]["variant"]: row["metrics"] for row in data["rows"][:6]}
    assert lean["motion"] != lean["none of them"] != lean["before"]
    assert "anti-aliasing and motion" in crawl.table_of(data)
    assert json.loads((tmp_path / "crawl.json").read_text())["settings"]["start"] == start.name


def test_bad_input(capsys, tmp_path):
    words = ["--content", str(tmp_path), "--start", "x.safetensors", "--steps", "-1"]
    assert crawl.main(words) == 2
    assert "--steps" in capsys.readouterr().err
