"""The other end of `benchmarks.targets._worker`: one artifact in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from export import foreign_environments, targets
from runtime import plugins
from runtime.errors import StyleError

from ..measuring.environment import HOME
from ..measuring.rounds import Parts


class TargetProcess:
    """Runs an artifact in the environment of its target.

    Attributes:
        engine: name of what runs it.
        error: why nothing does; empty if something does.
    """

    def __init__(self, artifact: Path, target: str, size: tuple[int, int]) -> None:
        python = foreign_environments.find(plugins.load(targets, target)) or Path(sys.executable)
        words = [str(artifact.resolve()), *map(str, size)]
        # No pool of any library may take a second core from the case it is timed against.
        limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.targets._worker", *words],
            cwd=HOME,
            env={**os.environ, **limits},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.engine, self.error = "", ""
        try:
            answer = json.loads(self._ask(""))
        except StyleError as error:
            answer = {"error": str(error)}
        self.engine, self.error = answer.get("engine", ""), answer.get("error", "")

    def call(self) -> Parts:
        """One picture. Raises StyleError if the process has ended."""
        return json.loads(self._ask("\n"))

    def close(self) -> None:
        """End the process; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _ask(self, text: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except OSError:
            pass  # then there is no answer either
        line = self._process.stdout.readline()
        if not line:
            raise StyleError(f"its process ended with code {self._process.wait()}")
        return line
