"""Every target in the folder keeps the contract of `export.targets`; a new file is tested here.

What needs a library that is absent is skipped, with the reason and how to get it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import export.artifact as flow
from export import listing, targets
from export.__main__ import main
from export.targets import Target
from runtime import engines, plugins
from runtime.card import ModelCard
from runtime.checksum import sha256
from runtime.model.session import open_session

NAMES = plugins.names(targets)
CASES = [
    (name, precision)
    for name, target in listing.load_all().items()
    if target.starts_from == "checkpoint"
    for precision in target.precisions
]
ROOT = Path(targets.__file__).parents[2]
HEAVY = ["torch", "onnx", "onnxruntime", "skimage", "training"]
HEAVY += [name for t in listing.load_all().values() for name in t.modules if name != "PIL"]


@pytest.mark.parametrize("name", NAMES)
def test_constants(name):
    target = plugins.load(targets, name)
    assert issubclass(target, Target)
    assert target.precisions and set(target.precisions) <= {"fp32", "fp16", "int8"}
    assert target.suffix.startswith(".") or (target.folder and not target.suffix)
    assert all(suffix.startswith(".") for suffix in target.beside)
    assert target.runs_on and target.extra
    assert target.starts_from in ("checkpoint", "models")
    assert "\n" not in target.available()
    if target.engine is None:
        assert target.check is not Target.check, "without an engine, `check` is the only proof"
        assert target.examined_by
    else:
        plugin = plugins.load(engines, target.engine)
        assert any(target.suffix.endswith(suffix) for suffix in plugin.suffixes)


def test_the_modules_are_light():
    """`--list` loads them all, and their libraries may be absent."""
    script = (
        "import sys; from export import listing; listing.load_all(); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_tiny_network_is_written_and_proven(
    name, precision, new_checkpoint, photos_folder, tmp_path, monkeypatch, capsys
):
    """Through the command, with its gate: the report tells of every file that is there."""
    target = plugins.load(targets, name)
    if target.available():
        pytest.skip(f"{name} {target.available()}")
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
    normalization = "none" if precision == "int8" else "instance"
    source = new_checkpoint(
        tmp_path / "toy.safetensors", width=8, blocks=1, margin=8, normalization=normalization
    )
    output = tmp_path / "out" / f"toy{target.suffix}"
    words = ["--checkpoint", source, "--target", name, "--precision", precision]
    words += ["--output", output, "--photos", photos_folder, "--quiet", "--json"]
    if target.default_size is not None:
        words += ["--size", "96x64"]
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    assert code == 0, said.err
    report = json.loads(said.out)
    assert (report["target"], report["precision"]) == (name, precision)
    assert report["file"] == output.name and report["sha256"] == sha256(output)
    listed = {entry["file"] for entry in report.get("files", [{"file": output.name}])}
    there = {
        path.relative_to(output.parent).as_posix()
        for path in output.parent.rglob("*")
        if path.is_file()
    }
    assert len(there - listed) == 1, "besides the files in the report there is only the receipt"
    assert listed < there
    if target.engine is None:
        assert report["checks"] and report["verdict"] == "checked, not run"
        return
    assert report["verdict"] == "passed"
    with open_session(output) as session:
        assert isinstance(session.card, ModelCard) and session.notes == []
        assert (session.card.target, session.card.precision) == (name, precision)
        assert session.engine == target.engine
