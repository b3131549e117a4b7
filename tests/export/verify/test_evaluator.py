import json

import numpy as np
import pytest
import torch

import export.artifact as flow
from export.__main__ import main
from export.verify import evaluator as judging
from export.verify.evaluator import refuse_worse, shift_error
from runtime.errors import ParityError


class Painter:
    """A session that repeats its answer to `paint`, as far as `shift_error` asks."""

    def __init__(self, paint):
        self.stylize, self.resets = paint, 0

    def reset(self):
        self.resets += 1


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (96, 131, 3), dtype=np.uint8)


def test_a_painter_that_moves_with_the_picture_has_no_shift_error():
    assert shift_error(Painter(lambda image: 255 - image), photo()) == 0


def test_a_pattern_glued_to_the_grid_is_a_shift_error():
    def weave(image):
        columns = np.arange(image.shape[1]) % 4 == 0
        return np.where(columns[None, :, None], 255, 0).repeat(image.shape[0], 0).repeat(3, 2)

    # Every shift that is no multiple of 4 moves two of four columns from 0 to 1 or back.
    assert shift_error(Painter(weave), photo()) == pytest.approx(0.5, abs=0.05)


def test_a_worse_painter_is_refused():
    report = {"objective_ratio": 1.04, "largest_ratio": 1.05}
    refuse_worse(report, "x.onnx")
    for ratio in (1.06, float("nan")):
        with pytest.raises(ParityError, match="paints worse"):
            refuse_worse({**report, "objective_ratio": ratio}, "x.onnx")


class Brightness:
    """An objective that likes dark pictures."""

    def content_features(self, photos):
        return {}

    def __call__(self, output, content):
        return {"style": output.mean(), "total": output.mean()}


def test_judged_exports_say_so(checkpoint, photos_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flow, "SIZES", ((64, 48),))
    monkeypatch.setattr(judging, "SIZE", (96, 80))
    monkeypatch.setattr(judging, "build_objective", lambda *_: Brightness())
    path, picture = tmp_path / "toy.onnx", tmp_path / "sheet.png"
    given = ["--checkpoint", str(checkpoint), "--output", str(path), "--json", "--quiet"]
    given += ["--photos", str(photos_folder), "--evaluate", "--sheet", str(picture)]
    assert main(given) == 0
    judged = json.loads(capsys.readouterr().out)["judged"]
    assert judged["photos"] == 3
    assert judged["objective_ratio"] == pytest.approx(1.0, abs=1e-3)
    assert set(judged["source"]) == {"style", "total", "shift"}
    import PIL.Image

    assert PIL.Image.open(picture).size == (4 * 96, 3 * 80)
    monkeypatch.setitem(judging.LARGEST_RATIO, "fp32", 0.9)
    assert main([*given, "--overwrite"]) == 4
    assert not path.exists() and (tmp_path / "toy.onnx.rejected").exists()


def test_a_recipe_without_a_painting_cannot_be_evaluated(
    checkpoint, photos_folder, tmp_path, capsys
):
    from training.checkpoint import load_checkpoint, save_checkpoint

    loaded = load_checkpoint(checkpoint)
    loaded.recipe["style"] = {}
    bare = tmp_path / "bare.safetensors"
    save_checkpoint(loaded, bare)
    given = ["--checkpoint", str(bare), "--output", str(tmp_path / "x.onnx"), "--evaluate"]
    assert main([*given, "--photos", str(photos_folder), "--quiet"]) == 2
    assert "for --evaluate" in capsys.readouterr().err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bare.safetensors"]
    assert torch.is_inference_mode_enabled() is False
