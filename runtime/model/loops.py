"""Graphs that can loop without end: tried in a process of their own, which can be ended.

A run of an engine cannot be interrupted from within, neither by a limit nor by Ctrl-C. Graphs of
convolutions end by themselves; those with loops need not, and are first given a small picture in a
child process. Others start no process and lose no time.
"""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

from ..card import CardFacts
from ..errors import CardMismatch

# The operations that repeat, as files of the formats below name them (ONNX; OpenVINO's
# TensorIterator).
LOOPS = (b"Loop", b"Scan", b"TensorIterator")
FORMATS = (".onnx", ".ort", ".xml")
# Seconds for opening, probing and one small picture; on a slow board opening takes ten.
TIMEOUT_S = 60.0
SIDE = 64
# Set in the child, which tries the model itself.
CHILD = "IMPASTO_TRYING_MODEL"


def may_loop(path: Path) -> bool:
    """Whether a model's file names an operation that repeats."""
    if path.suffix not in FORMATS or not path.is_file():
        return False
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(name) >= 0 for name in LOOPS)
    except (OSError, ValueError):  # empty, or it cannot be mapped
        return False


def check_answers(path: Path, engine: str, facts: CardFacts, timeout: float = TIMEOUT_S) -> None:
    """Return if the model answers to a small picture, or fails, in time.

    Args:
        path: of a model that may loop.
        engine: that will run it.
        facts: what the user said about it.
        timeout: seconds.

    Raises:
        CardMismatch: it does not, or takes the process with it.
    """
    if os.environ.get(CHILD):
        return
    words = [sys.executable, "-m", __name__, str(path.resolve()), engine, json.dumps(facts)]
    # The child finds our packages where we found them, wherever it is started.
    paths = {"PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path)}
    try:
        code = subprocess.run(
            words,
            env={**os.environ, **paths, CHILD: "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        raise CardMismatch(
            f'"{path}" has a loop and gave no answer to a small picture within {timeout:g} s; '
            "--probe-timeout SECONDS waits longer"
        ) from None
    if code < 0:
        raise CardMismatch(f'"{path}" ends the process that runs it (signal {-code})')


def _try(path: str, engine: str, facts: str) -> None:
    """In the child: open the model, which probes one without a card, and paint."""
    import numpy as np

    from .session import open_session

    given = json.loads(facts)
    if "size" in given:
        given["size"] = tuple(given["size"])
    with open_session(path, engine=engine, device="cpu", **given) as session:
        session.stylize(np.full((SIDE, SIDE, 3), 128, np.uint8))


if __name__ == "__main__":
    _try(*sys.argv[1:])
