"""python tests/check_serving.py [pytest arguments]

The Triton server on what `--target triton` writes, in an environment of its own, which is made if
it is not there. Not installed is failed: what was not run is not known to work.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from export import environments  # noqa: E402
from runtime.errors import EngineUnavailable  # noqa: E402

NAME = "triton"
# The tests take about a minute; a server that hangs is ended.
PATIENCE_S = 900


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    try:
        environments.create(NAME, ("test",))
    except EngineUnavailable as error:
        print(f"-- {NAME}: {error}", flush=True)
        return 1
    made = time.monotonic() - started
    print(f"-- {NAME}: installed, {made:.0f} s", flush=True)
    python = environments.interpreter(NAME)
    command = [str(python), "-m", "pytest", *(arguments or ["tests/serving"])]
    try:
        code = subprocess.run(command, cwd=ROOT, check=False, timeout=PATIENCE_S).returncode
    except subprocess.TimeoutExpired:
        print(f"-- {NAME}: not finished after {PATIENCE_S} s", flush=True)
        code = 1
    took = time.monotonic() - started - made
    print(f"check-serving: {'failed' if code else 'ok'} ({made:.0f} + {took:.0f} s)", flush=True)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
