"""Exports by converters that live in environments of their own: the same command, run in there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import plugins
from runtime.card import JsonObject
from runtime.errors import (
    GATE_REFUSED,
    UNAVAILABLE,
    USAGE,
    EngineUnavailable,
    ParityError,
    StyleError,
    UsageError,
)

from . import environments
from .targets import Target

if TYPE_CHECKING:
    from .artifact import Request

# Exit code of the command in there -> the error it stands for.
ERRORS = {USAGE: UsageError, UNAVAILABLE: EngineUnavailable, GATE_REFUSED: ParityError}
ERROR = "error: "


def find(target: type[Target]) -> Path | None:
    """Python of the environment that makes this target, None if it is made here or nowhere."""
    if not target.environment or all(plugins.installed(name) for name in target.modules):
        return None
    return environments.interpreter(target.environment)


def missing(target: type[Target]) -> str:
    """As `Target.available`, but empty, too, if its environment is there."""
    return "" if find(target) else target.available()


def export(request: Request, python: Path, tell: Callable[[str], None]) -> JsonObject:
    """Make one artifact in an environment.

    Args:
        request: `export.artifact.Request`; whether `path` may be written has been decided.
        python: the interpreter of the environment.
        tell: called with each line that the command says.

    Returns:
        the report.

    Raises:
        StyleError: what the command said, of the class that its exit code stands for.
    """
    tell(f"{request.target}: in {python.parent.parent.name}")
    paths = [str(environments.ROOT), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [str(python), "-m", "export", *words(request)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert process.stdout is not None and process.stderr is not None
    last = ""
    with process:
        try:
            # One line of JSON waits in the pipe of stdout meanwhile, which holds far more.
            for line in process.stderr:
                last = line.strip() or last
                if not last.startswith(ERROR):
                    tell(last)
            answer = process.stdout.read()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        reason = last.removeprefix(ERROR) or f"ended with code {process.returncode}"
        if process.returncode < 0:
            reason = f"the converter crashed (signal {-process.returncode}); last: {reason}"
        raise ERRORS.get(process.returncode, StyleError)(reason)
    return json.loads(answer)


def words(request: Request) -> list[str]:
    """The request as the command's flags."""
    found = ["--json", "--overwrite", "--target", request.target, "--precision", request.precision]
    found += ["--name", request.name, "--opset", str(request.opset)]
    found += ["--checkpoint", str(request.checkpoint), "--output", str(request.path)]
    for flag, value in (
        ("--size", request.size and "{}x{}".format(*request.size)),
        ("--photos", request.photos),
        ("--calibration", request.calibration),
        ("--sheet", request.sheet),
    ):
        found += [flag, str(value)] if value else []
    for setting in request.settings:
        found += ["--set", setting]
    for key, value in request.extra.items():
        found += ["--option", f"{key}={value}"]
    found += ["--measure"] if request.measure else []
    found += ["--evaluate"] if request.evaluate else []
    return found
