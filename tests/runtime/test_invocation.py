"""What a person types: names of commands in help and hints, positional paths, absent libraries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from impasto.__main__ import COMMANDS
from impasto.__main__ import main as impasto
from runtime import cli, invocation, missing, models
from runtime.errors import ModelNotFound, UsageError
from runtime.invocation import VERSION
from runtime.model import store

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_a_command_is_called_what_the_person_typed(monkeypatch):
    assert invocation.command("image") == "python -m runtime.image"
    monkeypatch.setattr(invocation, "INSTALLED", True)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/impasto", "image"])
    assert invocation.command("image") == "impasto image"
    assert (
        invocation.as_typed("see python -m runtime.serve_site site/") == "see impasto serve site/"
    )
    monkeypatch.setattr(sys, "argv", ["/lib/impasto/__main__.py", "image"])
    assert invocation.command("doctor") == "python -m impasto doctor"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_one_command_prints_no_other_name(name):
    done = run("-m", "impasto", name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m impasto {name}" in done.stdout
    assert "runtime." not in done.stdout


def test_version_answers_without_libraries():
    script = "from impasto.__main__ import main; main(['--version']); print(len(sys.modules))"
    done = run("-c", f"import sys; {script}")
    said, modules = done.stdout.splitlines()
    assert said == f"impasto {VERSION}"
    assert int(modules) < 120, "numpy alone would be more"
    assert run("-m", "runtime.image", "--version").stdout.strip() == f"impasto {VERSION}"


def test_an_unknown_command_suggests_the_near_one(capsys):
    assert impasto(["vidoe"]) == 2
    assert 'Did you mean "video"?' in capsys.readouterr().err
    assert impasto([]) == 0
    assert "impasto COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "inputs", "output"),
    [
        (["a.jpg"], ["a.jpg"], None),
        (["a.jpg", "b.png"], ["a.jpg"], "b.png"),
        (["a.jpg", "--model", "s", "b.png"], ["a.jpg"], "b.png"),
        (["a.jpg", "b.jpg", "out"], ["a.jpg", "b.jpg"], "out"),
        (["a.jpg", "b.jpg", "--output", "out"], ["a.jpg", "b.jpg"], "out"),
        (["--input", "a.jpg", "b.jpg"], ["a.jpg", "b.jpg"], None),
        (["-", "-"], ["-"], "-"),
    ],
)
def test_paths_by_position(words, inputs, output):
    parser = cli.new_parser("image", None)
    parser.add_argument("--model")
    cli.add_path_flags(parser, "", "")
    args = parser.parse_args(words)
    cli.take_paths(args)
    assert (args.input, args.output) == (inputs, output)


def test_paths_that_say_too_little_or_too_much(tmp_path):
    parser = cli.new_parser("image", None)
    cli.add_path_flags(parser, "", "")
    for words, expected in (
        ([], "nothing to paint"),
        (["--input", "a.jpg", "--quiet"], None),
        (["a.jpg", "b.jpg", str(tmp_path / "c.jpg")], "need a folder"),
    ):
        (tmp_path / "c.jpg").touch()
        args = parser.parse_args([word for word in words if word != "--quiet"])
        if expected is None:
            cli.take_paths(args)
            continue
        with pytest.raises(UsageError, match=expected):
            cli.take_paths(args)
    args = parser.parse_args(["b.jpg", "--input", "a.jpg"])
    args.input, args.paths = ["a.jpg"], ["b.jpg"]
    with pytest.raises(UsageError, match="not both"):
        cli.take_paths(args)


def test_an_absent_library_is_one_line_with_its_wheel(capsys):
    def absent():
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    assert cli.run_command(absent) == 3
    assert capsys.readouterr().err == (
        "error: cv2 is not installed: pip install opencv-python-headless\n"
    )
    broken = ImportError("libGL.so.1: cannot open shared object file", name="cv2")
    assert "cannot be loaded (libGL.so.1" in (missing.advice(broken) or "")

    def ours():
        raise ModuleNotFoundError("No module named 'runtime.nonsense'", name="runtime.nonsense")

    with pytest.raises(ModuleNotFoundError):
        cli.run_command(ours)


WALL = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cv2", "torch", "onnx", "skimage"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Wall())
"""


@pytest.mark.parametrize(
    "words",
    [
        "runtime.image a.jpg --model starry",
        "impasto image a.jpg --model starry",
        "training.train --recipe starry",
        "export --checkpoint a.safetensors --output a.onnx",
        "export.import_weights README.md --output build/none",
        "benchmarks.sheet --help",
    ],
)
def test_every_command_says_which_library_it_lacks(words, tmp_path):
    """Whether the command's own module imports it at its top, or later."""
    (tmp_path / "sitecustomize.py").write_text(WALL)
    done = subprocess.run(
        [sys.executable, "-m", *words.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1 and "is not installed: pip install" in done.stderr


def test_importing_us_leaves_a_programs_own_hook_alone():
    script = "import sys, runtime, training, export, benchmarks; print(sys.excepthook.__module__)"
    assert run("-c", script).stdout.strip() == "sys"


def test_models_lists_every_style_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {style.name: style for style in models.styles()}
    assert {"starry", "scream", "wheat", "adain", "many"} <= set(found)
    assert found["starry"].title == "The Starry Night (1889)"
    speeds = {speed for _, speed, precision in found["starry"].files if precision == "int8"}
    assert speeds == {"fast", "default", "quality"}
    assert found["adain"].takes == "--style FILE" and len(found["adain"].files) == 1
    assert "great_wave" in found["many"].paintings


def test_a_model_that_is_not_there_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    with pytest.raises(ModelNotFound) as error:
        store.resolve("stary.onnx")
    for part in (
        str(tmp_path),
        str(store.BUNDLED),
        "$IMPASTO_MODELS",
        'Did you mean "starry.onnx"',
    ):
        assert part in str(error.value)
