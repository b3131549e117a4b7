"""The scoreboard: figures by hand, published pictures beside ours, the command on tiny models."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn

from benchmarks.measuring import results
from benchmarks.scoreboard import __main__ as scoreboard
from benchmarks.scoreboard import rows, table, yardstick
from benchmarks.scoreboard.yardstick import BORDER, Yardstick
from runtime.errors import UsageError
from tests.benchmarks.conftest import tiny_onnx

LAYERS = (*yardstick.TEXTURE, *yardstick.FORMS)


class Colors(nn.Module):
    """A loss network whose every layer is the picture itself."""

    def forward(self, picture, layers):
        return dict.fromkeys(layers, picture)

    def metric(self, layer):
        return None


@pytest.fixture
def colors(monkeypatch):
    monkeypatch.setattr("training.backbones.open_backbone", lambda *_: Colors())


def flat(value, height=128, width=160):
    return np.full((height, width, 3), value, np.uint8)


def save(picture, path):
    Pillow.fromarray(picture).save(path)
    return path


def test_figures_by_hand():
    """Of a flat picture of value v, G is v^2 (1 in all places) / 3: distances are of v^2."""
    gram = torch.full((1, 3, 3), 1 / 3)  # of white
    target = dict.fromkeys(LAYERS, gram)
    found = Yardstick(Colors(), target, target).measure(flat(51), flat(255))
    by_hand = (1 - 0.2**2) ** 2
    for key in ("style", "coarse", "forms"):
        assert found[key] == pytest.approx(by_hand)
    assert found["content"] == found["detail"] == pytest.approx(0.8**2)


def test_the_border_is_left_out():
    target = dict.fromkeys(LAYERS, torch.full((1, 3, 3), 1 / 3))
    framed = flat(255)
    framed[:BORDER] = framed[-BORDER:] = framed[:, :BORDER] = framed[:, -BORDER:] = 0
    found = Yardstick(Colors(), target, target).measure(framed, flat(255))
    assert max(found.values()) < 1e-12


@pytest.mark.parametrize("photo", [flat(0, 128, 164), flat(0, 2 * BORDER, 160)])
def test_what_does_not_compare(photo):
    with pytest.raises(ValueError, match="do not compare"):
        Yardstick(Colors(), {}, {}).measure(flat(0, *photo.shape[:1], 160), photo)


def test_the_command(tmp_path, colors, monkeypatch, capsys):
    """One row for ours and one for theirs; a painting is compared with others' once."""
    monkeypatch.setattr(rows, "SIZE", (160, 128))
    monkeypatch.setattr(rows, "LARGE", (192, 128))
    rng = np.random.default_rng(0)
    (tmp_path / "published").mkdir()
    for number in ("01", "02"):
        photo = rng.integers(0, 256, (128, 160, 3), dtype=np.uint8)
        save(photo, tmp_path / "published" / f"photo_{number}.png")
    save(flat(90), tmp_path / "published" / "toy_02.png")
    painting = save(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), tmp_path / "toy.png")
    recipe = {"style": {"image": str(painting)}}
    models = [str(tiny_onnx(tmp_path / f"{name}.onnx", recipe=recipe)) for name in ("toy", "two")]
    file = tmp_path / "scoreboard.json"
    given = ["--published", str(tmp_path / "published")]
    assert not scoreboard.main(
        ["--models", ",".join(models), *given, "--json", str(file), "--quiet"]
    )
    found = results.read(file)
    whose = [(row["labels"]["whose"], len(row["metrics"])) for row in found["rows"]]
    assert whose == [("ours", 10), ("published", 7), ("ours", 10)]
    assert all(len(row["labels"].get("sha256", "")) in (0, 64) for row in found["rows"])
    assert str(tmp_path) not in str([row["labels"] for row in found["rows"]])
    assert "toy" in table.usual(found) and "toy" in capsys.readouterr().out


def test_a_model_that_does_not_say_what_it_paints(tmp_path):
    model = tiny_onnx(tmp_path / "toy.onnx")
    with (
        pytest.raises(UsageError, match="does not say what it paints"),
        rows.open_contestant(str(model)),
    ):
        pass
