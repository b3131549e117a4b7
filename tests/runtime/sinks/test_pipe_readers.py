"""Readers of a pipe that do not read: Ctrl-C ends the run all the same."""

import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.frame import Frame
from runtime.sinks.pipe import PipeSink
from runtime.sources import SourceInfo

SIZE = (64, 512)  # one frame is larger than any pipe

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes are asked by poll")


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb") as writer:
        yield reader, writer


def opened(writer):
    return PipeSink("-", SourceInfo("test", SIZE[1], SIZE[0], Fraction(25)), file=writer)


def test_who_reads_gets_every_byte(pipe):
    reader, writer = pipe
    image = np.random.default_rng(0).integers(256, size=(*SIZE, 3), dtype=np.uint8)
    found = []
    thread = threading.Thread(target=lambda: found.append(reader.read(image.nbytes)))
    thread.start()
    opened(writer).write(Frame(image, Fraction(0), 0))
    thread.join(60)
    assert found == [image.tobytes()]


def test_a_write_that_waits_is_given_up(pipe):
    sink = opened(pipe[1])
    threading.Timer(0.2, sink.give_up).start()
    with pytest.raises(SinkError, match="took 0 frames and then nothing more"):
        sink.write(Frame(np.zeros((*SIZE, 3), np.uint8), Fraction(0), 0))


@pytest.mark.parametrize("interrupts", [1, 2])
def test_interrupted_before_a_reader_that_sleeps(tmp_path, invert_model, interrupts):
    words = [sys.executable, "-m", "runtime.video", "synthetic", "-", "--model", str(invert_model)]
    words += ["--stabilizer", "off", "--quiet"]
    # The other end of its output is kept open here, and never read.
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(4)
    for _ in range(interrupts):
        run.send_signal(signal.SIGINT)
        time.sleep(0.3)
    try:
        code = run.wait(40)
    finally:
        run.kill()
    assert code in (1, 130), run.stderr.read()
    assert b"Traceback" not in run.stderr.read()
    run.stdout.close()
    run.stderr.close()
