"""House rules that a reader cannot see: who imports whom, and what the runtime may not need."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ["runtime", "training", "export", "benchmarks"]
COMMANDS = [
    "runtime.image",
    "runtime.video",
    "runtime.webcam",
    "runtime.doctor",
    "runtime.demo",
    "runtime.serve_site",
    "training.train",
    "training.optimize",
    "export",
    "export.prune",
    "export.finetune",
    "export.environments",
    "benchmarks.latency",
    "benchmarks.end_to_end",
    "benchmarks.temporal",
    "benchmarks.folding",
    "benchmarks.report",
    "benchmarks.quality",
    "benchmarks.sanity",
    "benchmarks.students",
    "benchmarks.targets",
]
LEAN = [c for c in COMMANDS if c.startswith("runtime")] + [
    "benchmarks.latency",
    "benchmarks.end_to_end",
    "benchmarks.temporal",
]
HEAVY = [
    *("torch", "torchvision", "onnx", "onnxscript", "skimage"),
    *("tensorrt", "openvino", "ncnn", "pnnx"),
]


def sources():
    return [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level names a file imports absolutely, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_to_the_left_only(path):
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    above = imported(path) & set(FLOORS[floor + 1 :])
    assert not above, f"{path.name} imports {above} from a floor above"
    assert FLOORS[floor] not in imported(path), "inside a package imports are relative"
    if floor == 0:
        assert "torch" not in imported(path)


BLOCK = """
import importlib, sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy!r}:
            raise ImportError(name + " is walled off")
sys.meta_path.insert(0, Wall())
for name in {modules!r}:
    importlib.import_module(name)
"""


def test_the_runtime_needs_none_of_the_heavy_libraries():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "runtime").rglob("*.py"))
    ] + [name for name in LEAN if name.startswith("benchmarks")]
    script = BLOCK.format(heavy=HEAVY, modules=modules)
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_without_loading_anything_heavy(command):
    script = (
        "import runpy, sys\n"
        "sys.argv = ['x', '--help']\n"
        "try:\n"
        f"    runpy.run_module({command!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        f"print('LOADED', sorted(set({[*HEAVY, 'onnxruntime', 'av']!r}) & set(sys.modules)))\n"
        "raise SystemExit(code)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "LOADED []" in run.stdout
    first = run.stdout.split("\n\n")[1].strip().splitlines()[0]
    assert first.startswith("python -m "), "the docstring's first line is a command that works"


def test_a_wrong_flag_is_a_usage_error():
    run = subprocess.run(
        [sys.executable, "-m", "runtime.image", "--nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2


def test_no_machine_paths_and_no_unfinished_marks():
    """Nothing in the tree depends on where it was written, and nothing says "later"."""
    machine = re.compile(r"(?<![\w.])/(work|root|home|opt|Users)/")
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError")
    written = [
        p for kind in ("*.md", "*.toml", "benchmarks/results/*.json") for p in ROOT.glob(kind)
    ]
    for path in [*sources(), *sorted(written)]:
        text = path.read_text("utf-8")
        assert not machine.search(text), f"{path} names a machine's path"
        assert not marks.search(text), f"{path} is unfinished"


def test_a_stranger_package_is_noticed(tmp_path):
    """Another wheel's `benchmarks` on the path must not silently take the place of ours."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    script = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "from runtime import _siblings\n"
        "_siblings.check('benchmarks')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "not from beside" in run.stderr


@pytest.mark.parametrize("model", sorted((ROOT / "models").glob("*.onnx")), ids=lambda p: p.name)
def test_every_model_has_a_receipt_of_this_very_file(model):
    import hashlib
    import json

    # "adain.style.onnx" is a companion of "adain.onnx" and stands in its receipt.
    receipt = json.loads(model.with_name(f"{model.name.split('.')[0]}.json").read_text("utf-8"))
    assert hashlib.sha256(model.read_bytes()).hexdigest() in json.dumps(receipt)
