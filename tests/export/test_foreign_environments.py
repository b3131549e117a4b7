"""Targets whose converters live in environments of their own: found, called, or told how to get."""

import json
import stat
import sys
from pathlib import Path

import pytest

from export import environments, foreign_environments, listing, targets
from export.__main__ import main
from export.targets import Target
from runtime import plugins
from runtime.errors import EngineUnavailable

HEAVY = ("coreml", "executorch", "litert")


@pytest.fixture
def folder(monkeypatch, tmp_path) -> Path:
    """Where environments are looked for; the real ones are out of sight."""
    monkeypatch.setenv("IMPASTO_ENVIRONMENTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def absent(monkeypatch):
    """As on a machine without these converters."""
    installed = plugins.installed
    hidden = {"executorch", "torchao", "litert_torch", "coremltools"}
    monkeypatch.setattr(plugins, "installed", lambda name: name not in hidden and installed(name))


def pretend(folder: Path, name: str, script: str) -> None:
    """An environment whose Python is this script (its arguments are in `words`)."""
    place = environments.folder(name)
    (place / "bin").mkdir(parents=True)
    python = place / "bin" / "python"
    python.write_text(f"#!{sys.executable}\nimport sys, json\nwords = sys.argv[1:]\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (place / environments.READY).write_text("")


@pytest.mark.parametrize("name", HEAVY)
def test_what_is_needed_is_told(name, checkpoint, folder, absent, tmp_path, capsys):
    target = plugins.load(targets, name)
    output = tmp_path / f"x{target.suffix}"
    words = ["--checkpoint", str(checkpoint), "--target", name, "--output", str(output)]
    assert main([*words, "--quiet"]) == 3
    error = capsys.readouterr().err
    assert f"python -m export.environments {name}" in error and f"'.[{name}]'" in error
    assert error.count("\n") == 1 and not output.exists()
    assert name in environments.NAMES


def test_the_command_runs_in_there(checkpoint, folder, absent, tmp_path, capsys):
    pretend(
        folder, "litert",
        "print('halfway', file=sys.stderr)\nprint(json.dumps({'file': 'x', 'words': words}))",
    )  # fmt: skip
    output = tmp_path / "x.tflite"
    given = ["--checkpoint", str(checkpoint), "--target", "litert", "--output", str(output)]
    more = ["--size", "96x64", "--precision", "int8", "--option", "activations=static", "--json"]
    assert main([*given, *more, "--set", "margin=8"]) == 0
    said = capsys.readouterr()
    words = json.loads(said.out)["words"]
    assert words[:3] == ["-m", "export", "--json"] and "--overwrite" in words
    for flag, value in (
        ("--size", "96x64"), ("--precision", "int8"), ("--option", "activations=static"),
        ("--set", "margin=8"), ("--output", str(output)), ("--target", "litert"),
    ):  # fmt: skip
        assert words[words.index(flag) + 1] == value
    assert "litert: in .venv-litert" in said.err and "halfway" in said.err


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ("print('error: 12.0 dB', file=sys.stderr); sys.exit(4)", 4, "error: 12.0 dB"),
        ("print('error: no such size', file=sys.stderr); sys.exit(2)", 2, "no such size"),
        ("import os; os.abort()", 1, "crashed (signal 6)"),
    ],
)
def test_its_errors_are_ours(checkpoint, folder, absent, tmp_path, capsys, script, code, says):
    pretend(folder, "executorch", script)
    output = tmp_path / "x.pte"
    given = ["--checkpoint", str(checkpoint), "--target", "executorch", "--output", str(output)]
    assert main([*given, "--quiet"]) == code
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_the_list_knows_them(folder, absent):
    rows = {row["target"]: row["missing"] for row in listing.rows()}
    assert "python -m export.environments coreml" in rows["coreml"]
    pretend(folder, "coreml", "")
    assert {row["target"]: row["missing"] for row in listing.rows()}["coreml"] == ""


def test_unfinished_environments_are_not_taken(folder):
    pretend(folder, "coreml", "")
    (environments.folder("coreml") / environments.READY).unlink()
    assert environments.interpreter("coreml") is None
    assert environments.interpreter("") is None


def test_what_pip_says_is_said(folder, monkeypatch):
    monkeypatch.setattr(
        environments, "_pip", lambda name, *what: environments._run(
            name, [sys.executable, "-c", "import sys; sys.exit('ERROR: no wheel for this')"]
        ),
    )  # fmt: skip
    monkeypatch.setattr(environments, "_make", lambda name: None)
    with pytest.raises(EngineUnavailable, match="cannot be installed here: ERROR: no wheel"):
        environments.create("coreml")
    assert environments.interpreter("coreml") is None


def test_common_targets_stay_here():
    for name, target in listing.load_all().items():
        if name not in HEAVY:
            assert target.environment == "" and foreign_environments.find(target) is None
    assert Target.environment == ""


def test_what_is_there_is_not_installed_again(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(environments, "_make", lambda name: environments.folder(name).mkdir())
    monkeypatch.setattr(environments, "_pip", lambda name, *what: asked.append(what[-1]))
    assert environments.create("coreml", ("test",))
    assert asked == ["torch", ".[coreml,test]"]
    assert not environments.create("coreml", ("test",))
    assert not environments.create("coreml"), "more than was asked for is enough"
    (environments.folder("coreml") / environments.READY).write_text("older")
    monkeypatch.setattr(environments, "_make", lambda name: None)
    assert environments.create("coreml") and environments.create("coreml", ("test",))
