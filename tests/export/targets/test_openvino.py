"""OpenVINO files: what is inside, and that int8 runs in integers with its normalizations kept."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

import export.artifact as flow
from export.__main__ import main
from export.int8.graph_builder import GraphBuilder
from export.int8.planar_builder import PlanarBuilder
from export.int8.scales import tensor_scale
from export.int8.whole_frame import calibrated, rounding_step
from export.source import load_source
from export.targets import Options
from export.targets.openvino import PLUGIN
from export.verify.parity import psnr
from export.verify.photos import load_photos
from export.verify.torch_session import torch_session
from runtime.model.session import open_session
from runtime.model.zoo import read_card

openvino = pytest.importorskip("openvino", reason="pip install 'impasto[openvino]'")


@pytest.fixture(scope="module")
def integers(checkpoint, photos_folder, tmp_path_factory):
    """The toy network, with instance normalization, in int8."""
    return write_int8(checkpoint, photos_folder, tmp_path_factory.mktemp("openvino"))


def write_int8(checkpoint, photos_folder, folder):
    path = folder / "toy-int8.xml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
        words = ["--checkpoint", checkpoint, "--target", "openvino", "--precision", "int8"]
        words += ["--output", path, "--photos", photos_folder, "--quiet"]
        assert main([str(word) for word in words]) == 0
    return path


def test_repeated_edges(new_checkpoint, photos_folder, tmp_path):
    """Padding by repeated bytes stays with the bytes: all convolutions are in integers."""
    config = {"width": 16, "blocks": 1, "padding": "replicate", "margin": 0}
    source = new_checkpoint(tmp_path / "toy.safetensors", **config)
    test_convolutions_run_in_integers(write_int8(source, photos_folder, tmp_path))


def test_stills_match_the_float_network(integers, checkpoint, photos_folder):
    photos = [photo[:96, :160] for photo in load_photos(photos_folder)]
    source = load_source(checkpoint, "toy")
    with open_session(integers) as session, torch_session(source) as ours:
        for photo in photos:
            assert psnr(ours.stylize(photo) / 255, session.stylize(photo) / 255) > 30
        # By each picture's own statistics: what was painted before does not matter.
        first = session.stylize(photos[0])
        session.stylize(photos[1])
        assert np.array_equal(session.stylize(photos[0]), first)


def test_convolutions_run_in_integers(integers):
    core = openvino.Core()
    compiled = core.compile_model(str(integers), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: dict[str, list[str]] = {}
    for operation in compiled.get_runtime_model().get_ordered_ops():
        facts = operation.get_rt_info()
        kind, precision = (facts[key].astype(str) for key in ("layerType", "runtimePrecision"))
        found.setdefault(kind, []).append(precision)
    assert found["Convolution"] == ["u8"] * 4 or found["Convolution"] == ["i8"] * 4
    assert len(found["MVN"]) == 3 and set(found["MVN"]) == {"f32"}


def test_the_card_is_in_the_file(integers):
    card = read_card(integers)
    assert card is not None and (card.target, card.precision) == ("openvino", "int8")
    assert (card.inputs[0].layout, card.inputs[0].dtype) == ("NHWC", "uint8")
    assert card.style == {"title": "Toy", "artist": "Nobody"}
    report = json.loads(integers.with_name("toy-int8.xml.json").read_text())
    assert [entry["file"] for entry in report["files"]] == ["toy-int8.xml", "toy-int8.bin"]
    assert report["judged"] == {
        "skipped": "the painting, its objective or the loss network is not here"
    }


def test_ranges_learned_by_fine_tuning_are_used(checkpoint, photos_folder, integers):
    """Ends twice as far out: twice as coarse steps, so another picture."""
    source = load_source(checkpoint, "toy")
    parts, calibration = calibrated(source, load_photos(photos_folder))
    wide = {name: (2 * low, 2 * high) for name, (low, high) in calibration.whole_ranges().items()}
    tuned = replace(source, generator=copy.deepcopy(source.generator))
    tuned.generator.clip(wide)
    _, stored = calibrated(tuned, load_photos(photos_folder))
    assert "learned by fine-tuning" in rounding_step(stored)
    for layer in parts.layers[:-1]:
        name = layer.name + (".sum" if layer.residual else "")
        assert tensor_scale(stored, name)[0] == pytest.approx(
            2 * tensor_scale(calibration, name)[0]
        )
    path = integers.with_name("tuned.xml")
    PLUGIN.write(tuned, path, Options("int8", photos=load_photos(photos_folder)))
    photo = load_photos(photos_folder)[0]
    with open_session(integers) as one, open_session(path) as other:
        assert (one.stylize(photo) != other.stylize(photo)).any()


def test_no_path_of_this_machine_in_the_files(integers):
    data = integers.read_bytes() + integers.with_suffix(".bin").read_bytes()
    assert b"site-packages" not in data and b"/home" not in data and b"/work" not in data


def test_a_foldable_file_is_for_onnxruntime(checkpoint, photos_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "SIZES", ((96, 64),))
    path = tmp_path / "toy-int8.onnx"
    words = ["--checkpoint", checkpoint, "--precision", "int8", "--output", path]
    assert main([str(word) for word in [*words, "--photos", photos_folder, "--quiet"]]) == 0
    with pytest.raises(Exception, match="folded for each scene, which --engine openvino cannot"):
        open_session(path, engine="openvino")


@pytest.mark.parametrize("margin", [0, 8])
def test_both_ways_to_shuffle_bytes_agree(margin):
    """Bytes to cells and back, in the order of each builder: the picture itself comes out."""
    import onnxruntime as ort

    photo = np.random.default_rng(0).integers(0, 256, (1, 24, 36, 3), np.uint8)
    for kind in (GraphBuilder, PlanarBuilder):
        build = kind("image", 4)
        cells = build.space_to_depth(build.margin("image", margin))
        session = ort.InferenceSession(
            build.finish(build.depth_to_space(cells, margin)).SerializeToString()
        )
        assert np.array_equal(session.run(None, {"image": photo})[0], photo), kind.__name__


def test_both_ways_to_shuffle_bytes_have_the_same_order():
    import onnx
    import onnxruntime as ort

    photo = np.random.default_rng(0).integers(0, 256, (1, 8, 12, 3), np.uint8)
    found = []
    for kind in (GraphBuilder, PlanarBuilder):
        build = kind("image", 4)
        build.space_to_depth("image")
        model = build.finish("in.channels")
        model.graph.output[0].type.tensor_type.shape.dim[3].Clear()
        onnx.checker.check_model(model)
        found.append(ort.InferenceSession(model.SerializeToString()).run(None, {"image": photo})[0])
    assert found[0].shape == (1, 48, 2, 3) and np.array_equal(*found)
