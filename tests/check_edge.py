"""python tests/check_edge.py [executorch] [litert] [coreml]

The converters for phones, each tested in an environment of its own, which is made if it is not
there. An environment that cannot be installed is a failure, too: what was not run is not known to
work.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from export import environments  # noqa: E402
from runtime.errors import EngineUnavailable  # noqa: E402

# Export tests take seconds to a minute each; a converter that hangs is ended.
PATIENCE_S = 900


def main(names: list[str]) -> int:
    verdicts, failed = [], []
    with ThreadPoolExecutor(1) as installer:
        # The next environment is made while the tests of the one before run.
        pending = {
            name: installer.submit(install, name) for name in names or environments.CONVERTERS
        }
        for name, future in pending.items():
            try:
                took = future.result()
            except EngineUnavailable as error:
                print(f"-- {name}: {error}", flush=True)
                verdicts.append(f"{name} not installed")
                failed.append(name)
                continue
            print(f"-- {name}: installed, {took:.0f} s", flush=True)
            started = time.monotonic()
            code = run_tests(name)
            seconds = f"{took:.0f} + {time.monotonic() - started:.0f} s"
            verdicts.append(f"{name} {'failed' if code else 'ok'} ({seconds})")
            if code:
                failed.append(name)
    print(f"check-edge: {', '.join(verdicts)}", flush=True)
    return 1 if failed else 0


def install(name: str) -> float:
    """Make the environment; the seconds it took."""
    started = time.monotonic()
    environments.create(name, ("test",))
    return time.monotonic() - started


def run_tests(name: str) -> int:
    """The tests of one environment, in it; the exit code."""
    python = environments.interpreter(name)
    command = [str(python), "-m", "pytest", f"tests/edge/test_{name}.py"]
    try:
        return subprocess.run(command, cwd=ROOT, check=False, timeout=PATIENCE_S).returncode
    except subprocess.TimeoutExpired:
        print(f"-- {name}: not finished after {PATIENCE_S} s", flush=True)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
