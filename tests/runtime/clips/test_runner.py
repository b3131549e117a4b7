"""Several clips at once: every one is painted as if it were alone, whatever its model remembers."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from runtime import video
from runtime.card import ModelCard, Port
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.clips.runner import paint_clips
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.model.zoo import read_card
from runtime.sources import open_source

MODELS = Path(__file__).resolve().parents[3] / "models"
CLIPS = 8
FRAMES = 14  # more than a folded model needs to follow a scene's drift once


@pytest.fixture
def recurrent_model(tmp_path, build_model):
    """The picture, brightened by the mean of all pictures before it."""

    def value(name, channels):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H", "W"])

    state = ("N", 1, "H", "W")
    return build_model(
        tmp_path / "recurrent.onnx",
        [
            helper.make_node("ReduceMean", ["image"], ["gray"], axes=[1], keepdims=1),
            helper.make_node("Add", ["memory", "gray"], ["sum"]),
            helper.make_node("Mul", ["sum", "half"], ["memory_out"]),
            helper.make_node("Mul", ["memory", "half"], ["light"]),
            helper.make_node("Add", ["image", "light"], ["styled"]),
        ],
        [value("image", 3), value("memory", 1)],
        [value("styled", 3), value("memory_out", 1)],
        {"half": np.array(0.5, np.float32)},
        card=ModelCard(
            "recurrent",
            "test",
            inputs=(Port("image"), Port("memory", "state", state)),
            outputs=(Port("styled"), Port("memory_out", "state", state)),
        ),
    )


@pytest.fixture
def clips(make_clip, tmp_path):
    """Clips of different scenes, whose light changes as they run."""
    (tmp_path / "clips").mkdir()
    for number in range(CLIPS):
        rng = np.random.default_rng(number)
        scene = rng.integers(0, 200, (48, 64, 3)).astype(np.float64)
        make_clip(
            f"clips/{number}.mp4",
            frames=FRAMES,
            picture=lambda index, scene=scene: (scene * (0.4 + 0.06 * index)).astype(np.uint8),
        )
    return tmp_path / "clips"


def frames_of(folder):
    found = {}
    for path in sorted(folder.iterdir()):
        with open_source(path) as source:
            found[path.name] = np.stack([frame.image for frame in source])
    return found


@pytest.mark.parametrize("kind", ["folded", "recurrent", "code"])
def test_any_number_of_jobs_paints_the_same(kind, clips, tmp_path, request):
    if kind == "folded":
        model = [MODELS / "starry-fast.onnx"]
    elif kind == "recurrent":
        model = [request.getfixturevalue("recurrent_model")]
    else:
        model = [MODELS / "many.onnx"]
        names = read_card(model[0]).port("code").names
        model += ["--style", f"{names[0]}:0.3", "--style", f"{names[1]}:0.7"]
    results = []
    for jobs in (1, 4):
        output = tmp_path / f"jobs{jobs}"
        code = video.main(
            [str(part) for part in ("--model", *model, "--device", "cpu", "--stabilizer", "off")]
            + ["--input", str(clips), "--output", str(output), "--jobs", str(jobs), "--quiet"]
        )
        assert code == 0
        results.append(frames_of(output))
    alone, together = results
    assert alone.keys() == together.keys()
    for name, expected in alone.items():
        assert len(expected) == FRAMES
        np.testing.assert_array_equal(together[name], expected, name)


def test_outcomes_keep_the_order_of_the_jobs(identity_model, make_clip, tmp_path):
    """From Python, without a command; the first clip is the longest."""
    jobs = [
        Job(str(make_clip(f"{frames}.mp4", frames=frames)), str(tmp_path / f"out{frames}.mp4"))
        for frames in (30, 3, 2)
    ]
    options = StylizeOptions([(str(identity_model), 1.0)], device="cpu")
    with open_stylizer(options) as one, open_stylizer(options) as two:
        result = paint_clips(jobs, [one, two], ClipOptions())
    assert [outcome.facts["frames_out"] for outcome in result.outcomes] == [30, 3, 2]
    assert (result.exit_code, result.failures) == (0, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, invert_model):
    """Until somebody does, whoever stops the run (by one Ctrl-C, or by SIGTERM) is heard."""
    pipe, stop = tmp_path / "clip.mkv", threading.Event()
    os.mkfifo(pipe)
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    with (
        open_stylizer(StylizeOptions([(str(invert_model), 1.0)])) as stylizer,
        pytest.raises(KeyboardInterrupt),
    ):
        job = Job(str(pipe), str(tmp_path / "out.mp4"))
        paint_clip(job, stylizer, ClipOptions(), Meter(), stop=stop)
    assert sorted(os.listdir(tmp_path)) == ["clip.mkv", "invert.onnx"]
    os.close(os.open(pipe, os.O_WRONLY))  # let the thread go
