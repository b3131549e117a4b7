"""Several paintings, kept colors and regions, through the command as a user would."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.errors import UsageError
from training.color_transfer import to_yiq
from training.data.images import load_image
from training.optimize import main
from training.paintings import Blend, load_regions, prepare


def run(tmp_path, photo_folder, painting, weights, *more):
    photo = sorted(photo_folder.iterdir())[0]
    words = ["--content", photo, "--output", tmp_path / "out.png", "--weights", weights]
    words += ["--size", 64, "--style-size", 48, "--evaluations", 3, "--quiet", "--overwrite"]
    if "--style" not in more:
        words += ["--style", painting]
    return main([str(word) for word in [*words, "--device", "cpu", *more]])


@pytest.mark.parametrize("mode", ["covariance", "histogram", "luminance"])
def test_colors_are_kept(mode, tmp_path, photo_folder, painting, random_weights):
    run(tmp_path, photo_folder, painting, random_weights, "--keep-color", mode)
    out = load_image(tmp_path / "out.png")
    photo = load_image(sorted(photo_folder.iterdir())[0], 64)
    assert out.shape == photo.shape
    if mode == "luminance":
        gap = (to_yiq(out)[:, 1:] - to_yiq(photo)[:, 1:]).abs()
        assert gap.median() < 0.02  # clamping to the cube moves a few pixels


def test_prepared_paintings_have_the_photos_colors():
    painting, photo = torch.rand(1, 3, 20, 20), torch.rand(1, 3, 24, 24) ** 2
    found, same = prepare(painting, photo, "histogram")
    assert same is photo
    torch.testing.assert_close(found.mean((2, 3)), photo.mean((2, 3)), atol=5e-3, rtol=0)
    gray, gray_photo = prepare(painting, photo, "luminance")
    assert torch.equal(gray[:, 0], gray[:, 1]) and torch.equal(gray_photo[:, 0], gray_photo[:, 2])
    assert prepare(painting, photo, None) == (painting, photo)
    with pytest.raises(UsageError, match="no color mode"):
        prepare(painting, photo, "hue")


class Fixed:
    def __init__(self, value):
        self.value = value

    def content_features(self, photos):
        return {}

    def __call__(self, output, content):
        return {"total": output.sum() * self.value}


def test_a_blend_is_the_weighted_mean():
    blend = Blend([Fixed(1.0), Fixed(4.0)], [2.0, 1.0])
    assert float(blend(torch.ones(1), {})["total"]) == pytest.approx(2.0)


def test_several_paintings(tmp_path, photo_folder, painting, random_weights, capsys):
    other = tmp_path / "other.png"
    Image.fromarray(np.asarray(Image.open(painting))[:, ::-1, ::-1].copy()).save(other)
    totals = []
    for styles in ([f"{painting}:1"], [f"{other}:1"], [f"{painting}:0.5", f"{other}:0.5"]):
        more = [word for style in styles for word in ("--style", style)]
        assert run(tmp_path, photo_folder, painting, random_weights, *more, "--json") == 0
        totals.append(json.loads(capsys.readouterr().out)["total_first"])
    assert totals[2] == pytest.approx((totals[0] + totals[1]) / 2, rel=1e-3)


def test_starting_from_the_painting(tmp_path, photo_folder, painting, random_weights, capsys):
    assert run(tmp_path, photo_folder, painting, random_weights, "--init", "style", "--json") == 0
    assert json.loads(capsys.readouterr().out)["evaluations"] == 3


def save_halves(folder, size, name):
    paths = []
    for index in range(2):
        mask = np.zeros(size, np.uint8)
        half = size[1] // 2
        mask[:, :half] = 255 if index == 0 else 0
        mask[:, half:] = 0 if index == 0 else 255
        paths.append(folder / f"{name}{index}.png")
        Image.fromarray(mask).save(paths[-1])
    return paths


def test_regions(tmp_path, photo_folder, painting, random_weights, capsys):
    photo, paint = save_halves(tmp_path, (96, 128), "p"), save_halves(tmp_path, (64, 80), "s")
    pairs = [f"{a}:{b}" for a, b in zip(photo, paint, strict=True)]
    masks = load_regions(pairs)
    assert masks[0].shape == (1, 2, 64, 80) and masks[1].shape == (1, 2, 96, 128)
    more = [word for pair in pairs for word in ("--region", pair)]
    assert run(tmp_path, photo_folder, painting, random_weights, *more) == 0
    assert load_regions([]) is None
    with pytest.raises(UsageError, match="several sizes"):
        load_regions([pairs[0], f"{paint[0]}:{paint[0]}"])
    assert run(tmp_path, photo_folder, painting, random_weights, "--region", "mask.png") == 2
    assert "PHOTO_MASK:PAINTING_MASK" in capsys.readouterr().err


@pytest.mark.parametrize(
    "term", ["histogram", "coral", "sliced", "laplacian", "matting", "moments"]
)
def test_losses_are_chosen_by_name(term, tmp_path, photo_folder, painting, random_weights):
    more = ["--weight", f"{term}=1", "--weight", "style=0"]
    assert run(tmp_path, photo_folder, painting, random_weights, *more) == 0
