"""`doctor --model`: a model in a page."""

import json
from pathlib import Path

from runtime import doctor
from runtime.errors import DONE, CardMismatch

MODELS = Path(__file__).parents[3] / "models"


def test_a_bundled_model(capsys):
    assert doctor.main(["--model", "starry-fast"]) == DONE
    text = capsys.readouterr().out
    for words in (
        "starry-fast.onnx",
        "card     its own",
        "uint8 NHWC RGB 0..255  the picture",
        "padded to multiples of 4",
        "layers are folded for each scene",
        "640x480: ",
    ):
        assert words in text
    assert "missing" not in text


def test_a_model_without_a_card_is_explained_with_reasons(tmp_path, identity_model, capsys):
    import onnx

    from runtime.card import KEY

    model = onnx.load(identity_model)
    kept = [entry for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    path = tmp_path / "plain.onnx"
    onnx.save(model, path)
    assert doctor.main(["--model", str(path), "--json"]) == DONE
    facts = json.loads(capsys.readouterr().out)
    assert not facts["card"] and facts["inputs"][0]["role"] == "image"
    assert "inferred" in facts["notes"][0] and any("card" in line for line in facts["missing"])
    assert [speed["width"] for speed in facts["speed"]] == [640, 1280]


def test_styles_are_named(capsys):
    assert doctor.main(["--model", str(MODELS / "many.onnx")]) == DONE
    assert "a style: --style" in capsys.readouterr().out


def test_a_file_that_is_none(tmp_path, capsys):
    path = tmp_path / "page.onnx"
    path.write_text("<html></html>")
    assert doctor.main(["--model", str(path)]) == CardMismatch.exit_code
    assert "web page" in capsys.readouterr().err


def test_a_name_that_nobody_knows(capsys):
    assert doctor.main(["--model", "nonsense"]) != DONE
    assert "nonsense" in capsys.readouterr().err
