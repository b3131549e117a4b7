from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engines import TensorInfo
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import CardMismatch
from runtime.model import folding_engine
from runtime.model.folding import KEY, FoldedLayer, Folding
from runtime.model.folding_engine import (
    CUT,
    DELAY,
    DRIFT,
    SHORT_REST,
    FoldingEngine,
    signature,
    smaller,
)
from runtime.model.session import open_session
from runtime.onnxfile import without_metadata


def layer(**changes):
    values = {
        "name": "conv",
        "input_scale": 0.02,
        "weight_scale": np.array([0.01, 0.03], np.float32),
        "gamma": np.array([2.0, 0.5], np.float32),
        "beta": np.array([0.25, -1.0], np.float32),
        "epsilon": 1e-5,
    }
    return FoldedLayer(**{**values, **changes})


def test_fold_by_hand():
    found = layer(epsilon=0.0).fold(np.array([3.0, -1.0]), np.array([4.0, 0.25]))
    # gains 2 / 2 = 1 and 0.5 / 0.5 = 1; shifts 0.25 - 3 and -1 + 1
    assert found["conv.weight_scale"] == pytest.approx([0.01, 0.03])
    assert found["conv.bias_scale"] == pytest.approx([0.0002, 0.0006])
    assert found["conv.bias"].tolist() == [round(-2.75 / 0.0002), 0]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-50, 50), st.floats(0, 1e4), st.floats(0, 8), st.floats(-8, 8), st.integers(-500, 500)
)
def test_folded_integers_equal_instance_normalization(mean, variance, gamma, beta, accumulator):
    """What the integer convolution computes for a channel is the normalization's result."""
    one = layer(
        weight_scale=np.array([0.01], np.float32),
        gamma=np.array([gamma], np.float32),
        beta=np.array([beta], np.float32),
    )
    found = one.fold(np.array([mean]), np.array([variance]))
    assert abs(int(found["conv.bias"][0])) <= 2**30
    bare = accumulator * 0.02 * 0.01
    gain = gamma / np.sqrt(variance + 1e-5)
    expected = gain * (bare - mean) + beta
    folded = (accumulator + int(found["conv.bias"][0])) * float(found["conv.bias_scale"][0])
    assert folded == pytest.approx(expected, rel=1e-4, abs=2e-4 * (1 + gain))


def test_damaged_figures_are_refused():
    assert Folding.from_metadata({}) is None
    good = Folding((layer(),), b"graph").to_metadata()
    for damaged in ("{}", "[", '{"format": 1, "layers": [{"name": "x"}]}'):
        with pytest.raises(CardMismatch):
            Folding.from_metadata({**good, KEY: damaged})
    with pytest.raises(CardMismatch, match="format 9"):
        Folding.from_metadata({**good, KEY: '{"format": 9, "layers": []}'})


class Base:
    """An engine that answers with the first folded bias, and counts its life."""

    open = 0

    def __init__(self, values=None):
        self.inputs = (TensorInfo("image", (1, "h", "w", 3), "uint8"),)
        self.outputs = (TensorInfo("styled", (1, "h", "w", 3), "uint8"),)
        self.metadata, self.device, self.note = {}, "cpu", ""
        self.values = values
        Base.open += 1

    def run(self, feeds, outputs=None):
        return {"styled": self.values["conv.bias"] * self.values["conv.bias_scale"]}

    def close(self):
        Base.open -= 1


class Measuring:
    """Mean and variance of the red channel, as if one convolution had looked at it."""

    def run(self, feeds, outputs=None):
        red = feeds["image"][..., 0] / 255
        return {
            "mean": np.array([[red.mean()] * 2]),
            "variance": np.array([[red.var()] * 2]),
        }

    def close(self):
        pass


@pytest.fixture
def engine():
    Base.open = 0
    made = FoldingEngine(Base(), Folding((layer(),), b""), Base, Measuring())
    yield made
    made.close()
    made.close()  # twice is fine
    assert Base.open == 0


def scene(seed=0, size=(64, 96), lift=0.0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.4 + lift, 0.15, (1, *size, 3)) * 255, 0, 255).astype(np.uint8)


def goal(picture):
    red = picture[..., 0] / 255
    gain = layer().gamma / np.sqrt(red.var() + 1e-5)
    return layer().beta - gain * red.mean()


def test_the_first_picture_is_folded_exactly(engine):
    picture = scene()
    assert engine.run({"image": picture})["styled"] == pytest.approx(goal(picture), abs=1e-2)
    assert (engine.folds, engine.measurements) == (1, 1)


def test_a_still_scene_is_folded_once(engine):
    for _ in range(20):
        engine.run({"image": scene()})
    assert (engine.folds, engine.measurements) == (1, 1)


def test_reset_size_and_cut_begin_a_scene(engine):
    engine.run({"image": scene()})
    engine.reset()
    engine.run({"image": scene()})
    assert engine.folds == 2
    engine.run({"image": scene(size=(32, 96), lift=0.1)})
    assert engine.folds == 3
    cut = scene(size=(32, 96), lift=0.5)
    assert engine.run({"image": cut})["styled"] == pytest.approx(goal(cut), abs=1e-2)
    assert engine.folds == 4


def test_texture_alone_makes_no_cut(engine):
    """Grain that comes and goes with half a pixel of motion: measured now and then."""
    slope = np.linspace(20, 230, 96)[None, None, :, None] * np.ones((1, 64, 1, 3))
    grain = np.random.default_rng(4).normal(0, 6, slope.shape)
    rough, plain = (np.clip(slope + k * grain, 0, 255).astype(np.uint8) for k in (1, 0))
    assert folding_engine._change(signature(rough), signature(plain)) > CUT
    for k in range(40):
        engine.run({"image": (rough, plain)[k % 2]})
        assert engine.begins_scene == (k == 0)
    # The first picture, the second one, and what the rests leave of the others.
    assert 2 <= engine.measurements <= 2 + 38 // (DELAY + SHORT_REST)


def test_the_same_scene_at_another_size_is_measured_beside_the_frames(engine):
    large = scene(size=(1024, 1280))
    engine.run({"image": large})
    small = np.ascontiguousarray(large[:, ::2, ::2])
    engine.run({"image": small})
    assert engine.folds == 1
    for _ in range(40):
        engine.run({"image": small})
    assert engine.measurements == 3  # the scene, then the new size: whole and as a smaller copy
    assert engine._goal[0][0] == pytest.approx(small[..., 0].mean() / 255, abs=2e-3)


def test_a_drifting_scene_is_followed_in_small_steps(engine):
    pictures = [scene(lift=0.1 * min(t, 20) / 20) for t in range(70)]
    shown = [engine.run({"image": p})["styled"][0] for p in pictures]
    first, last = goal(pictures[0])[0], goal(pictures[-1])[0]
    assert abs(shown[-1] - last) < 0.1 * abs(last - first)
    steps = np.abs(np.diff(shown))
    assert steps.max() < 0.25 * abs(last - first)


def test_the_result_does_not_depend_on_the_machine(engine, monkeypatch):
    import time

    pictures = [scene(lift=0.1 * t / 20) for t in range(20)]
    fast = [engine.run({"image": p})["styled"].copy() for p in pictures]
    engine.reset()
    measure = Measuring.run
    monkeypatch.setattr(
        Measuring, "run", lambda self, feeds: (time.sleep(0.02), measure(self, feeds))[1]
    )
    slow = [engine.run({"image": p})["styled"] for p in pictures]
    assert np.array_equal(fast, slow)


def test_the_caller_may_reuse_its_frame(engine):
    frame = scene()
    engine.run({"image": frame})
    frame[:] = scene(lift=0.05)
    wanted = goal(frame)
    engine.run({"image": frame})
    frame[:] = scene()  # overwritten while the measurement may still run
    for _ in range(DELAY):
        engine.run({"image": frame})
    assert np.abs(engine._goal[0] - np.mean(scene(lift=0.05)[..., 0] / 255)).max() < 1e-6
    assert wanted is not None


def test_an_error_while_measuring_reaches_the_caller(engine, monkeypatch):
    engine.run({"image": scene()})

    def fail(self, feeds):
        raise RuntimeError("broken")

    monkeypatch.setattr(Measuring, "run", fail)
    with pytest.raises(RuntimeError, match="broken"):
        for _ in range(DELAY + 2):
            engine.run({"image": scene(lift=0.05)})


def test_signature_ignores_noise_and_sees_light_and_texture():
    change = folding_engine._change
    before = signature(scene(1, (240, 320)))
    noise = np.random.default_rng(3).normal(0, 3, (1, 240, 320, 3))
    noisy = np.clip(scene(1, (240, 320)) + noise, 0, 255).astype(np.uint8)
    assert change(before, signature(noisy)) < DRIFT
    assert change(before, signature(scene(1, (240, 320), lift=0.03))) > DRIFT
    flat = np.full((1, 240, 320, 3), 100, np.uint8)
    assert change(before, signature(flat)) > CUT
    assert np.isfinite(signature(np.zeros((1, 1, 1, 3), np.uint8))).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *(((1, 1), (1, 1)), ((399, 2000), (399, 2000)), ((476, 636), (320, 416))),
        *(((720, 1280), (320, 560)), ((1080, 1920), (432, 768))),
    ],
)
def test_smaller_copies_are_not_so_small_that_strokes_cover_them(size, expected):
    picture = np.zeros((1, *size, 3), np.uint8)
    copy = smaller(picture)
    assert copy.shape[1:3] == expected
    assert (copy is picture) == (size == expected)


def test_without_its_metadata_a_model_paints_the_same():
    data = (Path(__file__).parents[3] / "models" / "starry-fast.onnx").read_bytes()
    lean = without_metadata(data)
    assert len(lean) < len(data)
    picture = np.random.default_rng(3).integers(0, 256, (1, 32, 48, 3), np.uint8)
    full, bare = (OnnxRuntimeEngine.open(model, "cpu", 1) for model in (data, lean))
    assert KEY in full.metadata and not bare.metadata
    name = full.inputs[0].name
    for before, after in zip(
        full.run({name: picture}).values(), bare.run({name: picture}).values(), strict=True
    ):
        assert (before == after).all()
    with pytest.raises(CardMismatch):
        without_metadata(b"no model")


def test_the_signature_is_mean_deviation_and_mean_step():
    picture = np.random.default_rng(2).integers(0, 256, (1, 50, 61, 3), np.uint8)
    points = picture[0, ::8, ::8].reshape(-1, 3).astype(float)
    steps = np.abs(picture[0, ::8, 1::8].astype(float) - picture[0, ::8, ::8][:, :8])
    expected = np.concatenate([points.mean(0), points.std(0), [steps.mean()]]) / 255
    assert np.allclose(folding_engine.signature(picture), expected, atol=1e-6)
    assert folding_engine.signature(picture[:, :, :1])[6] == 0  # no neighbors in one column


@pytest.mark.parametrize("hurried", [False, True])
def test_in_a_hurry_the_first_frame_is_measured_small_and_corrected_later(engine, hurried):
    sizes = []
    measure = engine._measuring.run

    def noticed(feeds, outputs=None):
        sizes.append(feeds["image"].shape[1:3])
        return measure(feeds, outputs)

    engine._measuring.run = noticed
    if hurried:
        engine.hurry()
    picture = scene(size=(640, 960))
    small = smaller(picture).shape[1:3]
    shown = [engine.run({"image": picture})["styled"] for _ in range(60)]
    assert sizes == ([small, small, (640, 960)] if hurried else [(640, 960)])
    # A fold within 0.02 of its goal (mean in deviations, deviation as a logarithm) has arrived.
    assert shown[-1] == pytest.approx(goal(picture), rel=0.05)


def test_the_optimized_graph_paints_what_the_file_paints():
    """Folds open the graph that ONNX Runtime optimized once: to the byte what they would open."""
    model = Path(__file__).resolve().parents[3] / "models" / "starry-fast.onnx"
    picture = scene(3, (96, 128))
    with open_session(model, threads=1) as session:
        painted = session.stylize(picture[0])
        metadata = session._engine.metadata
        statistics = session._engine._current
    folding = Folding.from_metadata(metadata)
    assert folding is not None
    values = folding.initializers(np.stack([statistics[0], np.exp(statistics[1])]))
    # Files normalize by themselves where no runtime of ours measures for them; a fold does not.
    graph = folding.with_vectors(model.read_bytes())
    plain = OnnxRuntimeEngine.open(graph, "cpu", 1, values)
    feeds = {plain.inputs[0].name: picture}
    assert np.array_equal(plain.run(feeds)[plain.outputs[0].name][0], painted)
    kept = OnnxRuntimeEngine.open(graph, "cpu", 1, keep=True)
    assert kept.optimized is not None
    again = OnnxRuntimeEngine.open(kept.optimized, "cpu", 1, values, optimized=True)
    assert np.array_equal(again.run(feeds)[plain.outputs[0].name][0], painted)
    assert plain.optimized is None
