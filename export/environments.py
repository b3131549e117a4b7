"""python -m export.environments executorch litert coreml

Makes the virtual environments of what cannot live beside others: .venv-executorch, .venv-litert and
.venv-coreml of converters, next to the packages. `python -m export` finds them there and runs such
exports inside of them. .venv-triton holds the server that the serving tests start. What is complete
is left as it is. IMPASTO_ENVIRONMENTS names another folder.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from runtime.cli import command_main, command_parser, print_text, say
from runtime.errors import DONE, EngineUnavailable

ROOT = Path(__file__).resolve().parent.parent
# Name -> pip extras. The same words are extras of pyproject.toml and environments of targets.
CONVERTERS = ("executorch", "litert", "coreml")
NAMES = (*CONVERTERS, "triton")
# Libraries that an environment has in other versions than constraints.txt: the server's stub was
# built for numpy 1, and OpenCV 4.11 is the last that takes it.
UNPINNED = {"triton": ("numpy", "opencv-python-headless")}
# Written last, so that an installation that was cut off is not taken for a complete one.
READY = ".ready"


def folder(name: str) -> Path:
    """Where an environment is, or would be."""
    return Path(os.environ.get("IMPASTO_ENVIRONMENTS") or ROOT) / f".venv-{name}"


def interpreter(name: str) -> Path | None:
    """Python of a complete environment, None if there is none."""
    if not name or not (folder(name) / READY).is_file():
        return None
    return _python(name)


def create(name: str, extras: tuple[str, ...] = ()) -> bool:
    """Make an environment, unless it is there and as the project's files want it now.

    Args:
        name: one of NAMES.
        extras: further extras ("test").

    Returns:
        whether anything had to be done.

    Raises:
        EngineUnavailable: this is no checkout, or pip cannot install it here.
    """
    listed = ROOT / "pyproject.toml", ROOT / "constraints.txt"
    if not all(path.is_file() for path in listed):
        raise EngineUnavailable(
            f"environments are made in a checkout of the repository: pip install -e '.[{name}]' "
            "into an environment of your own"
        )
    files = hashlib.sha256(b"".join(path.read_bytes() for path in listed)).hexdigest()
    ready = folder(name) / READY
    if ready.is_file():
        made_of, *there = ready.read_text(encoding="utf-8").splitlines() or [""]
        if made_of == files and set(extras) <= set(there):
            return False
    ready.unlink(missing_ok=True)
    _make(name)
    if name in CONVERTERS:
        # First and pinned: an unpinned one may bring gigabytes of CUDA libraries along.
        _pip(name, "torch")
    _pip(name, "-e", f".[{','.join((name, *extras))}]")
    ready.write_text("\n".join([files, *sorted(extras)]), encoding="utf-8")
    return True


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("name", nargs="+", choices=NAMES)
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Make each; prints their folders."""
    for name in args.name:
        say(f"{folder(name)}: installing, which takes minutes", quiet=args.quiet)
        started = time.monotonic()
        done = create(name)
        took = f"{time.monotonic() - started:.0f} s" if done else "was there"
        say(f"{folder(name)}: {took}", quiet=args.quiet)
        print_text(folder(name))
    return DONE


main = command_main(build_parser, run)


def _python(name: str) -> Path:
    windows = folder(name) / "Scripts" / "python.exe"
    return windows if windows.is_file() else folder(name) / "bin" / "python"


def _make(name: str) -> None:
    _run(name, [sys.executable, "-m", "venv", str(folder(name))])


def _pip(name: str, *what: str) -> None:
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install.append("--no-compile")  # Python compiles what is used; most of a converter is not
    _run(name, [str(_python(name)), *install, "-c", str(_constraints(name)), *what])


def _constraints(name: str) -> Path:
    """The project's, without what this environment has in other versions."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    free = UNPINNED.get(name, ())
    path = folder(name) / "constraints.txt"
    kept = [line for line in lines if line.partition("==")[0] not in free]
    path.write_text("\n".join(kept), encoding="utf-8")
    return path


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        reason = " ".join(" ".join(errors).split())[:300]
        raise EngineUnavailable(f'environment "{name}" cannot be installed here: {reason}')


if __name__ == "__main__":
    raise SystemExit(main())
