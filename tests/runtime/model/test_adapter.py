"""Models whose pictures have another form than ours: they run, and give the right picture."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from runtime import open_session
from runtime.errors import UsageError
from runtime.frame import Image
from runtime.model import probe
from runtime.model.adapter import LUMA, adapt
from runtime.model.formats import open_model

FREE = ["N", 3, "H", "W"]
FLOAT, DOUBLE, INT32, INT64 = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT32,
    TensorProto.INT64,
)
feed = helper.make_tensor_value_info


def photo(height: int = 60, width: int = 84) -> Image:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[100 : 100 + height, 180 : 180 + width])


def negative(path, build_model, given, made, kind=FLOAT, top=1.0):
    """top - x, clipped to 0..top."""
    value = {FLOAT: np.float32, DOUBLE: np.float64, INT32: np.int32}[kind]
    nodes = [
        helper.make_node("Sub", ["top", "x"], ["n"]),
        helper.make_node("Clip", ["n", "zero", "top"], ["y"]),
    ]
    constants = {"top": np.array(top, value), "zero": np.array(0, value)}
    ends = [feed("x", kind, given)], [feed("y", kind, made)]
    return build_model(path, nodes, *ends, constants, opset=13)


def gray_of(image: Image) -> np.ndarray:
    return np.rint(image.astype(np.float64) @ LUMA.astype(np.float64)).astype(int)


def test_gray_pictures(tmp_path, build_model):
    path = negative(tmp_path / "m.onnx", build_model, ["N", 1, "H", "W"], ["N", 1, "H", "W"])
    image = photo()
    with open_session(path) as session:
        styled = session.stylize(image)
    expected = np.repeat(255 - gray_of(image)[:, :, None], 3, axis=2)
    assert np.abs(styled.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("shape", [["N", 4, "H", "W"], ["N", "H", "W", 4], ["H", "W", 4]])
def test_an_alpha_channel(tmp_path, build_model, shape):
    path = negative(tmp_path / "m.onnx", build_model, shape, shape)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


@pytest.mark.parametrize("shape", [[3, "H", "W"], ["H", "W", 3], [64, 96, 3]])
def test_no_axis_for_the_batch(tmp_path, build_model, shape):
    path = negative(tmp_path / "m.onnx", build_model, shape, shape)
    image = photo(64, 96)
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


@pytest.mark.parametrize(("kind", "top"), [(DOUBLE, 1.0), (DOUBLE, 255.0), (INT32, 255)])
def test_doubles_and_whole_numbers(tmp_path, build_model, kind, top):
    path = negative(tmp_path / "m.onnx", build_model, FREE, FREE, kind, top)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def test_a_mask_beside_the_picture_is_none(tmp_path, build_model):
    """A gray output that comes first is not taken for the painted one."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mask"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Clip", ["n", "zero", "one"], ["y"]),
    ]
    constants = {"one": np.array(1, np.float32), "zero": np.array(0, np.float32)}
    outputs = [feed("mask", FLOAT, ["N", 1, "H", "W"]), feed("y", FLOAT, FREE)]
    path = build_model(tmp_path / "m.onnx", nodes, [feed("x", FLOAT, FREE)], outputs, constants)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def styles_by_index(path, build_model):
    """Style k adds k / 10 to the negative."""
    nodes = [
        helper.make_node("Gather", ["table", "index"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "shape"], ["shift"]),
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Sub", ["n", "shift"], ["s"]),
        helper.make_node("Clip", ["s", "zero", "one"], ["y"]),
    ]
    constants = {
        "table": np.arange(5, dtype=np.float32)[:, None] * np.full((5, 3), 0.1, np.float32),
        "shape": np.array([1, 3, 1, 1], np.int64),
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.float32),
    }
    inputs = [feed("x", FLOAT, FREE), feed("index", INT64, [1])]
    return build_model(path, nodes, inputs, [feed("y", FLOAT, FREE)], constants)


def test_a_style_by_its_index(tmp_path, build_model):
    path, image = styles_by_index(tmp_path / "m.onnx", build_model), photo()
    with open_session(path) as session:
        assert session.card.port("code").names == ("0", "1", "2", "3", "4")
        darker = np.clip(255.0 * 0.8 - image, 0, 255)
        assert np.abs(session.stylize(image, style="2") - darker).max() <= 1
        with pytest.raises(UsageError, match="cannot be mixed"):
            session.stylize(image, style=[("1", 0.5), ("2", 0.5)])


def test_the_frame_before_is_a_state(tmp_path, build_model):
    """Half the negative, half of what was painted before; forgotten on reset."""
    nodes = [
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Add", ["n", "prev_frame"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["m"]),
        helper.make_node("Clip", ["m", "zero", "one"], ["y"]),
    ]
    constants = {
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "zero": np.array(0, np.float32),
    }
    inputs = [feed("x", FLOAT, FREE), feed("prev_frame", FLOAT, FREE)]
    path = build_model(
        tmp_path / "m.onnx", nodes, inputs, [feed("y", FLOAT, FREE)], constants, opset=13
    )
    image = np.full((48, 64, 3), 55, np.uint8)
    with open_session(path, range="0..1") as session:
        assert [port.role for port in session.card.inputs] == ["image", "state"]
        assert "painted before" in session.notes[0]
        assert session.stylize(image)[0, 0, 0] == 100  # 200 / 2
        assert session.stylize(image)[0, 0, 0] == 150  # (200 + 100) / 2
        session.reset()
        assert session.stylize(image)[0, 0, 0] == 100


def test_an_answer_four_times_as_large_comes_back_in_the_size_of_the_picture(tmp_path, build_model):
    nodes = [
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Clip", ["n", "zero", "one"], ["c"]),
        helper.make_node("Resize", ["c", "", "scales"], ["y"], mode="nearest"),
    ]
    constants = {
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.float32),
        "scales": np.array([1, 1, 4, 4], np.float32),
    }
    outputs = [feed("y", FLOAT, ["N", 3, "H4", "W4"])]
    path = build_model(
        tmp_path / "m.onnx", nodes, [feed("x", FLOAT, FREE)], outputs, constants, opset=13
    )
    image = photo(64, 96)
    with open_session(path) as session:
        assert "scaled" in session.notes[0]
        assert np.abs(session.stylize(image).astype(int) - (255 - image.astype(int))).max() <= 1


class Counting:
    """An engine that counts the pictures it is given."""

    def __init__(self, engine) -> None:
        self._engine, self.runs = engine, 0
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.metadata, self.device, self.note = engine.metadata, engine.device, engine.note

    def run(self, feeds, outputs=None):
        self.runs += 1
        return self._engine.run(feeds, outputs)

    def close(self) -> None:
        self._engine.close()


@pytest.mark.parametrize("top", [1.0, 255.0])
@pytest.mark.parametrize("stated", [True, False])
def test_probing_takes_at_most_four_runs(tmp_path, build_model, top, stated):
    """A network of stride 4, with and without ends that tell the range."""
    kernel = np.zeros((48, 48, 1, 1), np.float32)
    for channel in range(48):
        kernel[channel, channel] = -1.0
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["s"], blocksize=4),
        helper.make_node("Conv", ["s", "kernel", "bias"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["d" if stated else "y"], blocksize=4),
    ]
    if stated:
        nodes.append(helper.make_node("Clip", ["d", "zero", "top"], ["y"]))
    constants = {
        "kernel": kernel,
        "bias": np.full(48, top, np.float32),
        "zero": np.array(0, np.float32),
        "top": np.array(top, np.float32),
    }
    ends = [feed("x", FLOAT, FREE)], [feed("y", FLOAT, FREE)]
    path = build_model(tmp_path / "m.onnx", nodes, *ends, constants, opset=13)
    engine = Counting(open_model(path))
    graph = probe.read_graph(path)
    card, _ = probe.foreign_card(adapt(engine, graph), path, graph)
    assert engine.runs <= 4
    assert (card.multiple_of, card.minimum) == (4, 64)
    assert (card.port("image").high, card.outputs[0].high) == (top, top)
