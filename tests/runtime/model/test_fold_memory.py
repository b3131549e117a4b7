"""Memory of models that are folded for each scene, in a process of its own: what pytest and other
tests left behind would blur it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Four open sessions of a style, as a live run keeps them, meet scenes of three sizes in turns; the
# first one has met them all before.
CODE = """
import json
import numpy as np
import cv2  # loaded with a first picture, and stays
from runtime.live.gauges import resident_mb
from runtime.model.session import open_session

scenes = [np.random.default_rng(k).integers(0, 255, (s, 2 * s, 3), np.uint8)
          for k, s in enumerate((96, 160, 240))]

def visit(session):
    for scene in scenes:
        session.reset()
        session.stylize(scene)
        session.stylize(scene // 4)  # darker, so another scene: measured and folded again

before = resident_mb()
sessions = [open_session("models/starry.onnx", threads=1) for _ in range(4)]
visit(sessions[0])
first = resident_mb()
folds = sum(s._engine.folds for s in sessions)
for _ in range(4):
    for session in sessions[1:]:
        visit(session)
last = resident_mb()
folds = sum(s._engine.folds for s in sessions) - folds
for session in sessions:
    session.close()
print(json.dumps({"first": first - before, "grown": last - first, "folds": folds,
                  "kept": resident_mb() - before}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory is read from /proc")
def test_many_folds_of_many_sessions_take_the_memory_of_one():
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)
    assert seen["folds"] == 72  # 4 times 3 sessions, 3 sizes, 2 scenes
    # 1 to 4 MB here; 113 MB when every session had memory of its own. The first one takes 62.
    assert seen["grown"] < 20
    # The imported libraries stay, 46 MB, and the graphs of four sessions.
    assert seen["kept"] < seen["first"] - 5
