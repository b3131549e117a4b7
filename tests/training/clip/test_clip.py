"""Words as a style: the tokenizer and the term by hand, and a tiny CLIP that turns photos red."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from runtime.errors import UsageError
from training import optimize
from training.clip.folder import open_clip
from training.clip.words import Words, byte_letters
from training.losses.text import TextTarget, TextTerm, direction_distance, patch_grids

TINY = Path(__file__).parent / "tiny"


def test_merges_come_in_their_order():
    vocabulary = {t: n for n, t in enumerate(["lo", "low</w>", "e", "r</w>", "<|endoftext|>"])}
    vocabulary |= {"<|startoftext|>": 9, "er</w>": 7, "l": 11, "o": 12, "w": 13}
    words = Words(vocabulary, [("e", "r</w>"), ("l", "o"), ("lo", "w</w>")])
    assert words.numbers("Low  LOWER", 8) == [9, 1, 0, 13, 7, 4, 0, 0]
    assert words.numbers("low low low", 5) == [9, 1, 1, 1, 4]
    with pytest.raises(UsageError, match="has 3 tokens, this CLIP reads 2; shorten it"):
        words.numbers("low low low", 4)


def test_every_byte_has_a_letter():
    letters = byte_letters()
    assert len(set(letters.values())) == 256 and letters[ord("a")] == "a"
    assert letters[0] == "\u0100" and letters[ord(" ")] == "\u0120"  # as GPT-2's


def test_directions():
    wanted = torch.tensor([[1.0, 0.0]])
    moved = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    expected = [0, 1, 2, 1 - math.sqrt(0.5)]
    assert direction_distance(moved, wanted).tolist() == pytest.approx(expected, abs=1e-6)


def test_squares_stay_in_the_picture_and_are_of_their_side(monkeypatch):
    grids = patch_grids(20, 40, (50, 90), torch.Generator().manual_seed(0))
    assert grids.shape == (20, 40, 40, 2) and grids.abs().max() <= 1
    monkeypatch.setattr("training.losses.text.TILT", 0.0)
    (grid,) = patch_grids(1, 40, (50, 90), torch.Generator().manual_seed(1))
    steps = torch.diff(grid[0, :, 0]) * 90 / 2
    torch.testing.assert_close(steps, torch.ones(39), atol=1e-3, rtol=0)


@pytest.fixture(scope="module")
def reader():
    return open_clip(TINY)


@pytest.mark.parametrize("color", ["red", "green", "blue", "yellow"])
def test_the_tiny_model_knows_colors(reader, color):
    rgb = {"red": (0.85, 0.1, 0.1), "green": (0.1, 0.7, 0.2), "blue": (0.15, 0.2, 0.85)}
    rgb["yellow"] = (0.9, 0.85, 0.15)
    texts = torch.cat([reader.read(text) for text in rgb])
    picture = torch.tensor(rgb[color]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
    assert list(rgb)[int((texts @ reader.clip.see(picture).T).argmax())] == color


def photo_file(tmp_path: Path) -> Path:
    from skimage import data

    path = tmp_path / "photo.png"
    Image.fromarray(data.chelsea()[40:200, 60:220]).resize((64, 64)).save(path)
    return path


def paint(tmp_path: Path, random_weights: Path, *more: object) -> np.ndarray:
    words = ["--content", photo_file(tmp_path), "--output", tmp_path / "out.png"]
    words += ["--weights", random_weights, "--size", 64, "--evaluations", 40, "--device", "cpu"]
    words += ["--clip", TINY, "--patches", 8, "--quiet", "--overwrite"]
    assert optimize.main([str(word) for word in [*words, *more]]) == 0
    return np.asarray(Image.open(tmp_path / "out.png")).astype(float) / 255


@pytest.mark.slow
@pytest.mark.parametrize(
    ("color", "source", "channel"),
    # The cat is orange, and the tiny model says so: that is where "blue" and "green" lead from.
    [("red", "a photo", 0), ("blue", "orange", 2), ("green", "orange", 1)],
)
def test_words_turn_a_photo(tmp_path, random_weights, color, source, channel):
    words = ["--text", color, "--text-source", source, "--weight", "content=0.1"]
    painted = paint(tmp_path, random_weights, *words)
    photo = np.asarray(Image.open(tmp_path / "photo.png")).astype(float) / 255

    def excess(picture: np.ndarray) -> float:
        mean = picture.mean((0, 1))
        return float(mean[channel] - (mean.sum() - mean[channel]) / 2)

    assert excess(painted) > excess(photo) + 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "red"], "--text needs --clip"),
        (["--clip", str(TINY)], "--text needs --clip"),
        ([], "give --style"),
        (["--text", "red", "--clip", "nowhere"], 'no CLIP weights "nowhere"'),
        (["--text", "a photo", "--clip", str(TINY)], "says what its source"),
        (["--text", "  ", "--clip", str(TINY)], "--text is empty"),
        (["--text", "", "--clip", str(TINY)], "--text is empty"),
        (["--text", "red", "--text-source", "", "--clip", str(TINY)], "has no words"),
        (["--text", "red", "--clip", str(TINY), "--weight", "text=nan"], "a finite one"),
        (["--text", "red", "--clip", str(TINY), "--size", "0"], "--size is 0, it must be at least"),
        (["--text", "red", "--clip", str(TINY), "--patches", "0"], "at least 1"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, random_weights, capsys, words, message):
    run = ["--content", str(photo_file(tmp_path)), "--output", str(tmp_path / "o.png"), "--quiet"]
    run += ["--weights", str(random_weights), "--size", "64", "--evaluations", "1"]
    assert optimize.main([*run, "--device", "cpu", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def broken(tmp_path: Path, change: str) -> Path:
    folder = tmp_path / change
    shutil.copytree(TINY, folder)
    weights, config = folder / "open_clip_model.safetensors", folder / "open_clip_config.json"
    tensors, told = load_file(weights), json.loads(config.read_text())
    words = json.loads((folder / "vocab.json").read_text())
    if change == "tensor":
        del tensors["visual.class_embedding"]
    elif change == "first tensor":
        del tensors["visual.conv1.weight"]
    elif change == "width":
        tensors["text_projection"] = torch.zeros(32, 20)
    elif change == "no places":
        tensors["visual.positional_embedding"] = torch.zeros(1, 32)
    elif change == "nan":
        tensors["visual.proj"].fill_(float("nan"))
    elif change == "named blocks":
        tensors["transformer.resblocks.x.ln_1.bias"] = torch.zeros(32)
    elif change == "small vocabulary":
        tensors["token_embedding.weight"] = tensors["token_embedding.weight"][:300].clone()
    elif change == "heads":
        told["model_cfg"]["text_cfg"]["heads"] = 3
    elif change == "head width":
        told["model_cfg"]["vision_cfg"]["head_width"] = 0
    elif change == "deviation":
        told["preprocess_cfg"]["std"] = [0, 0, 0]
    elif change == "start":
        del words["<|startoftext|>"]
    elif change == "number":
        words["red</w>"] = "x"
    elif change == "end":
        words["<|endoftext|>"] = 0
    save_file(tensors, weights)
    config.write_text("[]" if change == "config" else json.dumps(told))
    (folder / "vocab.json").write_text(
        {"json": "{", "deep": "[" * 100_000}.get(change, json.dumps(words))
    )
    if change == "bytes":
        weights.write_bytes(b"no model")
    elif change == "cut":
        weights.write_bytes(weights.read_bytes()[:70_000])
    elif change == "words":
        (folder / "vocab.json").unlink()
    elif change == "merges":
        (folder / "merges.txt").write_bytes(b"\xff\xfe")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tensor", "class_embedding"),
        ("first tensor", "safetensors.*has no tensor 'visual.conv1.weight'"),
        ("width", "size mismatch"),
        ("no places", "has no place for a picture"),
        ("named blocks", "has no tensor 'transformer.resblocks.1"),
        ("nan", '"visual.proj" holds numbers that are not finite'),
        ("bytes", "no safetensors"),
        ("cut", "no safetensors"),
        ("words", "tokenizer of CLIP is missing"),
        ("merges", "merges.txt.*UTF-8"),
        ("json", "is not JSON"),
        ("deep", "is not JSON"),
        ("start", "no vocabulary of CLIP: no <|startoftext|>".replace("|", r"\|")),
        ("number", '"red</w>" is x'),
        ("small vocabulary", "numbers its tokens 0 to 299"),
        ("end", "is not its last token"),
        ("config", "no configuration of OpenCLIP"),
        ("heads", "3 heads of attention do not share 32 channels"),
        ("head width", "no configuration of OpenCLIP"),
        ("deviation", "three numbers above 0"),
    ],
)
def test_damaged_models_are_refused(tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        open_clip(broken(tmp_path, change))


def test_without_a_configuration_heads_have_the_usual_width(tmp_path):
    folder = tmp_path / "bare"
    shutil.copytree(TINY, folder)
    (folder / "open_clip_config.json").unlink()
    attention = open_clip(folder).clip.visual.transformer.resblocks[0].attn
    assert attention.num_heads == 1  # 32 channels of at most 64 a head


def test_the_same_picture_is_seen_the_same(reader):
    class Told:
        text = TextTarget(reader, "red", patches=4)

    from training.losses import PHOTO, LossInputs

    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    term = TextTerm(Told())
    inputs = LossInputs(0.5 * photo, content_features={PHOTO: photo})
    assert term(inputs) == term(inputs)
    assert term(LossInputs(photo)) == 0, "without photos there is nothing to move away from"


def test_the_term_is_a_mean_with_finite_gradients(reader):
    class Told:
        text = TextTarget(reader, "red", patches=3)

    from training.losses import PHOTO, LossInputs

    chance = torch.Generator().manual_seed(0)
    photos, outputs = (torch.rand(2, 3, 64, 64, generator=chance) for _ in range(2))
    term = TextTerm(Told())
    outputs.requires_grad_(True)
    both = term(LossInputs(outputs, content_features={PHOTO: photos}))
    both.backward()
    assert outputs.grad is not None and outputs.grad.isfinite().all() and outputs.grad.any()
    singles = [
        term(LossInputs(outputs[i : i + 1].detach(), content_features={PHOTO: photos[i : i + 1]}))
        for i in range(2)
    ]
    torch.testing.assert_close(both.detach(), sum(singles) / 2, rtol=1e-4, atol=1e-6)


def test_a_recipe_takes_words(photo_folder, painting, random_weights):
    from training.config import load_recipe
    from training.methods import Assets
    from training.methods.perceptual import Perceptual

    settings = ["objective.text=1.0", "text.prompt='blue'", f"text.clip={str(TINY)!r}"]
    settings += ["network={name='lean', width=8, blocks=1}", "data.crop=64", "data.short_side=64"]
    settings += ["objective.motion=0.0", "batch=1", "text.patches=2", "style.size=48"]
    recipe = load_recipe("starry", settings)
    method = Perceptual(recipe, Assets(painting, photo_folder, random_weights))
    assert 0 < method.step(0)["text"] < 2
    with pytest.raises(UsageError, match=r"set objective\.text, its weight"):
        silent = load_recipe("starry", [*settings, "objective.text=0.0"])
        Perceptual(silent, Assets(painting, photo_folder, random_weights))
    with pytest.raises(UsageError, match=r'no CLIP "nope" in .*; give its path in the recipe'):
        lost = load_recipe("starry", [*settings, "text.clip='nope'"])
        Perceptual(lost, Assets(painting, photo_folder, random_weights))
    with pytest.raises(UsageError, match=r"text\.prompt"):
        bare = load_recipe("starry", [*settings, "text.prompt=''"])
        Perceptual(bare, Assets(painting, photo_folder, random_weights))


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in TINY.iterdir()) < 300_000
    assert json.loads((TINY / "vocab.json").read_text())["red</w>"] > 255


def test_a_total_that_is_not_finite_writes_no_picture(tmp_path, random_weights, capsys):
    run = ["--content", str(photo_file(tmp_path)), "--output", str(tmp_path / "o.png"), "--quiet"]
    run += ["--weights", str(random_weights), "--size", "64", "--evaluations", "2"]
    run += ["--text", "red", "--clip", str(TINY), "--weight", "text=1e300", "--patches", "2"]
    assert optimize.main([*run, "--device", "cpu"]) == 1
    assert "not a finite number; lower the weights" in capsys.readouterr().err
    assert not (tmp_path / "o.png").exists()
