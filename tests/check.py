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


def main(arguments: list[str]) -> int:
    checks = {
        "format": [*PYTHON, "ruff", "format", "--check", "."],
        "lint": [*PYTHON, "ruff", "check", "."],
        "types": [*PYTHON, "pyright"],
        "docs": [*PYTHON, "mkdocs", "build", "--strict", "--quiet"],
        "tests": [*PYTHON, "pytest", *arguments],
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
