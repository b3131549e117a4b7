"""Runs hostile cases in a process that may hang or crash, and says what became of each.

line          an error of one line and an exit code of ours: as it should be
done          it was painted, or read, all the same: as good
fault         an unexpected error, that only the last resort turned into a line
traceback     an exception that nobody caught, or the output of one
silent        a failure without a word
control       control characters of the input reached the terminal
lost          a file of the user's was changed or removed
left behind   a temporary file stayed
connection    something tried to reach an address
hang          no answer in time
crash         the process died
"""

import contextlib
import hashlib
import io
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from . import cases, network, seeds

GOOD = ("line", "done")
# Seconds that a case may take; on a busy machine a start of an engine takes one.
LIMIT_S = 40.0
BLAS = "OPENBLAS_NUM_THREADS"
Job = tuple[str, int]


def run(jobs: Iterable[Job]) -> Iterator[tuple[Job, str, str]]:
    """(case, what became of it, what it said) of each case, in order."""
    worker: _Worker | None = None
    for job in jobs:
        worker = worker or _Worker()
        outcome, text = worker.ask(job)
        yield job, outcome, text
        if outcome in ("hang", "crash"):
            worker.stop()
            worker = None
    if worker is not None:
        worker.stop()


class _Worker:
    """A process that runs one case after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._mine, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        # A user's namespace is for processes of one thread: numpy would start others.
        kept = os.environ.get(BLAS)
        os.environ[BLAS] = "1"
        self._process.start()
        os.environ.pop(BLAS) if kept is None else os.environ.update({BLAS: kept})
        theirs.close()
        if not self._mine.poll(10 * LIMIT_S):
            raise RuntimeError("the worker does not start")
        self._mine.recv()

    def ask(self, job: Job) -> tuple[str, str]:
        self._mine.send(job)
        try:
            if not self._mine.poll(LIMIT_S):
                return "hang", ""
            return self._mine.recv()
        except (EOFError, OSError):
            self._process.join(5)
            return "crash", f"exit code {self._process.exitcode}"

    def stop(self) -> None:
        self._mine.close()
        self._process.join(0.5)
        self._process.kill()
        self._process.join(5)


def _work(pipe: Connection) -> None:
    reason = network.isolate()
    # The last resort is what a user meets: tests elsewhere turn it off.
    os.environ.pop("IMPASTO_DEBUG", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    # Who writes past a full pipe, or to nobody, must not take the worker along.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    root = Path(tempfile.mkdtemp(prefix="hostile-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(root)  # reports of unexpected errors go there
    (root / "seeds").mkdir()
    good = seeds.make(root / "seeds")
    entries = _entries()
    pipe.send("ready")
    try:
        while True:
            kind, number = pipe.recv()
            folder = root / "case"
            folder.mkdir()
            before = 0 if reason else network.attempts()
            try:
                outcome, text = _one(kind, number, folder, good, entries)
                if not reason and network.attempts() != before:
                    outcome = "connection"
                pipe.send((outcome, text))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except (EOFError, OSError):
        shutil.rmtree(root, ignore_errors=True)


def _entries():
    from benchmarks.vote import __main__ as vote
    from export import import_weights
    from runtime import image, video, webcam
    from training import train
    from training.sample import __main__ as sample

    return {
        "vote": vote.main,
        "sample": sample.main,
        "import": import_weights.main,
        "image": image.main,
        "video": video.main,
        "webcam": webcam.main,
        "train": train.main,
        "checkpoint": _load,
    }


def _load(words: list[str]) -> int:
    """What every command does with a checkpoint first."""
    from runtime.cli import run_command
    from training.checkpoint import load_checkpoint
    from training.config import recipe_from_dict

    def load() -> int:
        checkpoint = load_checkpoint(words[0])
        checkpoint.build_generator()
        recipe_from_dict(checkpoint.recipe)
        return 0

    return run_command(load)


def _one(kind: str, number: int, folder: Path, good: seeds.Seeds, entries) -> tuple[str, str]:
    import json

    (folder / "photo.png").write_bytes(good.pictures["png"])
    (folder / "model.onnx").write_bytes(seeds.model(json.dumps(good.card), good.model))
    command, words = cases.make(kind, number, folder, good)
    before = _files(folder)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.chdir(folder), _standard_input(), _captured(out, err):
            code = entries[command](words)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        return "traceback", f"{words}\n{traceback.format_exc()}"
    text = err.getvalue()
    outcome = _judge(code, text, folder, before, words)
    return outcome, f"{command} {words} -> {code}\n{text[-3000:]}"


def _judge(code: object, text: str, folder: Path, before: dict[str, str], words: list[str]) -> str:
    if "Traceback (most recent" in text:
        return "traceback"
    if "a fault of ours" in text:
        return "fault"
    if any(ord(char) < 32 and char not in "\n\r\t" for char in text):
        return "control"
    after = _files(folder)
    for name, digest in before.items():
        asked = "--overwrite" in words or ".parts" in name
        if after.get(name) != digest and not asked:
            return "lost"
    if any(".impasto-" in name and ".parts" not in name for name in after):
        return "left behind"
    if code in (0, None):
        return "done"
    said = any("error: " in line for line in text.splitlines())
    return "line" if code in (1, 2, 3, 4) and said else "silent"


def _files(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                name = str(path.relative_to(folder))
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@contextlib.contextmanager
def _standard_input() -> Iterator[None]:
    """Nothing to read."""
    kept = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@contextlib.contextmanager
def _captured(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    """Python's own streams; what libraries write to the descriptors goes nowhere."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    sink = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(sink, number)
    os.close(sink)
    try:
        with contextlib.redirect_stdout(_Text(out)), contextlib.redirect_stderr(_Text(err)):
            yield
    finally:
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)


class _Text(io.TextIOBase):
    """A stream for text that has a place for bytes as well, which is thrown away."""

    def __init__(self, inner: io.StringIO) -> None:
        self._inner = inner
        self.buffer = io.BytesIO()

    def write(self, text: str) -> int:
        return self._inner.write(text)

    def fileno(self) -> int:
        raise io.UnsupportedOperation("no descriptor")
