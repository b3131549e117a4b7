"""The session: any size in and out, conditions, states, overrides, errors in one line."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runtime import open_session
from runtime.card import ModelCard, Port
from runtime.errors import CardMismatch, EngineUnavailable, ModelNotFound, UsageError
from runtime.model import arrays

SHAPE = ["N", 3, "H", "W"]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def value(name: str, shape=SHAPE, kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def card(name: str, inputs, outputs, **facts) -> ModelCard:
    return ModelCard(name, "test", tuple(inputs), tuple(outputs), **facts)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_any_size_comes_back_unchanged(identity_model, height, width):
    image = noise(height, width)
    with open_session(identity_model) as session:
        assert np.array_equal(session.stylize(image), image)
        as_float = arrays.image_to_float(image)
        assert np.allclose(session.stylize_float(as_float), as_float, atol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colors", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("float32", 0.0, 1.0),
        ("float32", -1.0, 1.0),
        ("float32", 0.0, 255.0),
        ("float16", 0.0, 1.0),
        ("uint8", 0.0, 255.0),
    ],
)
def test_tensor_round_trip(layout, colors, dtype, low, high):
    shape = ("N", 3, "H", "W") if layout == "NCHW" else ("N", "H", "W", 3)
    port = Port("x", shape=shape, dtype=dtype, layout=layout, colors=colors, low=low, high=high)
    image = noise(9, 14)
    tensor = arrays.to_tensor(image, port)
    assert tensor.shape == arrays.tensor_shape(port, 9, 14) and str(tensor.dtype) == dtype
    first = tensor[0] if layout == "NHWC" else tensor[0].transpose(1, 2, 0)
    red = first[:, :, 0 if colors == "RGB" else 2].astype(np.float64)
    expected = image[:, :, 0] / 255.0 * (high - low) + low
    assert np.allclose(red, expected, atol=2e-3 * (high - low) / 2)
    assert np.array_equal(arrays.to_image(tensor, port), image)
    as_float = arrays.image_to_float(image)
    floats = arrays.float_to_tensor(as_float, port)
    assert np.allclose(floats.astype(np.float64), tensor.astype(np.float64), atol=2e-3 * high)
    assert np.allclose(arrays.tensor_to_float(floats, port), as_float, atol=1e-3)


def test_values_outside_are_clipped_not_wrapped():
    port = Port("x")
    tensor = np.array([-0.5, 0.0, 1.0, 1.5, 0.5, 2.0], np.float32).reshape(1, 3, 1, 2)
    image = arrays.to_image(tensor, port)
    assert image.reshape(2, 3).tolist() == [[0, 255, 128], [0, 255, 255]]


def test_the_buffer_is_reused_and_not_leaked(identity_model):
    with open_session(identity_model) as session:
        first, second = noise(16, 16, 1), noise(16, 16, 2)
        one = session.stylize(first)
        session.stylize(second)
        assert np.array_equal(one, first)


def test_strength(invert_model):
    image = noise(12, 20)
    with open_session(invert_model) as session:
        assert np.array_equal(session.stylize(image, strength=0.0), image)
        assert np.array_equal(session.stylize(image), 255 - image)
        half = session.stylize(image, strength=0.5).astype(int)
        assert np.abs(half - 127.5).max() <= 1


def test_offset_is_added_to_the_networks_view(identity_model):
    image = np.full((8, 8, 3), 100, np.uint8)
    offset = np.full((8, 8), 51 / 255, np.float32)
    with open_session(identity_model) as session:
        assert (session.stylize(image, offset=offset) == 151).all()


def test_fixed_size_scales_and_returns(tmp_path, build_model):
    shape = (1, 32, 48, 3)
    port = Port("x", shape=shape, dtype="uint8", layout="NHWC", low=0.0, high=255.0)
    path = build_model(
        tmp_path / "int8.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", shape, TensorProto.UINT8)],
        [value("y", shape, TensorProto.UINT8)],
        card=card(
            "int8",
            [port],
            [Port("y", shape=shape, dtype="uint8", layout="NHWC", low=0.0, high=255.0)],
        ),
    )
    with open_session(path) as session:
        exact = noise(32, 48)
        assert np.array_equal(session.stylize(exact), exact)
        for size in ((1, 1), (64, 96), (100, 20), (3, 500)):
            flat = np.full((*size, 3), 77, np.uint8)
            assert np.array_equal(session.stylize(flat), flat)


def test_scalar_port(tmp_path, build_model):
    ports = [Port("image"), Port("gain", "scalar", (1,), default=1.0, low=0.0, high=2.0)]
    path = build_model(
        tmp_path / "gain.onnx",
        [helper.make_node("Mul", ["image", "gain"], ["styled"])],
        [value("image"), value("gain", [1])],
        [value("styled")],
        card=card("gain", ports, [Port("styled")]),
    )
    image = np.full((4, 4, 3), 100, np.uint8)
    with open_session(path) as session:
        assert (session.stylize(image) == 100).all()
        assert (session.stylize(image, gain=2.0) == 200).all()
        with pytest.raises(UsageError, match=r"allowed is 0\.\.2"):
            session.stylize(image, gain=3.0)
        with pytest.raises(UsageError, match='Did you mean "gain"'):
            session.stylize(image, gian=1.0)


def test_state_is_carried_and_reset(tmp_path, build_model):
    """y = image + memory; memory' = 0.25 everywhere, at a quarter of the size."""
    nodes = [
        helper.make_node("Add", ["memory", "quarter"], ["memory_out"]),
        helper.make_node("ReduceMean", ["memory"], ["level"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Add", ["image", "level"], ["styled"]),
    ]
    state = ("N", 2, "H/4", "W/4")
    path = build_model(
        tmp_path / "state.onnx",
        nodes,
        [value("image"), value("memory", ["N", 2, "h", "w"])],
        [value("styled"), value("memory_out", ["N", 2, "h", "w"])],
        {"quarter": np.array(0.2, np.float32)},
        card=card(
            "state",
            [Port("image"), Port("memory", "state", state)],
            [Port("styled"), Port("memory_out", "state", state)],
            multiple_of=4,
        ),
    )
    image = np.full((8, 12, 3), 51, np.uint8)
    with open_session(path) as session:
        levels = [int(session.stylize(image)[0, 0, 0]) for _ in range(3)]
        assert levels == [51, 102, 153]
        session.reset()
        assert (session.stylize(image) == 51).all()
        larger = np.full((16, 12, 3), 51, np.uint8)
        assert (session.stylize(larger) == 51).all()  # another size starts afresh


def test_code_comes_from_the_companion_once_per_style(tmp_path, build_model):
    """The companion's code is the style's mean color; the model adds half of it."""
    build_model(
        tmp_path / "mean.style.onnx",
        [helper.make_node("ReduceMean", ["style"], ["code"], axes=[2, 3], keepdims=0)],
        [value("style")],
        [value("code", ["N", 3])],
        card=card("mean.style", [Port("style", "style")], [Port("code", "code", ("N", 3))]),
    )
    nodes = [
        helper.make_node("Reshape", ["code", "shape"], ["c"]),
        helper.make_node("Mul", ["c", "half"], ["h"]),
        helper.make_node("Add", ["image", "h"], ["styled"]),
    ]
    code = Port("code", "code", ("N", 3), companion="mean.style.onnx")
    path = build_model(
        tmp_path / "mean.onnx",
        nodes,
        [value("image"), value("code", ["N", 3])],
        [value("styled")],
        {"shape": np.array([1, 3, 1, 1]), "half": np.array(0.5, np.float32)},
        card=card("mean", [Port("image"), code], [Port("styled")]),
    )
    image = np.full((6, 6, 3), 20, np.uint8)
    red = np.zeros((5, 9, 3), np.uint8)
    red[..., 0] = 200
    with open_session(path) as session:
        assert session.stylize(image, style=red)[0, 0].tolist() == [120, 20, 20]
        blue = red[..., ::-1].copy()
        assert session.stylize(image, style=blue)[0, 0].tolist() == [20, 20, 120]
        mixed = session.stylize(image, style=[(red, 1.0), (blue, 3.0)])
        assert mixed[0, 0].tolist() == [45, 20, 95]
        given_code = session.stylize(image, code=[0.0, 0.4, 0.0])
        assert given_code[0, 0].tolist() == [20, 71, 20]
        with pytest.raises(UsageError, match="--style FILE"):
            session.stylize(image)
    (tmp_path / "mean.style.onnx").unlink()
    with open_session(path) as session, pytest.raises(CardMismatch, match="belongs beside"):
        session.stylize(image, style=red)


def test_known_styles_are_asked_for_by_name_and_mixed(tmp_path, build_model):
    """The code is a color; the model adds it."""
    code = Port("code", "code", (1, 3), default=1 / 3, names=("red", "green", "blue"))
    path = build_model(
        tmp_path / "known.onnx",
        [
            helper.make_node("Reshape", ["code", "shape"], ["c"]),
            helper.make_node("Add", ["image", "c"], ["styled"]),
        ],
        [value("image"), value("code", [1, 3])],
        [value("styled")],
        {"shape": np.array([1, 3, 1, 1])},
        card=card("known", [Port("image"), code], [Port("styled")]),
    )
    image = np.zeros((6, 6, 3), np.uint8)
    with open_session(path) as session:
        assert session.stylize(image, style="green")[0, 0].tolist() == [0, 255, 0]
        mixed = session.stylize(image, style=[("red", 1.0), ("blue", 4.0)])
        assert mixed[0, 0].tolist() == [51, 0, 204]
        assert session.stylize(image)[0, 0].tolist() == [85, 85, 85]
        for unknown in ("gren", image):
            with pytest.raises(UsageError, match=r"by name .*: red, green, blue"):
                session.stylize(image, style=unknown)


def test_nan_is_reported(tmp_path, build_model):
    path = build_model(
        tmp_path / "nan.onnx",
        [helper.make_node("Mul", ["image", "nan"], ["styled"])],
        [value("image")],
        [value("styled")],
        {"nan": np.array(np.nan, np.float32)},
        card=card("nan", [Port("image")], [Port("styled")]),
    )
    from runtime.errors import StyleError

    with open_session(path) as session, pytest.raises(StyleError, match="not numbers"):
        session.stylize(noise(4, 4))


def test_files_that_are_no_models(tmp_path, identity_model):
    text, empty, cut = (tmp_path / name for name in ("text.onnx", "empty.onnx", "cut.onnx"))
    text.write_text("this is not a model")
    empty.touch()
    cut.write_bytes(identity_model.read_bytes()[:60])
    for path in (text, empty, cut):
        with pytest.raises(CardMismatch) as caught:
            open_session(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)
        assert caught.value.exit_code == 2


def test_card_that_does_not_fit_the_graph(tmp_path, build_model):
    path = build_model(
        tmp_path / "wrong.onnx",
        [helper.make_node("Identity", ["image"], ["styled"])],
        [value("image")],
        [value("styled")],
        card=card("wrong", [Port("picture")], [Port("styled")]),
    )
    with pytest.raises(CardMismatch, match="picture"):
        open_session(path)


def test_names(tmp_path, identity_model, monkeypatch):
    from runtime.model import store

    monkeypatch.chdir(tmp_path)
    assert store.resolve("identity.onnx").samefile(identity_model)
    assert store.resolve("identity").samefile(identity_model)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path))
    assert store.resolve("identity").samefile(identity_model)
    with pytest.raises(ModelNotFound, match=r'Did you mean "identity\.onnx"'):
        store.resolve("identiti.onnx")
    with pytest.raises(ModelNotFound, match="folder"):
        store.resolve(folder)


def test_device_is_what_it_says(identity_model):
    import onnxruntime

    with open_session(identity_model, device="cpu") as session:
        assert session.device == "cpu" and session.engine == "onnxruntime"
        assert len(session.sha256) == 64
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(EngineUnavailable, match="onnxruntime-gpu") as caught:
            open_session(identity_model, device="cuda")
        assert caught.value.exit_code == 3
    with pytest.raises(UsageError, match="allowed are auto, cpu, cuda"):
        open_session(identity_model, device="tpu")
    with pytest.raises(UsageError, match='Did you mean "onnxruntime"'):
        open_session(identity_model, engine="onnxruntim")


def test_a_silent_fallback_is_no_success(identity_model, monkeypatch, capfd):
    """The GPU wheel without a GPU: CUDA is listed, the session is made, and it runs on the CPU."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def falls_back(*args, providers, **kwargs):
        print("*** EP Error ***")
        return real(*args, providers=["CPUExecutionProvider"], **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("banner"), raising=False)
    with pytest.raises(EngineUnavailable, match="fell back"):
        open_session(identity_model, device="cuda")
    with open_session(identity_model, device="auto") as session:
        assert session.device == "cpu" and "running on the CPU" in session.notes[0]
    assert capfd.readouterr().out == ""


class Slow:
    """An engine around another one that takes its time, so that threads meet in it."""

    def __init__(self, engine, seconds):
        self._engine, self._seconds = engine, seconds
        self.inputs, self.outputs, self.metadata = engine.inputs, engine.outputs, engine.metadata
        self.device, self.note = engine.device, engine.note

    def run(self, feeds, outputs=None):
        time.sleep(self._seconds)
        return self._engine.run(feeds, outputs)

    def close(self):
        self._engine.close()


def painted_in_threads(session, levels, seconds=0.05):
    """What each of several threads got for its own gray picture: a level, or an error."""
    session._engine = Slow(session._engine, seconds)
    with ThreadPoolExecutor(len(levels)) as pool:
        jobs = [
            pool.submit(session.stylize, np.full((8, 8, 3), level, np.uint8)) for level in levels
        ]
    return [job.exception() or int(job.result()[0, 0, 0]) for job in jobs]


def test_threads_may_share_a_session_without_memory(invert_model):
    with open_session(invert_model) as session:
        assert not session.remembers
        assert painted_in_threads(session, [0, 50, 100, 255]) == [255, 205, 155, 0]


def test_threads_that_share_a_scene_are_told_so(tmp_path, build_model):
    state = ("N", 3, "H", "W")
    path = build_model(
        tmp_path / "echo.onnx",
        [
            helper.make_node("Identity", ["image"], ["memory_out"]),
            helper.make_node("Add", ["image", "memory"], ["styled"]),
        ],
        [value("image"), value("memory")],
        [value("styled"), value("memory_out")],
        card=card(
            "echo",
            [Port("image"), Port("memory", "state", state)],
            [Port("styled"), Port("memory_out", "state", state)],
        ),
    )
    with open_session(path) as session:
        assert session.remembers
        found = painted_in_threads(session, [10, 20, 30], seconds=2)  # a busy machine as well
        errors = [one for one in found if isinstance(one, Exception)]
        assert len(errors) == 2
        assert all(isinstance(error, UsageError) for error in errors)
        assert "open a session for each thread" in str(errors[0])
        session.reset()
        assert (session.stylize(np.full((8, 8, 3), 40, np.uint8)) == 40).all()
