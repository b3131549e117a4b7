"""Hostile inputs end in one line and an exit code, or are painted; nothing else is ever the case,
and none makes a connection.

A fixed selection runs here, `make test-hostile` runs all.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import cases, network, runner

ROOT = Path(__file__).resolve().parents[2]
# Every fourteenth case of each kind, and of those with very many about twenty.
STEP, MOST = 14, 20


def selection(step: int = STEP) -> list[runner.Job]:
    return [
        (kind, number)
        for kind, (count, _) in cases.KINDS.items()
        for number in range(0, count, max(step, count // MOST))
    ]


def test_there_are_enough_cases():
    assert sum(count for count, _ in cases.KINDS.values()) >= 1500
    assert len(selection()) >= 150


def test_connections_would_be_seen():
    """Those of FFmpeg, too, and names that would be looked up."""
    reason = network.refusal()
    if reason:
        pytest.skip(reason)
    script = (
        "from tests.hostile import network\nimport av, socket\nassert not network.isolate()\n"
        "def seen(attempt):\n"
        "    before = network.attempts()\n"
        "    try: attempt()\n"
        "    except (OSError, av.FFmpegError): pass  # refused: what counts is that it was tried\n"
        "    return network.attempts() - before\n"
        "assert seen(lambda: None) == 0\n"
        "assert seen(lambda: av.open('http://127.0.0.1:9/x', timeout=1)) == 1\n"
        "assert seen(lambda: av.open('tcp://192.0.2.1:9', timeout=1)) == 1\n"
        "assert seen(lambda: socket.create_connection(('::1', 9), 1)) == 1\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:\n"
        "    assert seen(lambda: plug.sendto(b'x', ('192.0.2.1', 53))) == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


@pytest.mark.slow
def test_a_library_that_reports_to_its_maker_is_told_not_to():
    """ONNX Runtime asks for its maker's address ten seconds after it has opened a model."""
    reason = network.refusal()
    if reason:
        pytest.skip(reason)
    script = (
        "from tests.hostile import network\nimport time\nassert not network.isolate()\n"
        "from impasto import open_session\n"
        "with open_session('models/monet.onnx'): time.sleep(30)\n"
        "assert network.attempts() == 0\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_every_command_tells_it_so():
    script = "import os, {0}; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    kept = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    for package in ("impasto.runtime", "training", "export", "benchmarks"):
        words = [sys.executable, "-c", script.format(package)]
        subprocess.run(words, cwd=ROOT, env=kept, check=True, timeout=60)


def test_a_selection_of_hostile_inputs():
    pytest.importorskip("torch")
    bad = [
        f"{job}: {outcome}\n{text}"
        for job, outcome, text in runner.run(selection())
        if outcome not in runner.GOOD
    ]
    assert not bad, "\n\n".join(bad)
