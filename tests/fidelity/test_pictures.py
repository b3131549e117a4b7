"""What is lost of a few pictures with a small network, and what counts as a loss."""

import numpy as np
import pytest

from runtime.card import KEY, ModelCard, Port
from tests.fidelity import odd_pictures, pictures

onnx = pytest.importorskip("onnx")


@pytest.fixture
def small_net(tmp_path):
    """Convolution, instance normalization, convolution: seams show unless statistics are shared."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    weights = {
        "k1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "gain": np.ones(8, np.float32),
        "bias": np.zeros(8, np.float32),
        "k2": (rng.standard_normal((3, 8, 3, 3)) / 4).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "k1"], ["a"], pads=[1] * 4),
        helper.make_node("InstanceNormalization", ["a", "gain", "bias"], ["b"]),
        helper.make_node("Conv", ["b", "k2"], ["c"], pads=[1] * 4),
        helper.make_node("Sigmoid", ["c"], ["styled"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
        for name in ("image", "styled")
    ]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "small", ports[:1], ports[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = ModelCard("small", "test", (Port("image"),), (Port("styled"),), multiple_of=4)
    helper.set_model_props(model, {KEY: card.to_json()})
    onnx.save(model, str(tmp_path / "small.onnx"))
    return tmp_path / "small.onnx"


def test_a_whole_run(tmp_path, small_net, monkeypatch, capsys):
    wanted = {"orientation6.png", "adobe-16.tif", "multiplied-16.tif", "moving.webp"}
    cases = [odd for odd in odd_pictures.all_pictures() if odd.name in wanted]
    monkeypatch.setattr(odd_pictures, "all_pictures", lambda: cases)
    monkeypatch.setattr(pictures, "PHOTOS", ("chelsea",))
    found = []
    tables = pictures.tables
    monkeypatch.setattr(pictures, "tables", lambda rows: found.extend(rows) or tables(rows))
    command = ["--model", str(small_net), "--quiet"]
    assert pictures.main([*command, "--large", "900x700", "--memory", "0.3"]) == 0
    rows = {row["id"]: row["metrics"] for row in found}
    assert wanted <= set(rows)
    assert rows["moving.webp"]["frames"] == 4
    assert rows["group/color profiles, 16 bits"]["pictures"] == 1
    tiled = rows["tiling/small/chelsea"]
    assert tiled["worst_level"] < 0.1 < 2 < tiled["alone_level"]
    large = rows["large/small/900x700"]
    assert 0 < large["peak_mib"] < large["limit_mib"] and large["cpu_seconds"] > 0
    text = capsys.readouterr().out
    assert "| EXIF orientations 1 to 8 | 1 | 0 | 0.00 |" in text
    assert "900x700" in text and "chelsea" in text


def test_what_cannot_be_tiled_is_said(tmp_path, small_net, monkeypatch):
    monkeypatch.setattr(pictures, "PHOTOS", ("chelsea",))
    model = onnx.load(str(small_net))
    peak = onnx.helper.make_node("ReduceMax", ["styled0"], ["peak"], axes=[2, 3], keepdims=1)
    model.graph.node[-1].output[0] = "styled0"
    model.graph.node.append(peak)
    model.graph.node.append(onnx.helper.make_node("Div", ["styled0", "peak"], ["styled"]))
    onnx.save(model, str(small_net))
    (row,) = pictures.tiling_rows(str(small_net))
    assert row["metrics"]["worst_level"] is None
    assert "--tile off" in row["labels"]["words"]
    assert "Refused: " in pictures.tables([row])


def test_losses_are_failures(tmp_path):
    good = {"worst_level": 0.5, "allowed_level": 1.0, "wrong": 0}
    assert pictures.is_faithful(good)
    for worse in ({"worst_level": 1.1}, {"wrong": 1}, {"peak_mib": 5000, "limit_mib": 4096}):
        assert not pictures.is_faithful({**good, **worse})
    assert not pictures.is_faithful({"worst_level": 1.2})
    # And a picture that comes back otherwise is noticed.
    odd = next(odd for odd in odd_pictures.sized() if odd.name == "63x47.png")
    from dataclasses import replace

    from tests.fidelity.video import build_identity

    model = build_identity(tmp_path / "identity.onnx")
    turned = replace(odd, pixels=np.ascontiguousarray(odd.pixels[::-1]))
    metrics = pictures.odd_row(turned, model, tmp_path)["metrics"]
    assert metrics["wrong"] == 0 and metrics["worst_level"] > 5


def test_odd_files_are_what_they_say(tmp_path):
    """The writers of `odd_pictures` against other readers."""
    import cv2

    wide = odd_pictures.deep_photo()
    for name, write in (("a.png", odd_pictures.png), ("a.tif", odd_pictures.tiff)):
        write(tmp_path / name, wide)
        read = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[:, :, ::-1], wide)
    tifffile = pytest.importorskip("tifffile")
    odd_pictures.tiff(tmp_path / "b.tif", wide, planes=True, order=">")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), wide.transpose(2, 0, 1))
