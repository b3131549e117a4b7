"""Processes that are really killed, at moments that nobody chose."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.media.journal import Journal
from runtime.sources import open_source

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "starry-fast.onnx"
FRAMES, KILLS = 150, 4
# Seconds that a frame takes at least; two seconds of such frames are the limit.
PACE_S = 0.03
LIMIT = round(2 / PACE_S)
# A network that is slow, and writes down every picture that it paints.
SCRIPT = """
import sys, time
from runtime import video
from runtime.model.stylizer import Stylizer

log, pace, *words = sys.argv[1:]
paint = Stylizer.stylize

def slowly(self, image, **options):
    begun = time.perf_counter()
    picture = paint(self, image, **options)
    time.sleep(max(0.0, float(pace) - (time.perf_counter() - begun)))
    with open(log, "ab") as file:
        file.write(b".")
    return picture

Stylizer.stylize = slowly
sys.exit(video.main(words))
"""


def command(log, *words):
    flags = ["--model", str(MODEL), "--device", "cpu", "--preset", "ultrafast", "-q"]
    return [sys.executable, "-c", SCRIPT, str(log), str(PACE_S), *flags, *map(str, words)]


def painted(log):
    return log.stat().st_size if log.exists() else 0


def hashes(path):
    with open_source(path) as source:
        return [(f.time, hashlib.md5(f.image.tobytes()).hexdigest()) for f in source]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
@pytest.mark.parametrize("stabilizer", ["off", "live", "best"])
def test_two_seconds_are_painted_twice_at_most(make_clip, tmp_path, stabilizer):
    if not MODEL.is_file():
        pytest.skip(f"needs {MODEL.name}")
    clip = make_clip("in.mp4", frames=FRAMES, size=(96, 64))
    whole, output, log = tmp_path / "whole.mp4", tmp_path / "out.mp4", tmp_path / "log"
    words = [clip, "--stabilizer", stabilizer]
    subprocess.run(command(tmp_path / "other", *words, "-o", whole), cwd=ROOT, check=True)
    moments = random.Random(stabilizer)
    for _ in range(KILLS):
        before = painted(log)
        running = subprocess.Popen(command(log, *words, "-o", output, "--resume"), cwd=ROOT)
        # Some frames after the network has begun.
        goal = before + moments.randint(10, FRAMES // KILLS)
        while painted(log) < goal and running.poll() is None:
            time.sleep(0.002)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert Journal.is_unfinished(output)
    subprocess.run(command(log, *words, "-o", output, "--resume"), cwd=ROOT, check=True)
    twice = painted(log) - FRAMES
    print(f"{stabilizer}: {twice} frames painted twice, {KILLS} kills")
    assert 0 <= twice <= KILLS * LIMIT
    assert hashes(output) == hashes(whole)
    assert not Journal.folder_for(output).exists()
