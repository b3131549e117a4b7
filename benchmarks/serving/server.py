"""The real server, as nvidia-pytriton carries it, on free ports of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from runtime.errors import StyleError

# Seconds until it must answer, and until it must be gone.
READY_S, GONE_S = 120, 30


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Server:
    """`tritonserver` on 127.0.0.1 with the models named; everything else of it is as shipped."""

    def __init__(self, repository: Path, models: list[str], work: Path, *flags: str) -> None:
        """Say what to start.

        Args:
            repository: as `--target triton` wrote it.
            models: to be loaded.
            work: folder for the server's backends and its log.
            flags: further ones.
        """
        self._repository, self._models, self._flags = repository, models, flags
        self._work = work
        self.log = work / "server.log"
        self.http_port, self.grpc_port, self.metrics_port = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until all models are loaded.

        Raises:
            StyleError: it has ended, or is not ready in time; with the end of its log.
        """
        command = [
            str(_binary()),
            f"--model-repository={self._repository}",
            f"--backend-directory={_backends(self._work)}",
            "--model-control-mode=explicit",
            *(f"--load-model={name}" for name in self._models),
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            f"--http-port={self.http_port}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-port={self.metrics_port}",
            "--exit-timeout-secs=5",
            *self._flags,
        ]
        environment = {
            **os.environ,
            # The Python backend takes the packages of the `python3` that it finds there.
            "PATH": f"{sys.exec_prefix}/bin{os.pathsep}{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(_package().parent.parent / "nvidia_pytriton.libs"),
            "OMP_NUM_THREADS": "1",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        until = time.monotonic() + READY_S
        while not self.ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > until:
                raise StyleError(f"the server ended with {ended}:\n{self.log.read_text()[-6000:]}")
            time.sleep(0.1)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ready(self) -> bool:
        """Whether it says that all models can be used, and counts what is asked of them.

        Triton opens the port of its metrics last: for a moment the health of HTTP is good while
        the metrics are still refused.
        """
        return self._answers(self.http_port, "v2/health/ready") and self._answers(
            self.metrics_port, "metrics"
        )

    @staticmethod
    def _answers(port: int, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def processor_seconds(self) -> float:
        """Processor time of the server and of the processes of its models so far (Linux)."""
        assert self._process is not None
        ticks = sum(_ticks(pid) for pid in (self._process.pid, *_children(self._process.pid)))
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """As the kernel does when memory is short: no word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As `docker stop`."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(GONE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _package() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("pytriton")
    assert spec is not None and spec.submodule_search_locations  # callers have looked
    return Path(spec.submodule_search_locations[0]) / "tritonserver"


def _binary() -> Path:
    return _package() / "bin" / "tritonserver"


def _backends(work: Path) -> Path:
    """The backends with the stub of this Python in its place, as pytriton puts it there."""
    folder = work / "backends"
    if not folder.is_dir():
        shutil.copytree(_package() / "backends", folder)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        stub = _package() / "python_backend_stubs" / version / "triton_python_backend_stub"
        shutil.copy(stub, folder / "python")
    return folder


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in tasks for word in path.read_text().split()]


def _ticks(pid: int) -> int:
    """User and system time, fields 14 and 15 of proc(5); the name before them may hold spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
