"""The files of one style: told apart by name and card, ordered, and chosen among."""

import pytest

from runtime.card import ModelCard, Port
from runtime.model import store, variants
from runtime.model.variants import ON_CPU, ON_GPU, Variant, find, first_choice, parse_name, ranking

STARRY = {"title": "The Starry Night"}
WAVE = {"title": "The Great Wave"}


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("starry", ("starry", "default", "")),
        ("starry-fast", ("starry", "fast", "")),
        ("starry-quality-fp32", ("starry", "quality", "fp32")),
        ("starry-int8", ("starry", "default", "int8")),
        ("starry-wave", ("starry-wave", "default", "")),
        ("fast", ("fast", "default", "")),
        ("-fast", ("-fast", "default", "")),
        ("fast-fast-fast", ("fast-fast", "fast", "")),
    ],
)
def test_what_a_name_says(stem, said):
    name = parse_name(stem)
    assert (name.style, name.grade, name.precision) == said


def test_the_card_has_the_last_word(tmp_path):
    card = ModelCard("x", "perceptual", (Port("image"),), (Port("styled"),), precision="int8")
    assert variants.variant_of(tmp_path / "night.onnx", card).precision == "int8"
    assert variants.variant_of(tmp_path / "night-fp32.onnx", card).precision == "int8"
    assert variants.variant_of(tmp_path / "night-fp16.onnx", None).precision == "fp16"
    hq = ModelCard("x", "perceptual", (Port("image"),), (Port("styled"),), grade="quality")
    assert variants.variant_of(tmp_path / "night.onnx", hq).grade == "quality"


def test_a_style_name_finds_all_files_best_first(put, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put("starry", STARRY, precision="int8")
    put("starry-fast", STARRY, precision="int8")
    put("starry-quality-fp32", STARRY)
    put("starry-quality", STARRY, precision="int8")
    put("wave", WAVE)
    put("starry2", STARRY)
    names = ["starry-quality-fp32", "starry-quality", "starry", "starry-fast"]
    assert [one.path.stem for one in find("starry")] == names
    assert [one.path.stem for one in find(tmp_path / "starry")] == names
    assert variants.best(find("starry")).path.stem == names[0]
    assert [one.label for one in find("starry")] == [
        "starry quality fp32", "starry quality", "starry", "starry fast",
    ]  # fmt: skip
    assert find("starry.onnx") == [] and find("nothing") == []
    assert set(variants.styles_in(tmp_path, ".onnx")) == {"starry", "starry2", "wave"}
    assert store.resolve("starry").name == "starry.onnx"  # a file for whoever wants one file
    (tmp_path / "starry").mkdir()  # a folder of that name, as runs leave it, is no model
    assert len(find("starry")) == 4


def test_another_painting_is_another_style(put, tmp_path):
    put("night", STARRY)
    put("night-fast", WAVE)
    put("night-int8", {}, precision="int8")
    styles = variants.styles_in(tmp_path, ".onnx")
    assert {name: [one.path.stem for one in files] for name, files in styles.items()} == {
        "night": ["night", "night-int8"],
        "night-fast": ["night-fast"],
    }


def test_models_that_need_a_style_picture_cannot_be_switched_to(put, tmp_path):
    put("any", roles=("image", "style"))
    put("knob", roles=("image", "scalar"))
    put("bare", card=False)
    (tmp_path / "notes.txt").write_text("x")
    assert list(variants.styles_in(tmp_path, ".onnx")) == ["knob"]
    assert variants.styles_in(tmp_path / "nowhere", ".onnx") == {}


def files(tmp_path, *pairs):
    return [Variant(tmp_path / f"{g}-{p}.onnx", "s", g, p) for g, p in pairs]


def test_one_file_per_grade_by_device_until_measured(tmp_path):
    found = files(
        tmp_path,
        ("quality", "fp32"), ("quality", "int8"), ("default", "fp32"), ("default", "fp16"),
        ("default", "int8"), ("fast", "int8"),
    )  # fmt: skip
    assert ranking(found, ON_CPU) == [1, 4, 5]
    assert ranking(found, ON_GPU) == [0, 3, 5]
    assert first_choice(found, ranking(found, ON_CPU)) == 4
    # Measured: integers are no faster for the first grade, so the exact file is taken.
    assert ranking(found, ON_CPU, [1.0, 0.95, 1.0, 9.0, 0.3, 0.2]) == [0, 4, 5]
    assert first_choice(found, [1]) == 1
    infinite = float("inf")
    assert ranking(found, ON_CPU, [infinite, 1.0, 1.0, 1.0, infinite, 0.2])[0] == 1
