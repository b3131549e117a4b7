"""The temporal bench: nulls are refused, files are read and written, the command runs."""

import json
import struct

import cv2
import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper, save

from benchmarks.measuring import results
from benchmarks.temporal import __main__ as temporal
from benchmarks.temporal import gates, scenes, stability
from benchmarks.temporal import slices as strips
from benchmarks.temporal.degenerate import DEGENERATE
from benchmarks.temporal.drift import measure_drift
from benchmarks.temporal.style_gate import try_style_loss
from runtime.errors import GATE_REFUSED, OutputExists, SourceError, UsageError

SIZE = (72, 112)
TILES = np.random.default_rng(5).integers(-80, 81, (16, 4, 4)).astype(np.int16)


def woven(image):
    """Swapped colors and texture glued to a 4-px grid, as strided networks make it."""
    height, width = image.shape[:2]
    cells = cv2.resize(image, (width // 4, height // 4))
    index = cells[..., 1].astype(int) // 7 % 16
    texture = TILES[index].transpose(0, 2, 1, 3).reshape(height, width)
    texture = cv2.GaussianBlur(texture, (0, 0), 0.7)  # no network paints single pixels
    return np.clip(image[..., ::-1] // 2 + 60 + texture[..., None], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def measured():
    """Scenes with their baselines: a pan, and a still camera."""
    made = [
        scenes.synthetic(kind, "chelsea", "rocket", SIZE, num_frames=10)
        for kind in ("pan", "camera", "still")
    ]
    return [(scene, stability.baseline(scene, woven)) for scene in made]


def summary(measured, make):
    rows = []
    for scene, base in measured:
        outputs = make(scene)
        rows.append((scene, stability.measure(scene, outputs, base)))
    return stability.summarize(rows)


@pytest.mark.parametrize("name", list(DEGENERATE))
def test_nulls_are_refused(measured, name):
    def make(scene):
        paint = DEGENERATE[name](woven)
        return [paint(frame) for frame in scene.frames]

    assert gates.refused(gates.verdicts(summary(measured, make)))


def test_nulls_win_where_they_should(measured):
    """The holes are real: without gates these would be the best stabilizers there are."""

    def make(name):
        def outputs(scene):
            paint = DEGENERATE[name](woven)
            return [paint(frame) for frame in scene.frames]

        return outputs

    assert summary(measured, make("constant"))["warp_ratio"] < 1e-9
    assert summary(measured, make("blur"))["warp_ratio"] < 0.5
    assert summary(measured, make("freeze"))["flicker"] == 0


@pytest.mark.parametrize("name", ["live", "best"])
def test_stabilizers_pass(measured, name):
    found = summary(measured, lambda s: stability.run_stabilizer(name, 1.0, s.frames, woven)[0])
    assert gates.refused(gates.verdicts(found, name)) == []
    assert found["warp_ratio"] < 0.2


def test_best_is_judged_on_whole_shots(measured):
    """... and not frame by frame, where it is the live stabilizer."""
    frames, painted = measured[0][0].frames, []

    def paint(image):
        painted.append(image)
        return woven(image)

    outputs, costs = stability.run_stabilizer("best", 1.0, frames, paint)
    assert all(seen is frame for seen, frame in zip(painted, frames, strict=True))
    assert len(costs) == 1 and costs[0] > 0
    live, _ = stability.run_stabilizer("live", 1.0, frames, woven)
    assert any((one != other).any() for one, other in zip(outputs, live, strict=True))


def test_off_is_the_baseline(measured):
    found = summary(measured, lambda s: stability.run_stabilizer("off", 1.0, s.frames, woven)[0])
    assert found["warp_ratio"] == found["warp_long_ratio"] == 1
    assert gates.refused(gates.verdicts(found, "off")) == []


def test_a_gate_that_was_not_measured_has_not_passed():
    verdicts = gates.verdicts({"sharpness": 0.95})
    assert verdicts["sharpness"] is True and verdicts["style"] is None
    assert gates.verdicts({"sharpness": 0.87}, "best")["sharpness"] is True
    assert gates.verdicts({"sharpness": 0.87}, "live")["sharpness"] is False
    assert gates.refused(gates.verdicts({"style_ratio": 1.06})) == ["style"]


def test_style_gate_without_means():
    loss, why = try_style_loss(None, None)
    assert loss is None and "--style" in why


def test_style_gate_sees_lost_style(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from benchmarks.temporal.style_gate import open_style_loss
    from training.backbones._chain import vgg_channels
    from training.backbones.vgg19_low import FILE, SEQUENCE, WIDTHS

    generator, tensors = torch.Generator().manual_seed(0), {}
    for layer, (before, after) in vgg_channels(SEQUENCE, WIDTHS).items():
        scale = (2 / (9 * before)) ** 0.5
        tensors[f"conv{layer[4:]}.weight"] = (
            torch.randn(after, before, 3, 3, generator=generator) * scale
        )
        tensors[f"conv{layer[4:]}.bias"] = torch.zeros(after)
    save_file(tensors, tmp_path / FILE.name)
    style = woven(scenes.synthetic("still", "coffee", "coffee", SIZE, num_frames=1).frames[0])
    loss = open_style_loss(tmp_path, style)
    assert loss([style]) < 1e-6
    assert loss([cv2.GaussianBlur(style, (0, 0), 3)]) > loss([np.roll(style, 8, 1)])


def write_flo(path, flow):
    height, width = flow.shape[:2]
    data = flow.astype("<f4").tobytes()
    path.write_bytes(struct.pack("<fii", scenes.FLO_MAGIC, width, height) + data)


def test_flo_files(tmp_path):
    flow = np.random.default_rng(0).normal(0, 3, (20, 30, 2)).astype(np.float32)
    write_flo(tmp_path / "a.flo", flow)
    assert (scenes.read_flo(tmp_path / "a.flo") == flow).all()
    (tmp_path / "b.flo").write_bytes(b"PIEH" + b"\0" * 4)
    with pytest.raises(SourceError, match=r"not a \.flo"):
        scenes.read_flo(tmp_path / "b.flo")


@pytest.mark.parametrize("layout", ["ours", "chairs", "sintel"])
def test_ground_truth_folders(tmp_path, layout):
    clip = scenes.synthetic("pan", "chelsea", "rocket", (64, 96), num_frames=2, noise=0.0)
    names = {
        "ours": ("frame_0001.png", "frame_0002.png", "flow_0001_to_0002.npz"),
        "chairs": ("00007_img1.ppm", "00007_img2.ppm", "00007_flow.flo"),
        "sintel": ("frame_0001.png", "frame_0002.png", "frame_0001.flo"),
    }[layout]
    for name, frame in zip(names, clip.frames, strict=False):
        cv2.imwrite(str(tmp_path / name), frame[..., ::-1])
    flow = clip.motion(0, 1)[0]
    if layout == "ours":
        np.savez(tmp_path / names[2], flow64=np.int16(flow * 64))
        hidden = np.zeros(flow.shape[:2], np.uint8)
        hidden[:, :10] = 255
        cv2.imwrite(str(tmp_path / "occlusion_0001.png"), hidden)
    else:
        write_flo(tmp_path / names[2], flow)
    (found,) = scenes.ground_truth(tmp_path)
    base = stability.baseline(found, lambda image: image)
    assert base.warp < 1e-5
    assert found.uncovered is not None
    assert found.uncovered(2)[:, :10].all() == (layout == "ours")
    assert not found.uncovered(1).any()
    with pytest.raises(UsageError, match="no flow"):
        scenes.ground_truth(tmp_path / "nowhere")


def test_estimated_motion_finds_a_pan():
    clip = scenes.synthetic("pan", "chelsea", "rocket", (96, 128), num_frames=3, noise=0.0)
    flow, valid = scenes.estimated_motion(clip.frames)(0, 1)
    assert valid.mean() > 0.6
    assert np.abs(flow - [-2, -1])[valid].mean() < 0.2


def test_strips(tmp_path):
    columns = {"input": [np.full((40, 60, 3), t, np.uint8) for t in range(8)], "live": []}
    columns["live"] = columns["input"]
    strip, slices = strips.side_by_side(columns, [0, 7]), strips.time_slices(columns)
    assert strip.shape == (strips.CAPTION + 2 * 40 + strips.GAP, 124, 3)
    assert slices.shape == (strips.CAPTION + 8 * strips.LINE, 2 * 120 + strips.GAP, 3)
    path = strips.write_png(tmp_path / "a" / "s.png", strip)
    assert (cv2.imread(str(path))[..., ::-1] == strip).all()
    with pytest.raises(OutputExists):
        strips.write_png(path, strip)
    assert [p.name for p in path.parent.iterdir()] == ["s.png"]


def test_drift_sees_darkening():
    calm = measure_drift(lambda image: image, "live", 1.0, 0.34, size=(36, 64))
    assert calm["drift"] < 0.5 and calm["offset"] < 0.5
    seen = []

    def fading(image):
        seen.append(1)
        return cv2.convertScaleAbs(image, alpha=1 - 0.0005 * len(seen))

    assert measure_drift(fading, "off", 1.0, 0.34, size=(36, 64))["drift"] > 2


@pytest.fixture
def negative(tmp_path):
    """A model that is not ours: 1 - image, without a card."""
    shape = ["N", 3, "H", "W"]
    graph = helper.make_graph(
        [helper.make_node("Sub", ["one", "image"], ["styled"])],
        "negative",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.float32(1), "one")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    checker.check_model(model)
    save(model, tmp_path / "negative.onnx")
    return tmp_path / "negative.onnx"


def arguments(model, *more):
    common = "--photos chelsea --size 112x72 --frames 8 --clips pan,still --quiet"
    return ["--model", str(model), *common.split(), *more]


def test_command(negative, tmp_path, capsys):
    folder, target = tmp_path / "strips", tmp_path / "t.json"
    more = ["--strips", str(folder), "--json", str(target), "--nulls", "--stabilizers", "off,live"]
    assert temporal.main(arguments(negative, *more)) == 0
    out = capsys.readouterr().out
    assert "negative" in out and "null:constant" in out and "refused" in out
    data = results.read(target)
    assert data["kind"] == "temporal"
    names = {row["labels"]["stabilizer"] for row in data["rows"]}
    assert {"off", "live", "null:freeze", "network"} <= names
    assert len(list(folder.glob("*_strip.png"))) == len(list(folder.glob("*_slice.png"))) == 2
    assert temporal.main(arguments(negative, "--json", str(target))) == 2
    assert "exists" in capsys.readouterr().err


def test_command_json_and_check(negative, capsys, monkeypatch):
    monkeypatch.setattr(gates, "SHARPNESS_DEFAULT", 99.0)
    more = ["--stabilizers", "live", "--check", "--json"]
    assert temporal.main(arguments(negative, *more)) == GATE_REFUSED
    rows = json.loads(capsys.readouterr().out)["rows"]
    mean = next(row for row in rows if row["labels"]["clip"] == "mean")
    assert mean["metrics"]["gate_sharpness"] == 0.0 and mean["metrics"]["gate_style"] is None


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--stabilizers", "lve"], 'Did you mean "live"'),
        (["--clips", "wobble"], "clip"),
        (["--clips", "none"], "nothing to measure"),
    ],
)
def test_command_usage_errors(negative, capsys, more, word):
    assert temporal.main(["--model", str(negative), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and word in error and error.count("\n") == 1


def test_a_model_that_remembers_begins_every_pass_anew():
    """A network folded for its scene must not carry the last clip's fold into the next one."""
    scene = scenes.synthetic("still", "chelsea", "rocket", SIZE, num_frames=3)
    memory: list[float] = []

    def remembering(image):
        if not memory:
            memory.append(float(image.mean()))
        return np.full_like(image, round(memory[0]))

    memory.append(0.0)  # of another clip
    base = stability.baseline(scene, remembering, memory.clear)
    assert base.painted[0].mean() == pytest.approx(scene.frames[0].mean(), abs=1)
    assert base.clean[0].mean() == pytest.approx(scene.clean[0].mean(), abs=1)
