"""House rules that a reader cannot see: who imports whom, and what the runtime may not need."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ["runtime", "training", "export", "benchmarks"]
HEAVY = [
    *("torch", "torchvision", "onnx", "onnxscript", "skimage"),
    *("tensorrt", "openvino", "ncnn", "pnnx", "ray", "pyarrow"),
]


def sources():
    return [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def module_name(path: Path) -> str:
    """`runtime.model.session` of runtime/model/session.py, a package's own name of its __init__."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sources()}


# Every module that a person can run.
COMMANDS = sorted(
    name.removesuffix(".__main__")
    for name, path in MODULES.items()
    if path.read_text("utf-8").endswith("    raise SystemExit(main())\n")
)
LEAN = [c for c in COMMANDS if c.startswith("runtime")] + [
    "benchmarks.latency",
    "benchmarks.end_to_end",
    "benchmarks.temporal",
]


def imported(path: Path, *, lazy: bool = True) -> set[str]:
    """Full names of what a file imports; modules of ours by their dotted names.

    Args:
        path: a file of ours.
        lazy: whether imports inside functions count.
    """
    tree = ast.parse(path.read_text("utf-8"))
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    nodes = list(ast.walk(tree) if lazy else tree.body)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
            found |= {name if name in MODULES else ".".join(base) for name in names}
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_to_the_left_only(path):
    parts = path.relative_to(ROOT).parts
    tops = {name.split(".")[0] for name in imported(path)}
    floor = FLOORS.index(parts[0])
    above = tops & set(FLOORS[floor + 1 :])
    assert not above, f"{path.name} imports {above} from a floor above"
    written = path.read_text("utf-8")
    assert not re.search(rf"^\s*(from|import) {parts[0]}\b", written, re.MULTILINE), (
        "inside a package imports are relative"
    )
    if floor == 0:
        assert "torch" not in tops


# The rooms of the runtime, lowest first: a room may import its own modules and those of rooms in
# lines above it here. What stands directly in runtime/ is the ground floor (the first line), the
# command line (the third) or a command (the last). docs/architecture.md says what each is for.
ROOMS = [
    {"frame", "errors", "plugins", "console", "meter", "keys", "card", "fields"}
    | {"onnxfile", "checksum", "inputs", "outputs", "state"}
    | {"invocation", "missing", "provenance"},
    {"engines"},
    {"cli"},
    {"media", "pictures", "stabilizers"},
    {"model", "sources", "input_noise"},
    {"regions"},
    {"sinks", "stills"},
    {"clips"},
    {"live"},
    {"image", "video", "webcam", "models", "checks", "serve_site"},
    {"demo", "doctor", "batch"},
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
MOST_MODULES = 24  # of one folder, so that its listing is still read at a glance


def room_of(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize(
    "name",
    [n for n in MODULES if n.startswith("runtime.")],
    ids=lambda n: n.removeprefix("runtime."),
)
def test_rooms_of_the_runtime_import_downwards(name):
    room = room_of(name)
    assert room in FLOOR, f"{room} is in no line of ROOMS: add it where it belongs"
    for other in imported(MODULES[name]):
        if other.startswith("runtime.") and room_of(other) != room:
            assert FLOOR[room_of(other)] < FLOOR[room] or (
                FLOOR[room] == 0 == FLOOR[room_of(other)]
            ), f"{name} imports {other}, which is not on a floor below"


def test_no_import_circles():
    """Following the imports at the top of files never leads back to where one started."""
    edges = {
        name: {other for other in imported(path, lazy=False) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    # Importing a submodule runs its package first, which is no import of ours to follow.
    for name, others in edges.items():
        edges[name] = {other for other in others if not name.startswith(other + ".")}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join((*trail, name))}"
        if name in state:
            return
        state[name] = 1
        for other in sorted(edges[name]):
            visit(other, (*trail, name))
        state[name] = 2

    for name in sorted(edges):
        visit(name, ())


def test_no_folder_is_too_full_to_read():
    folders: dict[Path, int] = {}
    for path in sources():
        folders[path.parent] = folders.get(path.parent, 0) + 1
    full = {str(f.relative_to(ROOT)): n for f, n in folders.items() if n > MOST_MODULES}
    assert not full, f"more than {MOST_MODULES} modules: {full}"


def test_the_wheel_has_every_file_of_the_runtime():
    """What pyproject.toml lists by hand is all there is (tests/check_install.py installs it)."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    packages = {name for name in setuptools["packages"] if name.startswith("impasto.runtime")}
    files = [p for p in (ROOT / "runtime").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    found = {
        ".".join(("impasto", *p.relative_to(ROOT).parent.parts)) for p in files if p.suffix == ".py"
    }
    assert found == packages, "add to or take from packages in pyproject.toml"
    packed = {
        path
        for name, patterns in setuptools["package-data"].items()
        if name in packages
        for pattern in patterns
        for path in ROOT.joinpath(*name.split(".")[1:]).glob(pattern)
    }
    left_out = {str(p.relative_to(ROOT)) for p in files if p.suffix != ".py"} - {
        str(p.relative_to(ROOT)) for p in packed
    }
    assert not left_out, "add to package-data in pyproject.toml"


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


@pytest.mark.parametrize("model", sorted((ROOT / "models").glob("*.onnx")), ids=lambda p: p.name)
def test_every_model_has_a_receipt_of_this_very_file(model):
    import hashlib
    import json

    # "adain.style.onnx" is a companion of "adain.onnx" and stands in its report.
    report = json.loads(model.with_name(f"{model.name.split('.')[0]}.json").read_text("utf-8"))
    assert hashlib.sha256(model.read_bytes()).hexdigest() in json.dumps(report)
