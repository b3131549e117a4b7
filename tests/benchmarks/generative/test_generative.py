"""The report on generators: digits and their reader, figures by hand, the command at toy size."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.generative import __main__ as generative
from benchmarks.generative import digits, scores
from benchmarks.generative.toys import TOYS
from benchmarks.metrics import _proxies
from benchmarks.report import registry
from runtime.errors import EngineUnavailable


def test_missed_names_what_fails():
    good = {"fid_left": 0.05, "kid_left": -0.01, "digits_found": 10, "diversity": 0.9}
    assert generative.missed(good) == []
    bad = {**good, "kid_left": 0.2, "digits_found": 9, "style_color_left": 1.1}
    assert generative.missed(bad) == ["kid_left", "digits_found", "style_color_left"]


def test_what_is_left_by_hand():
    real = np.zeros((5, 2))
    before, after = np.full((5, 2), 3.0), np.full((5, 2), 1.0)
    found = scores.against("fid", _proxies.frechet_distance, before, after, real)
    assert found == pytest.approx({"fid_before": 18, "fid_after": 2, "fid_left": 1 / 9})


def test_digits_need_their_library(monkeypatch):
    digits.load.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="pip install scikit-learn"):
        digits.load()


def test_digits_are_there_and_read():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    digits.load.cache_clear()
    pictures, labels = digits.load()
    assert pictures.shape == (1797, 16, 16) and np.bincount(labels).min() > 170
    assert pictures.min() >= 0 and pictures.max() <= 1
    reader = digits.Reader()
    assert reader.accuracy > 0.9
    # Nulls: the written digits themselves, and one digit only.
    three = torch.from_numpy(np.repeat(pictures[:, None], 3, 1))
    every = scores.of_digits(torch.rand(300, 3, 16, 16), three[:300])
    assert every["digits_found"] == 10 and every["kid_left"] < 0.01
    ones = scores.of_digits(torch.rand(300, 3, 16, 16), three[labels == 1])
    assert ones["digits_found"] < 4 and ones["rarest_share"] == 0
    assert ones["kid_after"] > 10 * every["kid_after"]


def test_problems_of_paintings_alone_need_paintings(capsys):
    assert generative.main(["--problems", "dcgan-paintings"]) == 2
    assert "give --paintings" in capsys.readouterr().err


def test_the_command_writes_its_rows(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    monkeypatch.setattr(generative, "SAMPLES", 64)
    monkeypatch.setattr(generative, "EVALUATIONS", 2)
    path, kept = tmp_path / "generative.json", tmp_path / "runs"
    words = ["--problems", "ddpm-digits,dcgan-digits,dcgan-paintings", "--steps", "2"]
    words += ["--json", str(path), "--keep", str(kept)]
    assert generative.main(words) == 0
    assert "dcgan-paintings: left out" in capsys.readouterr().err
    data = json.loads(path.read_text())
    assert [row["id"] for row in data["rows"]] == ["ddpm-digits", "dcgan-digits"]
    assert data["rows"][0]["labels"]["missed"] and (kept / "dcgan-digits/samples.png").is_file()
    assert "| ddpm | digits | 2 |" in registry.usual_table(data)
    assert generative.main(words) == 2  # the file is there
    assert generative.main(["--problems", "pear"]) == 2
    assert 'no problem "pear", there are ddpm-digits' in capsys.readouterr().err


def test_paintings_are_scored_and_taken_as_styles(random_weights, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    from training.pairs import likeness

    torch.manual_seed(0)
    channels = (64, 128, 256, 384, 384, 512, 512)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(channels)}
    save_file(heads, tmp_path / likeness.LPIPS_FILE)
    (tmp_path / "squeezenet1_1_imagenet.safetensors").write_bytes(
        (random_weights / "squeezenet1_1_imagenet.safetensors").read_bytes()
    )
    # Other squares of one kind, and flat ones: near and far, different and equal.
    real, other = torch.rand(24, 3, 64, 64), torch.rand(24, 3, 64, 64)
    flat = torch.full((24, 3, 64, 64), 0.5)
    found = scores.of_paintings(flat, other, real, str(tmp_path))
    assert abs(found["kid_left"]) < 0.3 and found["diversity"] == pytest.approx(1, abs=0.2)
    # Noise at half its resolution is another kind of picture to a network that looks for detail.
    assert found["kid_of_halved"] > 10 * abs(found["kid_of_halves"])
    assert found["kid_of_flat"] > found["kid_of_halved"]
    worse = scores.of_paintings(other, flat, real, str(tmp_path))
    assert worse["diversity"] == 0 and worse["kid_after"] > found["kid_after"]
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = np.random.default_rng(0).integers(120, 255, (64, 64))
    photo = np.asarray(Image.fromarray(generative.photo_of(None)).resize((160, 128)))
    assert scores.as_style([red], photo, "adain")["style_color_left"] < 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [name for name in TOYS if name.endswith("digits")])
def test_generators_learn_all_digits(name, tmp_path):
    """Distances fall tenfold, and all ten digits are among what is made."""
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    args = generative.build_parser().parse_args([])
    content = digits.write(tmp_path / "digits")
    toy = TOYS[name]
    found = generative.solve(name, toy, toy.steps, tmp_path / "run", content, args)
    assert generative.missed(found) == [], found
