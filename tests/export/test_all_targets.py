"""`--target all` and `--list`: makes what can be made, says why the rest is not."""

import json

import pytest

import export.artifact as flow
from export import all_targets, listing, targets
from export.__main__ import main
from export.targets import Target, Written
from export.targets.onnx import OnnxTarget
from export.verify import parity
from runtime import plugins


class Absent(Target):
    suffix = ".absent"
    modules = ("a_library_nobody_has",)
    extra = "absent"
    runs_on = "nowhere"

    @staticmethod
    def write(source, path, options):
        raise AssertionError("must not be tried")


class Packed(Target):
    """Starts from models, needs no engine."""

    folder = True
    starts_from = "models"
    runs_on = "a shelf"
    options = {"title": "what is written on it"}  # noqa: RUF012

    @staticmethod
    def write(source, path, options):
        path.mkdir()
        for model in source:
            (path / model.name).write_bytes(model.read_bytes())
        (path / "title").write_text(options.extra.get("title", ""))
        return Written(None, ["packed"])

    @staticmethod
    def check(source, path, options):
        return [f"{len(source)} models are in it"]


@pytest.fixture(autouse=True)
def three_targets(monkeypatch):
    table = {"absent": Absent, "onnx": OnnxTarget, "packed": Packed}
    monkeypatch.setattr(listing, "load_all", lambda: table)
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda at, name: table[name] if at is targets else load(at, name)
    )
    monkeypatch.setattr(flow, "SIZES", ((96, 64),))


def words(checkpoint, photos_folder, output, *more):
    return [
        "--checkpoint", str(checkpoint), "--target", "all", "--output", str(output),
        "--photos", str(photos_folder), "--name", "toy", *more,
    ]  # fmt: skip


def test_all_makes_what_it_can(checkpoint, photos_folder, tmp_path, capsys):
    out = tmp_path / "out"
    given = words(checkpoint, photos_folder, out, "--option", "title=Toy")
    assert main(given) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(out / "toy.onnx"), str(out / "toy-packed")]
    assert "skipped: absent fp32: needs a_library_nobody_has: pip install" in said.err
    assert (out / "toy-packed" / "title").read_text() == "Toy"
    report = json.loads((out / "toy-packed.json").read_text())
    assert report["checks"] == ["1 models are in it"]
    assert report["source"]["models"][0]["file"] == "toy.onnx"
    assert {path.name for path in out.iterdir()} == {
        "toy.onnx", "toy.json", "toy-packed", "toy-packed.json",
    }  # fmt: skip
    assert main(given) == 2  # nothing is overwritten unasked
    assert "--overwrite" in capsys.readouterr().err


def test_what_is_refused_fails_the_command(
    checkpoint, photos_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(parity.LEAST_PSNR, "fp32", 500.0)
    assert main(words(checkpoint, photos_folder, tmp_path, "--quiet", "--json")) == 4
    summary = json.loads(capsys.readouterr().out)
    assert summary["made"] == [] and summary["failed"][0]["target"] == "onnx"
    assert (tmp_path / "toy.onnx.rejected").is_file()


def test_all_precisions_have_names_of_their_own():
    planned = [(name, precision) for name, _, precision in all_targets.plan("all")]
    assert planned == [
        ("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"),
        ("absent", "fp32"), ("packed", "fp32"),
    ]  # fmt: skip
    assert all_targets.file_name("a", "onnx", OnnxTarget, "int8") == "a-int8.onnx"
    assert all_targets.file_name("a", "packed", Packed, "fp32") == "a-packed"


def test_the_list(capsys):
    assert main(["--list"]) == 0
    table = capsys.readouterr().out
    assert "| onnx | .onnx | fp32, fp16, int8 | any | --checkpoint | onnxruntime |" in table
    assert "not available here: absent needs a_library_nobody_has" in table
    assert main(["--list", "--json"]) == 0
    rows = {row["target"]: row for row in json.loads(capsys.readouterr().out)["targets"]}
    assert rows["onnx"]["missing"] == "" and rows["packed"]["options"] == Packed.options


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "packed"], "starts from --model"),
        (["--target", "onnx", "--model", "a"], "starts from --checkpoint"),
        (["--target", "all", "--model", "a"], "starts from --checkpoint"),
        (["--target", "onnx", "--checkpoint", "a", "--option", "title=x"], 'knows no "title"'),
        (["--target", "all", "--checkpoint", "a", "--option", "titel=x"], 'Did you mean "title"'),
        (["--target", "onnx", "--checkpoint", "a", "--precision", "all"], "writes fp32"),
    ],
)
def test_wrong_flags(arguments, says, tmp_path, capsys):
    assert main([*arguments, "--output", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_place_is_needed(capsys):
    assert main(["--target", "all"]) == 2
    assert "--output" in capsys.readouterr().err
