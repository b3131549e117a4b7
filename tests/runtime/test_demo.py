"""The demo on a small clip, and the camera move over its photographs."""

from fractions import Fraction

import numpy as np

from runtime import demo
from runtime.errors import DONE
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo, open_source


def test_a_camera_move_begins_and_ends_where_it_is_told():
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    move = ((0.25, 0.5, 2.0), (0.75, 0.5, 2.0))
    first, *_, last = demo.camera_move(ramp, (50, 50), move, 5)
    # Zoom 2 shows 50x50 of the 200x100 pixels: centered at column 50, then at column 150.
    assert first.shape == (50, 50, 3)
    assert abs(float(first.mean()) - 50) < 1.5 and abs(float(last.mean()) - 150) < 1.5


def test_the_photographs_are_there():
    assert {path.stem for path in demo.PHOTOGRAPHS.iterdir()} == set(demo.SHOTS)


def test_the_demo_writes_both_clips_and_says_what_to_try(
    invert_model, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    info = SourceInfo("made", 64, 48, Fraction(25), 8)
    sink = open_sink(tmp_path / "clip.mp4", info, overwrite=True)
    for index in range(8):
        sink.write(Frame(np.full((48, 64, 3), 40, np.uint8), Fraction(index, 25), index))
    sink.close()
    words = ["--model", str(invert_model), "--input", "clip.mp4", "--stabilizer", "off"]
    assert demo.main(words) == DONE
    said = capfd.readouterr().err
    assert "\\n" not in said and "\npainted " in said and "\ntry next " in said
    for wanted in ("frames/s: the network alone", "runtime.webcam --model invert", "no stabilizer"):
        assert wanted in said
    with open_source(f"demo/clip-{invert_model.stem}-beside.mp4") as beside:
        frames = list(beside)
    assert len(frames) == 8 and frames[0].image.shape == (48, 128, 3)
    left, right = np.split(frames[4].image.astype(int), 2, axis=1)
    assert abs(left.mean() - 40) < 3 and abs(right.mean() - 215) < 3
