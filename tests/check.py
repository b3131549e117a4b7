"""python tests/check.py [pytest arguments]

The one check: formatting, lint, types, docs, tests. Runs all of them, then says in one line what
failed.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m"]
# The runtime's ground floor, and its rooms that keep pyright's strict rules (pyproject.toml).
GROUND = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "runtime").glob("*.py"))]
STRICT = ["runtime/model", "runtime/clips", "runtime/live"]


def rest() -> list[str]:
    """What is checked by pyright's basic rules."""
    rooms = sorted(path.parent for path in (ROOT / "runtime").glob("*/__init__.py"))
    named = [str(path.relative_to(ROOT)) for path in rooms]
    return [*(name for name in named if name not in STRICT), "training", "export", "benchmarks"]


def tests(arguments: list[str]) -> dict[str, list[str]]:
    """The test runs: one that was asked for, or one for each package. A process that has loaded
    PyTorch, OpenVINO, ncnn and TensorRT one after the other is nobody's program, and has crashed.
    """
    if arguments:
        return {"your choice": [*PYTHON, "pytest", *arguments]}
    folder = ROOT / "tests"
    # These need environments of their own: tests/check_edge.py, make test-batch and test-serving.
    apart = {folder / "edge", folder / "batch", folder / "serving"}
    packages = sorted({path.parent for path in folder.glob("*/**/test_*.py")} - apart)
    names = dict.fromkeys(path.relative_to(folder).parts[0] for path in packages)
    runs = {name: [*PYTHON, "pytest", f"tests/{name}"] for name in names}
    alone = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("test_*.py"))]
    return {**runs, "the house": [*PYTHON, "pytest", *alone]}


def main(arguments: list[str]) -> int:
    checks = {
        "format": [*PYTHON, "ruff", "format", "--check", "."],
        "lint": [*PYTHON, "ruff", "check", "."],
        # The strict rooms are checked with the types of the libraries they use; the rest without
        # those of optional libraries, which differ from machine to machine.
        "strict types": [*PYTHON, "pyright", "--pythonpath", sys.executable, *GROUND, *STRICT],
        "types": [*PYTHON, "pyright", *rest()],
        "docs": [*PYTHON, "mkdocs", "build", "--strict", "--quiet"],
        **{f"tests of {name}": command for name, command in tests(arguments).items()},
    }
    failed = []
    for name, command in checks.items():
        started = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        print(
            f"-- {name}: {'ok' if code == 0 else f'failed ({code})'}, "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        if code:
            failed.append(name)
    print(f"check: {'failed: ' + ', '.join(failed) if failed else 'all ok'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
