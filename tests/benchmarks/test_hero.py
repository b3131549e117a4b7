from fractions import Fraction

import numpy as np
from PIL import Image

from benchmarks.hero import beside, main, thin_out
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo


def frames(times):
    return [Frame(np.zeros((6, 8, 3), np.uint8), Fraction(time), n) for n, time in enumerate(times)]


def test_each_instant_shows_the_frame_that_was_on_screen():
    clip = frames([0, "1/30", "2/30", "3/30", "4/30", "5/30"])
    assert thin_out(clip, Fraction(0), Fraction(1, 5), Fraction(15)) == [0, 2, 4]
    # A source slower than the animation repeats nothing.
    assert thin_out(frames([0, "1/5"]), Fraction(0), Fraction(2, 5), Fraction(15)) == [0, 1]


def test_halves_are_of_one_size_with_a_gap():
    left, right = np.zeros((30, 40, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)
    both = beside(left, right, 20)
    assert both.shape == (15, 44, 3)
    assert (both[:, :20] == 0).all() and (both[:, 20:] == 255).all()


def test_an_animation_comes_out(tmp_path, tiny_model):
    clip, output = tmp_path / "clip.mkv", tmp_path / "hero.webp"
    sink = open_sink(clip, SourceInfo("", 48, 32, Fraction(20)), codec="ffv1")
    for n in range(12):
        sink.write(Frame(np.full((32, 48, 3), 20 * n, np.uint8), Fraction(n, 20), n))
    sink.close()
    words = ["--model", str(tiny_model), "--input", str(clip), "--output", str(output)]
    assert main([*words, "--seconds", "1/2", "--width", "32", "--fps", "10"]) == 0
    with Image.open(output) as picture:
        assert picture.n_frames == 5 and picture.size == (68, 21)
    assert main([*words, "--start", "9", "--overwrite"]) == 2
