"""What the int8 file paints without our runtime: normalized by a sample of each picture's rows."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from skimage import data

from export.int8 import sampling, whole_frame
from export.int8.calibrate import calibrate
from export.int8.integer_graph import folding_of, integer_graph
from export.int8.lean_layers import take_apart
from export.source import load_source
from export.targets import Options
from export.verify.parity import psnr
from export.verify.photos import load_photos
from runtime.model.session import open_session

NETWORKS = {
    "replicate": {"padding": "replicate", "margin": 0},
    "margin": {"padding": "zeros", "margin": 16},
}


@pytest.fixture(scope="module", params=NETWORKS)
def source(request, new_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "toy.safetensors"
    new_checkpoint(path, width=16, blocks=2, **NETWORKS[request.param])
    return load_source(path, "toy")


def run(model, picture, outputs=None):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(content, options).run(outputs, {"image": picture[None]})


def parts_of(source, photos_folder):
    parts = take_apart(source.generator)
    calibration = calibrate(parts, load_photos(photos_folder))
    return parts, calibration, folding_of(parts, calibration)


def photos():
    return [data.astronaut()[:384], data.chelsea()[:296, :448], data.coffee()[:400, :600]]


def test_plain_onnx_runtime_paints_what_our_runtime_paints(source, photos_folder, tmp_path):
    path = tmp_path / "toy.onnx"
    options = Options("int8", None, 18, load_photos(photos_folder), {}, print)
    whole_frame.write(source, path, options)
    parts, calibration, folding = parts_of(source, photos_folder)
    washed_out = integer_graph(parts, calibration, folding)
    with open_session(path) as session:
        for photo in photos():
            session.reset()
            wanted = session.stylize(np.ascontiguousarray(photo)) / 255
            plain, mean = (
                psnr(run(model, photo)[0][0] / 255, wanted)
                for model in (path.read_bytes(), washed_out)
            )
            # Small pictures of a network of random weights; trained ones at 640x480: 35 to 39 dB.
            assert plain > 25 and plain > mean + 5, (plain, mean)
    port = onnx.load(path).graph.input[0]
    assert "multiples of 4" in port.doc_string and "every 8th row" in port.doc_string


def test_of_all_rows_the_vectors_are_those_that_the_runtime_folds(
    source, photos_folder, monkeypatch
):
    """But for the rounding of the sample, which Sheppard's correction takes out of the variance."""
    monkeypatch.setattr(sampling, "STEP", 1)
    monkeypatch.setattr("export.int8.integer_graph.assemble", unshrunk())
    parts, calibration, folding = parts_of(source, photos_folder)
    model = integer_graph(parts, calibration, folding, sampled=True)
    photo = data.astronaut()[:256, :320]
    mean, variance = run(folding.graph, photo)
    wanted = folding.initializers(np.concatenate([mean, variance]))
    names = [name for name in wanted if name.endswith("weight_scale")]
    for name in names:
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None])
        )
    found = dict(zip(names, run(model, photo, names), strict=True))
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=0.06)


def unshrunk():
    """`assemble` without taking the margin off bit by bit: then all rows are those measured."""
    from export.int8.integer_graph import assemble

    return lambda *given, **_: assemble(*given)


def test_the_runtime_takes_the_computed_vectors_out(source, photos_folder):
    """With the same vectors, both graphs paint the same picture to the last bit."""
    parts, calibration, folding = parts_of(source, photos_folder)
    photo = data.astronaut()[:128, :160]
    computing = integer_graph(parts, calibration, folding, sampled=True).SerializeToString()
    stored = folding.with_vectors(computing)
    kinds = [node.op_type for node in onnx.load_from_string(stored).graph.node]
    assert "Sqrt" not in kinds and "MatMul" not in kinds
    constant = integer_graph(parts, calibration, folding).SerializeToString()
    assert folding.with_vectors(constant) == constant, "nothing to take out"
    mean, variance = run(folding.graph, photo)
    values = folding.initializers(np.concatenate([mean, variance]))
    pictures = []
    for graph in (stored, constant):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        kept = {n: ort.OrtValue.ortvalue_from_numpy(v) for n, v in values.items()}
        for name, value in kept.items():
            options.add_initializer(name, value)
        session = ort.InferenceSession(graph, options)
        pictures.append(session.run(None, {"image": photo[None]})[0])
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("height", [12, 16, 20, 36, 40])
def test_small_pictures_have_a_sample(source, photos_folder, height):
    parts, calibration, folding = parts_of(source, photos_folder)
    model = integer_graph(parts, calibration, folding, sampled=True)
    picture = np.ascontiguousarray(data.astronaut()[100 : 100 + height, 200:232])
    assert run(model, picture)[0].shape == (1, height, 32, 3)
