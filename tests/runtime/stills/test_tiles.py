"""Exact tiling: networks that look at the whole picture give the same in tiles as at once."""

import numpy as np
import pytest
from onnx import helper

from runtime import open_session
from runtime.card import ModelCard, Port
from runtime.errors import StyleError
from runtime.meter import Meter
from runtime.model.stylizer import Effects, Stylizer
from runtime.onnxfile import OnnxFile
from runtime.pictures.reading import Picture
from runtime.stills import memory_need, tiles
from runtime.stills.painter import Options, StillPainter
from runtime.stills.whole_picture import Statistics, cut

SHAPE = ["N", 3, "H", "W"]


class Net:
    """Builds a small graph node by node; weights are random with a fixed seed."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.at, self.channels = [], {}, "image", 3

    def add(self, op: str, *more: str, **attributes) -> "Net":
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.at, *more], [out], **attributes))
        self.at = out
        return self

    def weight(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = value
        return name

    def conv(self, channels: int, kernel: int = 3, stride: int = 1, pad: str = "reflect") -> "Net":
        scale = 1.0 / (self.channels * kernel * kernel) ** 0.5
        shape = (channels, self.channels, kernel, kernel)
        k = self.weight((self.rng.standard_normal(shape) * scale).astype(np.float32))
        b = self.weight((self.rng.standard_normal(channels) * 0.1).astype(np.float32))
        half = kernel // 2
        zero = [half] * 4 if pad == "zero" else [0] * 4
        if pad == "reflect":
            self.add("Pad", self.weight(np.array([0, 0, half, half] * 2)), mode="reflect")
        self.channels = channels
        return self.add("Conv", k, b, strides=[stride, stride], pads=zero)

    def norm(self) -> "Net":
        gain = self.weight((1 + 0.3 * self.rng.standard_normal(self.channels)).astype(np.float32))
        bias = self.weight((0.3 * self.rng.standard_normal(self.channels)).astype(np.float32))
        return self.add("InstanceNormalization", gain, bias)

    def residual(self) -> "Net":
        start = self.at
        self.conv(self.channels).norm().add("Relu").conv(self.channels).norm()
        return self.add("Add", start)

    def up(self) -> "Net":
        scales = self.weight(np.array([1, 1, 2, 2], np.float32))
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node("Resize", [self.at, "", scales], [out], mode="nearest"))
        self.at = out
        return self

    def save(self, path, build_model, multiple_of: int = 4, minimum: int = 32, opset: int = 17):
        self.add("Sigmoid")
        make = helper.make_tensor_value_info
        card = ModelCard(
            "net",
            "test",
            (Port("image"),),
            (Port(self.at),),
            multiple_of=multiple_of,
            minimum=minimum,
        )
        return build_model(
            path,
            self.nodes,
            [make("image", 1, SHAPE)],
            [make(self.at, 1, SHAPE)],
            self.weights,
            card=card,
            opset=opset,
        )


def johnson() -> Net:
    """Reflection padding, two strides, residual blocks, nearest resize: the 2016 shape."""
    net = Net().conv(6, 9).norm().add("Relu").conv(8, 3, 2).norm().add("Relu")
    net.conv(8, 3, 2).norm().add("Relu").residual().up().conv(6).norm().add("Relu")
    return net.up().conv(3, 9)


def lean() -> Net:
    """Space-to-depth, zero padding, depth-to-space."""
    net = Net(1).add("SpaceToDepth", blocksize=4)
    net.channels = 48
    net.conv(8, pad="zero").norm().add("Relu").residual().conv(48, pad="zero")
    net.add("DepthToSpace", blocksize=4)
    net.channels = 3
    return net


def surplus() -> Net:
    """Pads once by 16 at the start and convolves without padding: inner sizes are not the
    picture's divided by the stride."""
    net = Net(2)
    net.add("Pad", net.weight(np.array([0, 0, 14, 14] * 2)), mode="reflect")
    net.conv(6, 5, pad="none").norm().add("Relu").conv(8, 3, 2, pad="none").norm().add("Relu")
    for _ in range(2):
        net.conv(8, 3, pad="none").norm().add("Relu")
    return net.up().conv(3, 5, pad="zero").add("Slice", *slices(net))


def slices(net: Net) -> tuple[str, ...]:
    return tuple(net.weight(np.array(v)) for v in ([7, 7], [-7, -7], [2, 3]))


def gated() -> Net:
    """Means over the whole picture outside of a normalization: a channel gate and a mean color."""
    net = Net(3).conv(6).norm().add("Relu")
    start = net.at
    net.add("GlobalAveragePool").conv(6, 1, pad="none").add("Sigmoid")
    gate = net.at
    net.at = start
    net.add("Mul", gate).conv(6)
    start = net.at
    net.add("ReduceMean", axes=[2, 3], keepdims=1)
    mean = net.at
    net.at = start
    return net.add("Sub", mean).add("Relu").conv(3)


def photo(height: int, width: int) -> np.ndarray:
    from skimage import data

    source = data.astronaut()
    return np.ascontiguousarray(np.tile(source, (2, 2, 1))[:height, :width])


def painter(session, **options) -> StillPainter:
    return StillPainter(
        Stylizer([(session, 1.0)], Effects()), Options(quiet=True, **options), print
    )


@pytest.mark.parametrize("net", [johnson, lean, gated])
@pytest.mark.parametrize("size", [(150, 203), (64, 260)])
def test_tiled_equals_untiled(tmp_path, build_model, net, size, capsys):
    path = net().save(tmp_path / "net.onnx", build_model)
    image = photo(*size)
    with open_session(path) as session:
        whole = session.stylize(image)
        tiled = painter(session, tile=64).paint(Picture(image)).pixels
        assert np.abs(tiled.astype(int) - whole).max() <= 1
        assert whole.std() > 5  # there is something to compare
        # Without the fed statistics it would not be equal: the test can fail.
        alone = session.stylize(image[:64, :64])
        assert np.abs(alone.astype(int) - whole[:64, :64])[16:48, 16:48].max() > 1


def test_surplus_positions_count(tmp_path, build_model):
    path = surplus().save(tmp_path / "net.onnx", build_model, multiple_of=2)
    with open_session(path) as session:
        tiler = tiles.prepare(session)
        assert any(surplus > 0 for _, surplus in tiler._places)
        image = photo(130, 170)
        whole = session.stylize(image)
        tiled = painter(session, tile=48).paint(Picture(image)).pixels
        assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_16_bits_input_noise_and_mixing_in_tiles(tmp_path, build_model):
    first = johnson().save(tmp_path / "first.onnx", build_model)
    second = lean().save(tmp_path / "second.onnx", build_model, multiple_of=8)
    image = photo(118, 171).astype(np.uint16) * 257
    mask = np.zeros((10, 10, 3), np.uint8)
    mask[:, 5:] = 255
    with open_session(first) as one, open_session(second) as two:
        stylizer = Stylizer(
            [(one, 3.0), (two, 1.0)], Effects(strength=0.8, keep_color="luminance", mask=mask)
        )
        options = {"noise": 0.5, "seed": 7, "quiet": True}
        whole = StillPainter(stylizer, Options(tile="off", **options), print).paint(Picture(image))
        tiled = StillPainter(stylizer, Options(tile=48, **options), print).paint(Picture(image))
    assert tiled.pixels.dtype == np.uint16
    assert np.abs(tiled.pixels.astype(int) - whole.pixels).max() <= 257


def test_auto_tiles_only_when_memory_demands_it(tmp_path, build_model):
    path = lean().save(tmp_path / "net.onnx", build_model)
    image = photo(800, 900)
    said: list[str] = []
    with open_session(path) as session:
        stylizer = Stylizer([(session, 1.0)], Effects())
        free = StillPainter(stylizer, Options(quiet=True), said.append)
        whole = free.paint(Picture(image)).pixels
        assert said == []
        need = free._per_pixel() * 800 * 900
        limit = int(200 * 2**20 + 3 * image.nbytes + need / 3)
        small = StillPainter(stylizer, Options(memory_bytes=limit, quiet=True), said.append)
        tiled = small.paint(Picture(image)).pixels
        assert "tiles of" in said[0] and "memory: about" in said[0]
        assert np.abs(tiled.astype(int) - whole).max() <= 1
        tiny = StillPainter(stylizer, Options(memory_bytes=2**20, quiet=True), said.append)
        with pytest.raises(StyleError, match="--memory"):
            tiny.paint(Picture(image))


def test_a_network_that_sees_everything_is_refused(tmp_path, build_model):
    net = Net(4)
    start = net.at
    net.add("ReduceMax", axes=[2, 3], keepdims=1)
    peak, net.at = net.at, start
    path = net.add("Mul", peak).save(tmp_path / "max.onnx", build_model)
    with open_session(path) as session, pytest.raises(StyleError, match="--tile off"):
        tiles.prepare(session)


def test_windows_cover_the_picture_once():
    seen = np.zeros((70, 131), int)
    for inner, outer in tiles.windows(70, 131, 32, 16):
        seen[inner[0] : inner[2], inner[1] : inner[3]] += 1
        assert outer[0] <= inner[0] and outer[2] >= inner[2] and outer[1] % 16 == 0
    assert (seen == 1).all()
    assert tiles.count_windows(70, 131, 32) == 15


def test_merged_statistics_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(1000.0, 0.1, (3, 40, 60)).astype(np.float32)
    statistics = Statistics()
    for rows in (slice(0, 7), slice(7, 8), slice(8, 40)):
        for columns in (slice(0, 33), slice(33, 60)):
            statistics.add(values[:, rows, columns])
    assert np.allclose(statistics.mean, values.mean((1, 2), dtype=np.float64), rtol=1e-9)
    assert np.allclose(statistics.variance, values.var((1, 2), dtype=np.float64), rtol=1e-5)


def test_parsing_round_trip(tmp_path, build_model):
    import onnx

    path = johnson().save(tmp_path / "net.onnx", build_model)
    parsed = OnnxFile.parse(path.read_bytes())
    model = onnx.load(path)
    assert [n.op for n in parsed.nodes] == [n.op_type for n in model.graph.node]
    assert parsed.opset == 17 and parsed.inputs == ("image",)
    again = onnx.load_from_string(parsed.serialize(parsed.outputs))
    onnx.checker.check_model(again)
    assert [n.SerializeToString() for n in again.graph.node]
    assert again.metadata_props == model.metadata_props
    points = cut(parsed)[1]
    assert len(points) == sum(n.op_type == "InstanceNormalization" for n in model.graph.node)
    part = parsed.needed([points[0].value])
    assert [n.op for n in part] == ["Pad", "Conv"]


def test_stored_values_take_the_place_of_computed_ones(tmp_path, build_model):
    import onnx
    import onnxruntime as ort

    nodes = [
        helper.make_node("Mul", ["image", "two"], ["twice"]),
        helper.make_node("Add", ["twice", "count"], ["styled"]),
        helper.make_node("Cast", ["whole"], ["count"], to=1),
    ]
    path = build_model(
        tmp_path / "net.onnx",
        [nodes[0], nodes[2], nodes[1]],
        [helper.make_tensor_value_info("image", 1, ["N"])],
        [helper.make_tensor_value_info("styled", 1, ["N"])],
        {"two": np.array([2], np.float32), "whole": np.array([7], np.int32)},
    )
    values = {"count": np.array([0.5], np.float32)}
    file = OnnxFile.parse(path.read_bytes()).with_constants({"count": values["count"]})
    data = file.serialize(file.outputs)
    onnx.checker.check_model(onnx.load_from_string(data))
    found = ort.InferenceSession(data).run(None, {"image": np.float32([1, -4])})[0]
    assert found.tolist() == [2.5, -7.5]


def test_memory_estimate_counts_live_tensors(tmp_path, build_model):
    """One 3-channel float picture in, one out, one between: at most two alive at once."""
    make = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Relu", ["image"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["styled"]),
    ]
    card = ModelCard("relu", "test", (Port("image"),), (Port("styled"),))
    path = build_model(
        tmp_path / "relu.onnx",
        nodes,
        [make("image", 1, SHAPE)],
        [make("styled", 1, SHAPE)],
        card=card,
    )
    with open_session(path) as session:
        feeds = session.feeds(np.zeros((32, 32, 3), np.float32), {})
        per_pixel = memory_need.bytes_per_pixel(session, OnnxFile.parse(path.read_bytes()), feeds)
    assert per_pixel == 2 * 3 * 4


def test_albums_count_their_frames(tmp_path, build_model):
    from PIL import Image

    from runtime.pictures.reading import Album

    path = lean().save(tmp_path / "net.onnx", build_model)
    frames = [Image.fromarray(photo(40, 48) // (k + 1)) for k in range(3)]
    file = tmp_path / "anim.webp"
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=[50, 60, 70])
    meter = Meter()
    with open_session(path) as session, Album(file) as album:
        painted = painter(session).paint_album(album, 3, meter)
    assert [round(p.duration_ms) for p in painted] == [50, 60, 70]
    assert meter.summary()["stages_ms"]["style"]["count"] == 3
