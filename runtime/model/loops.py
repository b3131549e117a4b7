"""Graphs that open or answer late or never, or take the memory of the machine.

A run of an engine cannot be interrupted from within, neither by a limit nor by Ctrl-C. Those with
loops need not end by themselves, and what a graph works out before the first picture can take
hours and all memory: such models are first given a small picture in a process of their own, which
can be ended. Graphs of convolutions do end, if late: others are opened, and probed if they have no
card, in a thread, which is not waited for when it is overdue. They start no process.
"""

import json
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..card import CardFacts
from ..engines import Engine
from ..errors import CardMismatch
from ..onnxfile import OnnxFile
from . import formats, store, zoo
from .background import TooMuchMemory, kept

if TYPE_CHECKING:
    import numpy as np

Found = TypeVar("Found")
# The operations that repeat, as files of the formats below name them (ONNX; OpenVINO's
# TensorIterator).
LOOPS = (b"Loop", b"Scan", b"TensorIterator")
FORMATS = (".onnx", ".ort", ".xml")
# Operations whose answer is no larger than what they are given, but for its type, and quick.
CHEAP = frozenset(
    [
        "Cast",
        "Constant",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Shape",
        "Size",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)
# With graphs inside.
BRANCHES = ("If", "SequenceMap")
# Bytes that cheap operations may go through: some seconds.
MOST_WORK = 1 << 34
# Seconds for opening, and for the answer to a small picture; on a slow board opening takes ten.
TIMEOUT_S = 60.0
SIDE = 64
# Exit code of the child where the memory did not suffice.
FULL = 75
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


def works_out(path: Path) -> bool:
    """Whether an ONNX file leaves more to be worked out before the first picture than other types
    and orders of its own numbers: a few bytes can ask for hours of it, and for any memory. Those
    that come with Impasto do not."""
    if path.suffix != ".onnx" or path.resolve().parent == store.BUNDLED or not path.is_file():
        return False
    try:
        data = path.read_bytes()
        graph = OnnxFile.parse(data)
        known = set(graph.initializers)
    except (OSError, CardMismatch):
        return False  # the engine says what is wrong with it
    if graph.has_hidden_parts or b"sparse_value" in data:
        return True
    steps = 0
    for node in graph.nodes:
        if node.op in BRANCHES:
            return True
        if known.issuperset(name for name in node.inputs if name):
            if node.op not in CHEAP:
                return True
            known.update(node.outputs)
            steps += 1
    return steps * len(data) > MOST_WORK


def check_answers(path: Path, engine: str, facts: CardFacts, timeout: float = TIMEOUT_S) -> None:
    """Return if the model answers to a small picture, or fails, in time.

    Args:
        path: of a model that may loop, or works much out.
        engine: that will run it.
        facts: what the user said about it.
        timeout: seconds.

    Raises:
        CardMismatch: it does not, or takes the process with it.
    """
    if os.environ.get(CHILD):
        return
    import subprocess  # 2 ms of a start that starts none

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
            f'"{path}" gave no answer to a small picture within {timeout:g} s; '
            "--probe-timeout SECONDS waits longer"
        ) from None
    if code == FULL:
        raise CardMismatch(f'"{path}" takes more memory than there is for a small picture')
    if code < 0:
        raise CardMismatch(f'"{path}" ends the process that runs it (signal {-code})')


def opened(
    work: Callable[[], Engine],
    path: Path,
    engine: str,
    device: str = "cpu",
    timeout: float = TIMEOUT_S,
    facts: CardFacts | None = None,
) -> Engine:
    """An engine that `work` opens, within the limits.

    Args:
        work: opens it.
        path: of the model.
        engine, device: on which. For a GPU engines compile, good models for minutes, too: those
            with a card have all the time they want.
        timeout: seconds for it; and for a small picture, if it is tried in another process first.
        facts: what the user said about the model.

    Raises:
        CardMismatch: it does not stay within the limits, or is no model.
    """
    if path.resolve().parent == store.BUNDLED:
        return work()  # what comes with Impasto opens: no thread, whose memory stays when it ends
    if may_loop(path) or works_out(path):
        check_answers(path, engine, facts or {}, timeout)
    gpu = device not in ("auto", "cpu")
    if engine == formats.DEFAULT:
        from ..engines.onnxruntime import lists_gpu

        gpu = lists_gpu() and device != "cpu"  # and the library is loaded before the clock begins
    return kept(work, path, float("inf") if gpu and zoo.read_card(path) is not None else timeout)


class _Counted:
    """An engine that counts its answers."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.metadata, self.device, self.note = engine.metadata, engine.device, engine.note
        self.answers = 0
        self._engine = engine

    def run(
        self, feeds: "dict[str, np.ndarray]", outputs: Sequence[str] | None = None
    ) -> "dict[str, np.ndarray]":
        """As the engine's; a refusal is an answer, too."""
        try:
            return self._engine.run(feeds, outputs)
        finally:
            self.answers += 1

    def close(self) -> None:
        """As the engine's."""
        self._engine.close()


def in_time(
    probe: Callable[[Engine], Found], engine: Engine, path: Path, timeout: float = TIMEOUT_S
) -> Found:
    """What comes of probing, as long as the model goes on answering.

    Args:
        probe: runs small pictures; in a thread of its own.
        engine: the open model.
        path: its file, for messages.
        timeout: seconds in which one picture at least must be answered.

    Raises:
        CardMismatch: none was, or the memory did not suffice. The thread goes on with the picture
            it has until the process ends.
    """
    counted = _Counted(engine)
    return kept(
        lambda: probe(counted),
        path,
        timeout,
        what="gave no answer to a small picture",
        progress=lambda: counted.answers,
    )


def _try(path: str, engine: str, facts: str) -> None:
    """In the child: open the model, which probes one without a card, and paint."""
    import numpy as np

    from .session import open_session

    given = json.loads(facts)
    if "size" in given:
        given["size"] = tuple(given["size"])
    # The parent keeps the time.
    with open_session(
        path, engine=engine, device="cpu", probe_timeout=float("inf"), **given
    ) as session:
        picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
        kept(lambda: session.stylize(picture), Path(path), float("inf"))


if __name__ == "__main__":
    try:
        _try(*sys.argv[1:])
    except TooMuchMemory:
        os._exit(FULL)  # the thread with the picture goes on
