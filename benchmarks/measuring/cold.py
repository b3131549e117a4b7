"""Fresh processes: how long until the first styled frame, and how much memory it takes.

The disk cache is warm (the file was read moments before), the process is cold: what a user waits
for after typing a command, not what a machine needs after booting.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import StyleError

from .environment import HOME
from .statistics import median

# Nothing is imported before the clock is read, not even our own package.
CODE = (
    "import time; booted = time.monotonic_ns(); "
    "from benchmarks.measuring._first_frame import main; main(booted)"
)
# What every start needs whatever our code does: the yardstick.
IMPORTS = "import numpy, cv2, onnxruntime, time; print(time.monotonic_ns())"
LIVE = "from benchmarks.measuring._first_live import main; main()"
# Stages of a start, in order; they add up to the whole.
STAGES = ("python", "imports", "open", "frame")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one process.

    Attributes:
        stages_ms: milliseconds of each of `STAGES`.
        peak_memory_mib: largest resident set over all frames.
        model_memory_mib: of this, what came after the imports: the model and its work space.
    """

    stages_ms: dict[str, float]
    peak_memory_mib: float | None
    model_memory_mib: float | None

    @property
    def total_ms(self) -> float:
        """From asking the system for a process to the first styled frame."""
        return sum(self.stages_ms.values())


def start(
    model: Path,
    width: int,
    height: int,
    *,
    engine: str = "onnxruntime",
    device: str = "cpu",
    threads: int | None = 1,
    frames: int = 3,
    values: str = "",
    home: Path = HOME,
) -> Start:
    """Start a process, style `frames` frames in it and take its times.

    Args:
        model: the file.
        width: of the frames.
        height: of the frames.
        engine: as in `open_session`.
        device: likewise.
        threads: likewise.
        frames: how many; the first one is timed.
        values: range of a model without a card ("0..1").
        home: checkout whose code runs.

    Raises:
        StyleError: the process failed; its last words are in the message.
    """
    numbers = [str(width), str(height), engine, device, str(threads or 0), str(frames)]
    begun, said = _run(home, CODE, str(Path(model).resolve()), *numbers, values)
    marks = [begun, *(said[key] for key in ("booted", "imported", "opened", "styled"))]
    stages = {
        name: (after - before) / 1e6
        for name, before, after in zip(STAGES, marks, marks[1:], strict=False)
    }
    peak, empty = said["peak_memory_mib"], said["memory_before_mib"]
    return Start(stages, peak, None if peak is None else round(peak - empty, 1))


def imports_alone_ms() -> float:
    """From asking for a process until it has imported numpy, OpenCV and ONNX Runtime, no more."""
    begun, imported = _run(HOME, IMPORTS)
    return (imported - begun) / 1e6


def live_start_ms(
    model: Path, width: int, height: int, *, engine: str = "auto", home: Path = HOME
) -> float:
    """From asking for `runtime.webcam` (synthetic camera, no window) to its first shown frame, by
    the code of the checkout `home`.

    Raises:
        StyleError: the process failed; its last words are in the message.
    """
    flags = ["--model", str(Path(model).resolve()), "--source", f"synthetic:{width}x{height}"]
    flags += ["--engine", engine, "--headless", "--frames", "1", "-q"]
    begun, shown = _run(home, LIVE, *flags)
    return (shown - begun) / 1e6


def _run(home: Path, code: str, *words: str) -> tuple[int, Any]:
    """When a fresh Python was asked for (monotonic nanoseconds), and the JSON it printed.

    Compiled modules are kept, as they are for every user from the second start on: with them
    switched off, each start would compile our sources again.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begun = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StyleError(f"a fresh process could not style a frame ({' '.join(words)}): {last}")
    return begun, json.loads(done.stdout)


def metrics(starts: list[Start]) -> dict[str, float | None]:
    """Medians over several starts, named for a result row."""
    peaks = [s.peak_memory_mib for s in starts if s.peak_memory_mib is not None]
    models = [s.model_memory_mib for s in starts if s.model_memory_mib is not None]
    return {
        "cold_start_ms": round(median([s.total_ms for s in starts]), 1),
        **{
            f"cold_{name}_ms": round(median([s.stages_ms[name] for s in starts]), 1)
            for name in STAGES
        },
        "peak_memory_mib": median(peaks) if peaks else None,
        "model_memory_mib": median(models) if models else None,
    }
