"""python -m runtime.webcam end to end, without camera and display."""

import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from waiting import wait_for

from runtime import webcam
from runtime.errors import DONE, INTERRUPTED, UNAVAILABLE, USAGE
from runtime.live.report import summary
from runtime.sinks.window import window_toolkit

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(invert_model, capsys, monkeypatch, tmp_path):
    """Runs the command headless with `--json`; gives the object, or the exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def go(*flags, code=DONE, model=invert_model):
        argv = ["--model", str(model), "--headless", "--json", "--threads", "1", *flags]
        found = webcam.main(argv)
        out, err = capsys.readouterr()
        assert found == code, err
        return json.loads(out) if code == DONE else err

    return go


def write_clip(path, count=12, rate=25, size=(64, 48)):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(count):
            picture = np.full((size[1], size[0], 3), 10 * index, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_json_fields_on_the_synthetic_source(run, invert_model):
    found = run("--source", "synthetic:64x48@60", "--frames", "20")
    assert found["frames_out"] == 20
    assert found["frames_in"] >= 20
    assert (found["width"], found["height"]) == (64, 48)
    assert found["engine"] == "onnxruntime"
    assert found["device"] == "cpu"
    assert found["model"] == invert_model.name
    assert len(found["model_sha256"]) == 64
    for stage in ("decode", "style", "stabilize", "show"):
        assert {"p50", "p95"} <= set(found["stages_ms"][stage])
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert found["target_fps"] == 60
    in_flight = found["frames_in"] - found["frames_out"] - found["dropped"] - found["not_carried"]
    assert 0 <= in_flight <= 4


def test_a_clip_is_looped_or_ends(run, tmp_path):
    clip = write_clip(tmp_path / "clip.mkv")
    found = run("--source", str(clip), "--frames", "20")
    assert found["frames_out"] == 20
    assert found["target_fps"] == 25
    found = run("--source", str(clip), "--once")
    assert found["frames_in"] == 12
    assert found["frames_out"] <= 12


def test_a_folder_and_a_single_picture(run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((20, 30, 3), 80 * index, np.uint8))
    assert run("--source", str(folder), "--frames", "5")["frames_out"] == 5
    found = run("--source", str(folder / "0.png"), "--frames", "4")
    assert (found["width"], found["height"]) == (30, 20)


def test_keys_do_what_they_say(run, tmp_path, identity_model, invert_model):
    """Split view is on in the second snapshot only; the third comes from the other style."""
    found = run(
        "--source",
        "synthetic:64x48@100",
        "--stabilizer",
        "off",
        "--freeze",
        "--target-fps",
        "off",
        "--keys",
        "5:c 8:v 12:c 15:v 18:m 22:c 24:m 60:c 64:quit",
        "--snapshots",
        "shots",
    )
    assert found["frames_out"] == 64
    plain, split, mirrored, later = (cv2.imread(path) for path in found["snapshots"])
    inverted = 255 - plain.astype(int)
    assert np.abs(split[:, :30] - inverted[:, :30]).max() <= 1  # the camera's half
    assert np.array_equal(split[:, 34:], plain[:, 34:])
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert np.array_equal(later, plain)


def test_styles_are_switched_by_number_and_strength_by_steps(run, identity_model, invert_model):
    found = run(
        "--model",
        str(identity_model),
        "--source",
        "synthetic:64x48@100",
        "--stabilizer",
        "off",
        "--keys",
        "1:style-2 2:- 3:- 150:c 151:q",
        model=invert_model,
    )
    assert found["model"] == identity_model.name
    assert found["frames_out"] == 151


def test_a_neighbor_in_the_folder_is_the_next_style(run, identity_model, invert_model):
    found = run("--source", "synthetic:64x48@100", "--frames", "150", "--keys", "1:n")
    assert found["model"] == identity_model.name


def test_recording_has_the_true_times_and_can_be_played(run, tmp_path):
    found = run("--source", "synthetic:64x48@50", "--frames", "40", "--record", "take.mp4")
    assert found["recorded"] == ["take.mp4"]
    assert found["recorded_frames"] + found["record_dropped"] == 40
    assert found["stages_ms"]["encode"]["count"] == found["recorded_frames"]
    with av.open("take.mp4") as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert len(times) == found["recorded_frames"]
    assert times[0] == 0
    steps = np.diff(times)
    assert (steps > 0).all()
    # Every step is a whole number of the source's 20 ms, not an invented constant rate.
    assert np.abs(steps / 0.02 - np.rint(steps / 0.02)).max() < 0.01
    assert "exists" in run("--source", "synthetic", "--record", "take.mp4", code=USAGE)


def test_the_record_key_starts_and_stops(run):
    found = run("--source", "synthetic:64x48@50", "--keys", "5:r 15:r 20:r", "--frames", "30")
    names = ["impasto-recording.mp4", "impasto-recording-2.mp4"]
    assert found["recorded"] == names
    assert all(Path(name).stat().st_size > 0 for name in names)


def test_the_last_line_counts_pictures():
    result = {"frames_out": 9, "fps": 30.0, "latency_ms": {}, "dropped": 0, "held": True}
    assert summary({**result, "snapshots": ["a.png"]}).endswith("; picture a.png")
    several = summary({**result, "snapshots": ["a.png", "b.png"]})
    assert several.endswith("; 2 pictures, the last b.png")


def test_what_keys_keep_goes_to_one_folder(run):
    """Recordings went to the working directory, wherever pictures were to go."""
    keys = ["--keys", "5:r 8:c 15:r", "--frames", "20", "--snapshots", "kept"]
    found = run("--source", "synthetic:64x48@50", *keys)
    assert found["recorded"] == [str(Path("kept/impasto-recording.mp4"))]
    assert sorted(path.suffix for path in Path("kept").iterdir()) == [".mp4", ".png"]
    keys[1] = "5:r 15:r"  # before there is a picture, and so a folder
    found = run("--source", "synthetic:64x48@50", *keys[:-1], "new")
    assert [Path(path).parts for path in found["recorded"]] == [("new", "impasto-recording.mp4")]


def test_several_outputs_at_once(run, tmp_path, monkeypatch):
    sent = []
    module = types.ModuleType("pyvirtualcam")

    class Camera:
        device = "fake"

        def __init__(self, width, height, fps, device=None):
            assert (width, height) == (64, 48)

        def send(self, picture):
            sent.append(picture.copy())

        def close(self):
            sent.append(None)

    module.Camera = Camera
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    found = run(
        *("--source", "synthetic:64x48@60", "--frames", "15", "--virtual-camera"),
        *("--output", "frames/%06d.png", "--record", "a.mkv", "--serve", "0"),
    )
    assert sent[-1] is None
    outputs = {entry["output"]: entry for entry in found["outputs"]}
    assert outputs["virtualcam"]["written"] == len(sent) - 1 >= 1
    assert outputs["frames/%06d.png"]["written"] == len(list(Path("frames").glob("*.png")))
    assert Path("a.mkv").exists()


def test_raw_frames_on_standard_output(invert_model):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "runtime.webcam",
            "--model",
            str(invert_model),
            "--headless",
            "--source",
            "synthetic:32x24@30",
            "--frames",
            "6",
            "--output",
            "-",
            "--threads",
            "1",
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == DONE, done.stderr
    assert done.stdout
    assert len(done.stdout) % (32 * 24 * 3) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_recordings_are_playable(invert_model, tmp_path, number):
    """Ctrl-C and a polite kill: exit 130, the file is whole."""
    take = tmp_path / "take.mp4"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "runtime.webcam",
            "--model",
            str(invert_model),
            "--headless",
            "--source",
            "synthetic:64x48@30",
            "--record",
            str(take),
            "--keys",
            "12:c",
            "--snapshots",
            str(tmp_path),
            "--threads",
            "1",
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: process.poll() is not None or list(tmp_path.glob("*.png")), 60)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    assert "Traceback" not in err
    with av.open(str(take)) as container:
        assert len(list(container.decode(video=0))) >= 5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--source", "nothing.mp4"], 'no input "nothing.mp4"'),
        (["--source", "synthetic", "--output", "-"], "both want standard output"),
        (["--source", "synthetic", "--keys", "5:dance"], 'no key or action "dance"'),
        (["--source", "synthetic", "--working-size", "32x24", "--target-fps", "30"], "use one"),
        (["--source", "synthetic", "--serve", "here"], "HOST:PORT"),
        (["--source", "synthetic", "--output", "x.docx"], "no sink writes"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(run, flags, words):
    err = run(*flags, code=USAGE)
    assert words in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1


def test_a_device_that_is_not_there_is_no_silent_cpu(run):
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    err = run("--source", "synthetic:64x48", "--device", "cuda", code=UNAVAILABLE)
    assert "--device cuda" in err
    assert "--device cpu" in err


def test_sizes_keep_the_shape(run):
    found = run("--source", "synthetic:64x48@60", "--frames", "3", "--size", "32x32")
    assert (found["width"], found["height"]) == (32, 24)
    found = run("--source", "synthetic:64x48@60", "--frames", "3", "--size", "640x480")
    assert found["working_size"] == [64, 48]
    assert (found["width"], found["height"]) == (640, 480)
    found = run("--source", "synthetic:64x48@60", "--frames", "3", "--working-size", "16x100")
    assert found["working_size"] == [16, 12]
    assert (found["width"], found["height"]) == (64, 48)


def test_a_missing_camera_says_what_else_there_is(run):
    if sys.platform.startswith("linux") and list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    err = run("--source", "camera:7", code=USAGE)
    assert "camera 7 cannot be opened" in err
    assert "runtime.doctor" in err


def test_a_clip_that_is_no_clip_ends_with_one_line(run, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    assert "cannot be read as a video" in run("--source", str(bad), code=USAGE)


def test_where_no_window_can_open_the_browser_shows_the_picture(invert_model, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if window_toolkit() != "NONE" and not sys.platform.startswith("linux"):
        pytest.skip("this machine can open windows")
    flags = ["--model", str(invert_model), "--source", "synthetic:64x48", "--frames", "3"]
    assert webcam.main(flags) == DONE
    err = capsys.readouterr().err
    wanted = "this OpenCV has no windows" if window_toolkit() == "NONE" else "no display"
    assert wanted in err and "the browser shows the picture instead" in err
    assert re.search(r"open http://127\.0\.0\.1:[1-9]\d*\S* in a browser", err)


def test_a_display_that_does_not_answer_is_found_out_before_qt_ends_the_process(monkeypatch):
    from runtime.sinks import window

    if not sys.platform.startswith("linux"):
        pytest.skip("X11 sockets")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, answer in ((":4711", False), ("", False), ("far:0", True), ("nonsense", False)):
        monkeypatch.setenv("DISPLAY", name)
        assert window._display() is answer
    assert os.environ["DISPLAY"] == "nonsense"


@pytest.fixture
def painted_zoo(put, tmp_path):
    """Two styles, the first in three grades and a twin; all copy their picture."""
    for stem, facts in {
        "starry": {"precision": "int8"},
        "starry-fp32": {},
        "starry-fast": {"precision": "int8"},
        "starry-quality": {"precision": "int8"},
        "wave": {},
        "wave-fast": {},
    }.items():
        put(stem, {"title": stem.partition("-")[0]}, **facts)
    return tmp_path


def test_a_style_name_lets_the_controller_choose_the_file(run, painted_zoo):
    found = run("--source", "synthetic:64x48@100", "--seconds", "3", model="starry")
    assert found["style"] == "starry"
    names = [entry["model"] for entry in found["variants"]]
    assert names == ["starry-quality.onnx", "starry-fp32.onnx", "starry.onnx", "starry-fast.onnx"]
    assert all(entry["relative_ms"] > 0 for entry in found["variants"])
    assert found["model"] in names
    assert found["threads"] == 1


def test_a_file_name_means_that_file(run, painted_zoo):
    found = run("--source", "synthetic:64x48@60", "--frames", "40", model="starry-fast.onnx")
    assert (found["model"], found["grade"]) == ("starry-fast.onnx", "fast")
    assert "variants" not in found


def test_it_begins_with_the_usual_grade_in_the_precision_of_the_device(run, painted_zoo):
    found = run("--source", "synthetic:64x48@60", "--frames", "5", model="starry")
    assert (found["model"], found["grade"], found["precision"]) == (
        "starry.onnx", "default", "int8",
    )  # fmt: skip


def test_the_style_keys_move_between_styles_not_variants(run, painted_zoo):
    flags = ("--source", "synthetic:64x48@100", "--frames", "150", "--target-fps", "off")
    # The folder also holds the style of `invert_model`, before "wave" in the alphabet.
    for keys, style in (("1:n", "invert"), ("1:p", "wave"), ("1:n 2:n 3:n", "starry")):
        assert run(*flags, "--keys", keys, model="starry")["style"] == style
    assert run(*flags, "--keys", "1:p", model="starry-fast.onnx")["style"] == "wave"
