"""The folder for app developers: complete, checked, and its sample code is code."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import export.artifact as flow
from export.__main__ import main
from export.targets import Options, _sample_code
from export.targets.bundle import PLUGIN, read_part
from runtime.card import ModelCard, Port
from runtime.errors import ParityError
from runtime.model.session import open_session

CARD = ModelCard(
    "toy",
    "perceptual",
    (Port("image", shape=(1, 64, 96, 3), layout="NHWC"),),
    (Port("styled", shape=(1, 64, 96, 3), layout="NHWC"),),
    multiple_of=4,
    minimum=8,
)


@pytest.fixture(scope="module")
def bundle(checkpoint, photos_folder, tmp_path_factory) -> Path:
    """From a checkpoint: its ONNX file, packed."""
    folder = tmp_path_factory.mktemp("bundles") / "toy-app"
    words = ["--checkpoint", checkpoint, "--target", "bundle", "--output", folder, "--name", "toy"]
    words += ["--photos", photos_folder, "--option", "targets=onnx", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
        assert main([str(word) for word in words]) == 0
    return folder


def test_everything_is_in_it(bundle):
    there = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert there == {
        "README.md", "LICENSE", "SHA256SUMS", "card.json", "models/toy.onnx", "receipts/toy.json",
        "samples/python/stylize.py", "samples/web/stylize.mjs",
    }  # fmt: skip
    card = ModelCard.from_json((bundle / "card.json").read_text())
    assert card.name == "toy" and card.target == "onnx"
    said = (bundle / "README.md").read_text()
    assert "# Toy" in said and "| `toy.onnx` | onnx | fp32 | " in said
    assert re.search(r"\| 96x64: \d+, 65x51: \d+ \|", said), "timed while it was made"
    assert "Apache" in (bundle / "LICENSE").read_text()
    report = json.loads(bundle.with_name("toy-app.json").read_text())
    assert report["models"] == ["toy.onnx"] and "SHA256SUMS" in report["checks"][0]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_checksums_are_those_of_sha256sum(bundle):
    run = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=bundle, capture_output=True)
    assert run.returncode == 0, run.stderr


def test_a_changed_file_is_noticed(bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "models" / "toy.onnx").write_bytes(b"x")
    (copy / "more.txt").write_text("")
    with pytest.raises(ParityError, match=r"more\.txt, models/toy\.onnx"):
        PLUGIN.check((), copy, Options())


def test_the_python_sample_paints_as_the_runtime_does(bundle, tmp_path, photo):
    script = bundle / "samples" / "python" / "stylize.py"
    compile(script.read_text(), str(script), "exec")
    picture = np.ascontiguousarray(photo[:61, :90])
    PIL.Image.fromarray(picture).save(tmp_path / "in.png")
    command = [sys.executable, str(script), str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    subprocess.run(command, check=True)
    painted = np.asarray(PIL.Image.open(tmp_path / "out.png"))
    with open_session(bundle / "models" / "toy.onnx") as session:
        wanted = session.stylize(picture)
    # It mirrors the border with the edge pixel, the runtime without: far from there they agree.
    assert painted.shape == picture.shape
    assert np.abs(painted[:30, :60].astype(int) - wanted[:30, :60]).mean() < 2


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_sample(bundle, tmp_path):
    script = bundle / "samples" / "web" / "stylize.mjs"
    subprocess.run(["node", "--check", str(script)], check=True)
    trial = tmp_path / "trial.mjs"
    trial.write_text(
        f"import {{ MODEL, accepted, toPlanes, toPixels }} from {json.dumps(script.as_uri())};\n"
        "const value = (_, i) => (i % 4 == 3 ? 255 : 7 * i);\n"
        "const rgba = Uint8ClampedArray.from({ length: 4 * 6 }, value);\n"
        "const planes = toPlanes(rgba, 3, 2);\n"
        "console.log(JSON.stringify([MODEL, accepted(67), accepted(1), [...planes], [...rgba],"
        " [...toPixels(planes, 3, 2)]]));\n"
    )
    run = subprocess.run(["node", str(trial)], check=True, capture_output=True, text=True)
    model, large, small, planes, rgba, back = json.loads(run.stdout)
    assert (model, large, small) == ("toy.onnx", 64, 4)
    pixels = np.array(rgba, np.uint8).reshape(2, 3, 4)
    assert np.allclose(planes, pixels[..., :3].transpose(2, 0, 1).ravel() / 255)
    assert back == rgba


@pytest.mark.parametrize(
    "sample", [s for s in _sample_code.SAMPLES if s.language in ("Kotlin", "Swift")],
    ids=lambda sample: sample.template,
)  # fmt: skip
def test_kotlin_and_swift_parse(sample):
    """By real parsers; there is no compiler with these platforms' libraries here."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="pip install 'impasto[dev]'")
    language = pytest.importorskip(f"tree_sitter_{sample.language.lower()}")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    text = _sample_code.fill(sample, Path(f"toy{sample.suffix}"), CARD)
    assert _sample_code.PLACE.search(text) is None
    assert f'"toy{sample.suffix if sample.language == "Kotlin" else ""}"' in text
    tree = parser.parse(text.encode())
    assert not tree.root_node.has_error, tree.root_node
    broken = parser.parse(text.replace("{", "", 1).encode())
    assert broken.root_node.has_error, "the parser would say so"


def test_finished_models_of_several_formats(bundle, tmp_path):
    """`--model`: what was made elsewhere is packed with what belongs to it."""
    path = tmp_path / "toy.tflite"
    path.write_bytes(b"a model")
    from export.targets._card_file import write_card
    from export.verify.report import _files, write_report

    card = write_card(CARD, path)
    report = {
        **_files([path, card]), "source": {"checkpoint": "toy", "sha256": "0"}, "target": "litert",
        "parity": {"sizes": [{"psnr_db": 101.26}]}, "milliseconds": {"96x64": {"p50": 7.4}},
    }  # fmt: skip
    write_report(report, path)
    folder = tmp_path / "app"
    words = ["--model", str(bundle / "models" / "toy.onnx"), "--model", str(path)]
    assert main(["--target", "bundle", "--output", str(folder), "--quiet", *words]) == 2
    shutil.copyfile(bundle / "receipts" / "toy.json", bundle / "models" / "toy.json")
    try:
        assert main(["--target", "bundle", "--output", str(folder), "--quiet", *words]) == 0
    finally:
        (bundle / "models" / "toy.json").unlink()
    assert (folder / "models" / "toy.tflite.card.json").is_file()
    assert (folder / "samples" / "android" / "StylePainterLiteRt.kt").is_file()
    assert "| 101.3 | – | 96x64: 7 |" in (folder / "README.md").read_text()


def test_a_file_of_onnx_runtimes_own_format_carries_its_card_inside(
    checkpoint, photos_folder, tmp_path
):
    model = tmp_path / "toy.ort"
    words = ["--checkpoint", checkpoint, "--target", "ort", "--output", model, "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64),))
        assert main([str(word) for word in [*words, "--photos", photos_folder]]) == 0
    assert read_part(model).card.target == "ort"


def test_models_are_timed_if_their_receipts_say_nothing(bundle, tmp_path):
    path = tmp_path / "toy.onnx"
    shutil.copyfile(bundle / "models" / "toy.onnx", path)
    report = json.loads((bundle / "receipts" / "toy.json").read_text())
    del report["milliseconds"]
    path.with_suffix(".json").write_text(json.dumps(report))
    part = read_part(path)
    assert part.times["640x480"]["p50"] > 0


def test_what_was_not_proven_is_not_packed(tmp_path, capsys):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"x")
    words = ["--target", "bundle", "--model", str(path), "--output", str(tmp_path / "app")]
    assert main(words) == 2
    assert "no report" in capsys.readouterr().err
    path.with_suffix(".json").write_text('{"sha256": "0"}')
    assert main(words) == 2
    assert "of another file" in capsys.readouterr().err


def test_unknown_targets_are_refused(checkpoint, tmp_path, capsys):
    words = ["--target", "bundle", "--checkpoint", str(checkpoint), "--quiet"]
    words += ["--output", str(tmp_path / "app"), "--option", "targets=litrt"]
    assert main(words) == 2
    assert 'Did you mean "litert"' in capsys.readouterr().err
