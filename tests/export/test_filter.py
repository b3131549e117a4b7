"""A filter from its teacher to the int8 file and its report, and a clip from its keyframes."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from export.train import main
from export.verify.teacher_evaluator import refuse_further
from runtime.card import ModelCard
from runtime.errors import ParityError
from runtime.frame import Frame
from runtime.model.zoo import read_card
from runtime.sinks import open_sink
from runtime.sources import SourceInfo, open_source

NETWORK = "network={name='lean', width=16, blocks=0, normalization='none', padding='replicate'}"
SMALL = [
    "data.crop=32",
    "batch=1",
    "delivery.finetune=2",
    "objective.content=0.0",
    "options.discriminator={width=8, layers=1}",
]


def words(recipe, output, weights, *more):
    found = ["--recipe", recipe, "--quiet", "--threads", 1, "--device", "cpu", "--steps", 2]
    found += ["--output", output, "--weights", weights, *more]
    for setting in (NETWORK, *SMALL):
        found += ["--set", setting]
    return [str(word) for word in found]


def test_a_filter_ends_in_an_int8_file_that_was_judged(tmp_path, photo_folder, random_weights):
    given = ["--teacher", "training.pairs.effects:grade", "--content", photo_folder]
    given += ["--set", "data.short_side=96"]
    assert main(words("filter", tmp_path / "run", random_weights, *given)) == 0
    report = json.loads((tmp_path / "run" / "filter.json").read_text())
    assert report["precision"] == "int8" and report["verdict"] == "passed"
    judged = report["judged"]
    assert judged["pairs"] == 1
    assert 5 < judged["source"]["psnr_db"] < 40  # two steps: next to flat gray
    assert judged["psnr_lost_db"] <= judged["most_lost_db"] == 0.5
    card = read_card(tmp_path / "run" / "filter.onnx")
    assert isinstance(card, ModelCard) and card.precision == "int8"
    # Again: the teacher has been asked, both trainings are at their end.
    again = words("filter", tmp_path / "run", random_weights, *given, "--resume")
    again[again.index("--recipe") : again.index("--recipe") + 2] = []
    assert main(again) == 0


def test_keyframes_end_in_a_painted_clip(tmp_path, photo, random_weights):
    clip = tmp_path / "cat.mkv"
    sink = open_sink(clip, SourceInfo("cat", 96, 64, Fraction(10)))
    for number in range(4):
        frame = np.ascontiguousarray(photo[100:164, 60 + 4 * number : 156 + 4 * number])
        sink.write(Frame(frame, Fraction(number, 10), number))
    sink.close()
    key = tmp_path / "key_001.png"
    Image.fromarray(np.ascontiguousarray(photo[100:164, 64:160, ::-1])).save(key)
    given = ["--clip", clip, "--keys", key]
    assert main(words("keyframes", tmp_path / "run", random_weights, *given)) == 0
    with open_source(tmp_path / "run" / "cat-keyframes.mp4") as source:
        frames = [frame.image for frame in source]
    assert len(frames) == 4 and frames[0].shape == (64, 96, 3)
    assert json.loads((tmp_path / "run" / "keyframes.json").read_text())["judged"]["pairs"] == 1


def test_a_file_that_lost_too_much_is_refused():
    report = {"psnr_lost_db": 0.6, "most_lost_db": 0.5, "error_added": 2e-4, "most_added": 1.2e-4}
    with pytest.raises(ParityError, match=r"x.onnx is further from its teacher .* 0.60 dB"):
        refuse_further(report, "x.onnx")
    # Less in decibels, or of an error that rounding alone has: 48 dB become 43.
    refuse_further({**report, "psnr_lost_db": -0.2}, "x.onnx")
    added = 10**-4.3 - 10**-4.8
    refuse_further({**report, "psnr_lost_db": 5.0, "error_added": added}, "x.onnx")
