import copy
import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import export.artifact as flow
import export.int8.integer_graph as integer_graph_module
from export.__main__ import main
from export.int8 import whole_frame
from export.int8.calibrate import calibrate
from export.int8.integer_graph import folding_of, integer_graph
from export.int8.lean_layers import PADDINGS, activations, take_apart
from export.int8.scales import quantize_range, quantize_weights
from export.source import load_source
from export.targets import Options
from export.verify.parity import psnr
from export.verify.photos import load_photos
from runtime.card import KEY, ModelCard
from runtime.errors import UsageError
from runtime.model import arrays
from runtime.model.folding import Folding
from runtime.model.session import open_session
from training import networks
from training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def generator(checkpoint):
    return load_checkpoint(checkpoint).build_generator()


@pytest.fixture(scope="module")
def int8_model(checkpoint, photos_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "toy-int8.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
        given = ["--checkpoint", str(checkpoint), "--output", str(path), "--precision", "int8"]
        assert main([*given, "--photos", str(photos_folder), "--quiet"]) == 0
    return path


def as_the_runtime_runs_it(path):
    """The graph with constants in place of what it computes for those without our runtime."""
    model = onnx.load(path)
    folding = Folding.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    return onnx.load_from_string(folding.with_vectors(path.read_bytes()))


def painted(parts, picture):
    """The picture that `activations` of a network stands for."""
    head = activations(parts, picture)["head"]
    r, m = parts.scale, parts.margin
    _, _, rows, columns = head.shape
    split = head.reshape(1, r, r, 3, rows, columns).permute(0, 3, 4, 1, 5, 2)
    whole = split.reshape(1, 3, rows * r, columns * r)
    return whole[:, :, m : rows * r - m, m : columns * r - m]


@pytest.mark.parametrize("normalization", ["instance", "none"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("margin", [0, 8])
def test_taken_apart_it_paints_the_same(normalization, padding, margin):
    torch.manual_seed(1)
    network = networks.build(
        "lean", width=8, blocks=2, normalization=normalization, padding=padding, margin=margin
    )
    picture = torch.rand(1, 3, 40, 52)
    parts = take_apart(network)
    with torch.no_grad():
        expected = network(picture)
    # Half a level at the edge is all that zeros may differ: the stem's zero is a byte.
    most = 0.01 if padding == "zeros" else 1e-5
    assert (painted(parts, picture) - expected).abs().max() < most


def test_clipping_ranges_are_the_same_in_parts_and_whole(generator, photos_folder):
    network = copy.deepcopy(generator)
    parts, photos = take_apart(network), load_photos(photos_folder)
    assert parts.clipping_ranges() == {}
    ranges = calibrate(parts, photos).whole_ranges()
    half = {name: (low / 2, high / 2) for name, (low, high) in ranges.items()}
    network.clip(half)
    parts = take_apart(network)
    assert parts.clipping_ranges() == half
    picture = torch.from_numpy(photos[0][:64, :96].transpose(2, 0, 1).copy())[None] / 255
    with torch.no_grad():
        free, expected = generator(picture), network(picture)
    assert (painted(parts, picture) - expected).abs().max() < 0.01
    assert (free - expected).abs().max() > 0.05
    again = calibrate(parts, photos).whole_ranges()
    for name, (low, high) in half.items():
        assert again[name][0] >= low and again[name][1] <= high * (1 + 1e-6)
    with pytest.raises(ValueError, match="stem"):
        network.clip({"stem": (0.0, 1.0)})


def test_scales_of_normalizations_are_not_negative(generator):
    layers = take_apart(generator).layers
    assert any((p < 0).any() for n, p in generator.named_parameters() if "norm" in n)
    assert all((layer.gamma >= 0).all() for layer in layers if layer.gamma is not None)


def test_ranges_leave_one_value_in_a_thousand_outside(generator, photos_folder):
    parts = take_apart(generator)
    photo = load_photos(photos_folder)[:1]
    low, high = calibrate(parts, photo, 90.0).ranges["block0.conv2"]
    lower, higher = calibrate(parts, photo, 99.9).ranges["block0.conv2"]
    everything = calibrate(parts, photo, 100.0).ranges["block0.conv2"]
    assert (lower <= low).all() and (higher >= high).all()
    assert (everything[0] <= lower).all() and (everything[1] >= higher).all()
    assert (low <= 0).all() and (high >= 0).all()


def test_quantizers():
    weight = np.array([[[[0.99, -2.0]]], [[[0.0, 0.0]]]], np.float32)
    rounded, scale = quantize_weights(weight)
    assert rounded.ravel().tolist() == [31, -63, 0, 0]
    assert scale[0] == pytest.approx(2 / 63)
    assert quantize_range(0.0, 2.55) == (pytest.approx(0.01), 0)
    scale, zero = quantize_range(-1.0, 1.0)
    assert zero in (127, 128) and scale == pytest.approx(2 / 255)


def test_weights_fit_cores_that_add_pairs_in_16_bits(int8_model):
    graph = onnx.load(int8_model).graph
    weights = [onnx.numpy_helper.to_array(t) for t in graph.initializer if "weight" in t.name]
    assert max(np.abs(w.astype(int)).max() for w in weights if w.dtype == np.int8) * 2 * 255 < 2**15


def test_bytes_at_both_ends_and_no_float_of_frame_size(int8_model):
    model = onnx.load(int8_model)
    kinds = [
        value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)
    ]
    assert kinds == [onnx.TensorProto.UINT8] * 2
    operations = [node.op_type for node in as_the_runtime_runs_it(int8_model).graph.node]
    # Every float value is between a DequantizeLinear and a QuantizeLinear: nothing is cast.
    assert "Cast" not in operations and "InstanceNormalization" not in operations
    card = ModelCard.from_json({e.key: e.value for e in model.metadata_props}[KEY])
    assert (card.precision, card.inputs[0].layout, card.inputs[0].dtype) == (
        "int8", "NHWC", "uint8",
    )  # fmt: skip


def test_the_engine_runs_it_in_integers(int8_model, tmp_path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    graph = as_the_runtime_runs_it(int8_model).SerializeToString()
    ort.InferenceSession(graph, options)
    operations = [n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operations.count("QLinearConv") == 4 and operations.count("QLinearAdd") == 1
    assert not {"Conv", "QuantizeLinear", "DequantizeLinear", "Cast"} & set(operations)
    assert "Transpose" not in operations  # the layout ones have canceled


def test_a_head_with_equal_phases_paints_one_color_as_one(photos_folder):
    import onnxruntime as ort

    torch.manual_seed(0)
    network = networks.build(
        "lean", width=8, blocks=1, margin=0, padding="replicate", equal_phases=True
    ).requires_grad_(False)
    network.head.weight.normal_(std=0.1)
    # Else what is constant is normalized to zero, and zero paints no net.
    network.trunk[0].norm2.bias.normal_()
    network.constrain()
    even = take_apart(network)
    calibration = calibrate(even, load_photos(photos_folder))
    gray = np.full((1, 48, 64, 3), (200, 190, 150), np.uint8)
    spread = []
    for parts in (
        even,
        replace(even, layers=(*even.layers[:-1], replace(even.layers[-1], phases=0))),
    ):
        folding = folding_of(parts, calibration)
        model = integer_graph(parts, calibration, folding, sampled=True)
        (painted,) = ort.InferenceSession(model.SerializeToString()).run(None, {"image": gray})
        spread.append(np.ptp(painted, axis=(1, 2)).max())
    assert spread[0] == 0 < spread[1]


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("margin", [0, 8, 16, 24])
def test_a_margin_taken_off_bit_by_bit_leaves_the_same_picture(
    generator, photos_folder, monkeypatch, margin, padding
):
    import onnxruntime as ort

    def paint(picture):
        model = integer_graph(parts, calibration, folding)
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        repeated = {node.output[0] for node in model.graph.node if "surround" in node.output[0]}
        read = {n.output[0]: n.input[0] for n in model.graph.node}
        pads = [
            int(read[n.input[0]] in repeated)
            or next(a.ints[0] for a in n.attribute if a.name == "pads")
            for n in convolutions
        ]
        session = ort.InferenceSession(model.SerializeToString())
        return pads, session.run(None, {"image": picture[None]})[0]

    photos = load_photos(photos_folder)
    parts = replace(take_apart(generator), margin=margin, padding=padding)
    calibration = calibrate(parts, photos)
    folding = folding_of(parts, calibration)
    picture = np.ascontiguousarray(photos[0][:60, :84])
    pads, shrunk = paint(picture)
    whole = integer_graph_module.assemble
    monkeypatch.setattr(integer_graph_module, "assemble", lambda *a, shrink: whole(*a))
    all_pads, expected = paint(picture)
    cells = min(margin // parts.scale, len(parts.layers))
    assert all_pads == [1] * len(parts.layers)
    assert pads == [1] * (len(parts.layers) - cells) + [0] * cells
    np.testing.assert_array_equal(shrunk, expected)


def test_stills_match_the_float_network(int8_model, generator, photos_folder):
    photos = [p[:96, :160] for p in load_photos(photos_folder)]
    with open_session(int8_model) as session:
        for photo in photos:
            session.reset()
            styled = session.stylize(photo)
            picture = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255
            with torch.no_grad():
                live = generator(picture).clamp(0, 1)[0].permute(1, 2, 0).numpy()
            assert psnr(live, styled / 255) > 30


@pytest.fixture(scope="module", params=["replicate", "reflect"])
def surrounded(request, new_checkpoint, tmp_path_factory):
    """A network without margin whose convolutions repeat the picture's edge."""
    path = tmp_path_factory.mktemp("surrounded") / f"{request.param}.safetensors"
    new_checkpoint(path, width=16, blocks=1, padding=request.param, margin=0)
    return load_checkpoint(path).build_generator()


def int8_session(parts, photos):
    import onnxruntime as ort

    calibration = calibrate(parts, photos)
    model = integer_graph(parts, calibration, folding_of(parts, calibration))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return model, ort.InferenceSession(model.SerializeToString(), options)


def test_bytes_are_padded_and_it_is_bit_for_bit_what_padded_floats_give(surrounded, photos_folder):
    import onnxruntime as ort

    photos = load_photos(photos_folder)
    model, session = int8_session(take_apart(surrounded), photos)
    picture = photos[0][:60, :84][None]
    found = session.run(None, {"image": picture})[0]
    nodes, moved = [], 0
    for node in model.graph.node:
        if node.op_type != "Pad":
            nodes.append(node)
            continue
        (reader,) = [n for n in model.graph.node if node.output[0] in n.input]
        assert reader.op_type == "DequantizeLinear"
        make, name, constants = onnx.helper.make_node, node.name or node.output[0], reader.input[1:]
        nodes += [
            make("DequantizeLinear", [node.input[0], *constants], [f"{name}.floats"]),
            make("Pad", [f"{name}.floats", node.input[1]], [f"{name}.padded"], mode=_mode(node)),
            make("QuantizeLinear", [f"{name}.padded", *constants], [node.output[0]]),
        ]
        moved += 1
    assert moved == 4
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    expected = ort.InferenceSession(model.SerializeToString(), options).run(
        None, {"image": picture}
    )[0]
    np.testing.assert_array_equal(found, expected)


def _mode(pad):
    return next(a.s for a in pad.attribute if a.name == "mode")


def test_surrounded_convolutions_still_run_in_integers(surrounded, photos_folder, tmp_path):
    import onnxruntime as ort

    model, _ = int8_session(take_apart(surrounded), load_photos(photos_folder))
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options)
    operations = [n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operations.count("QLinearConv") == operations.count("Pad") == 4
    assert not {"Conv", "QuantizeLinear", "DequantizeLinear", "Transpose"} & set(operations)


@settings(max_examples=12, deadline=None)
@given(height=st.integers(24, 90), width=st.integers(24, 90), seed=st.integers(0, 99))
@example(height=25, width=24, seed=1)
def test_int8_with_repeated_edges_is_its_float_counterpart_up_to_the_border(
    replicated_pair, height, width, seed
):
    """Any size, odd ones as well: the border is as near to the float network as the middle.

    Below 40 px a normalization divides by the deviation of some dozens of values, which magnifies
    rounding: of 700 random pictures the worst such one had 24.7 dB, the worst larger one 29.2.
    """
    least = 28 if min(height, width) >= 40 else 24
    network, path = replicated_pair
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (width, height))
    with open_session(path) as session:
        styled = session.stylize(coarse)
    even = arrays.pad_to(coarse, height + -height % 4, width + -width % 4)
    picture = torch.from_numpy(even.transpose(2, 0, 1).copy())[None] / 255
    with torch.no_grad():
        live = network(picture).clamp(0, 1)[0].permute(1, 2, 0).numpy()[:height, :width]
    assert psnr(live, styled / 255) > least
    ring = np.ones((height, width), bool)
    ring[4:-4, 4:-4] = False
    assert psnr(live[ring], styled[ring] / 255) > least - 2


@pytest.fixture(scope="module")
def replicated_pair(new_checkpoint, photos_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicate")
    checkpoint = new_checkpoint(
        folder / "toy.safetensors", width=16, blocks=1, padding="replicate", margin=0
    )
    path = folder / "toy.onnx"
    source = load_source(checkpoint, "toy")
    options = Options("int8", None, 18, load_photos(photos_folder), {}, print)
    whole_frame.write(source, path, options)
    return source.generator, path


def test_report_tells_what_was_done(int8_model):
    report = json.loads(int8_model.with_suffix(".json").read_text())
    assert any("percentile" in step for step in report["steps"])
    assert any("foldable" in step for step in report["steps"])


def test_without_normalization_nothing_is_folded(new_checkpoint, tmp_path, photos_folder):
    source = new_checkpoint(tmp_path / "plain.safetensors", width=8, blocks=1, normalization="none")
    path = tmp_path / "plain.onnx"
    given = ["--checkpoint", str(source), "--output", str(path), "--precision", "int8"]
    assert main([*given, "--photos", str(photos_folder), "--quiet"]) == 0
    stored = {entry.key for entry in onnx.load(path).metadata_props}
    assert "impasto.folding" not in stored
    with open_session(path) as session:
        assert session.stylize(np.zeros((7, 9, 3), np.uint8)).shape == (7, 9, 3)


def test_figures_survive_the_file(generator, photos_folder):
    parts = take_apart(generator)
    folding = folding_of(parts, calibrate(parts, load_photos(photos_folder)))
    again = Folding.from_metadata(folding.to_metadata())
    assert again.graph == folding.graph
    for one, other in zip(folding.layers, again.layers, strict=True):
        assert (one.name, one.input_scale, one.epsilon) == (
            other.name, other.input_scale, other.epsilon,
        )  # fmt: skip
        assert np.array_equal(one.gamma, other.gamma) and np.array_equal(one.beta, other.beta)


@pytest.mark.parametrize("padding", PADDINGS)
def test_the_measuring_graph_measures_what_torch_does(generator, photos_folder, padding):
    import onnxruntime as ort

    parts = replace(take_apart(generator), padding=padding)
    photo = load_photos(photos_folder)[0][:64, :96]
    graph = folding_of(parts, calibrate(parts, [photo])).graph
    mean, variance = ort.InferenceSession(graph).run(None, {"image": photo[None]})
    found = activations(parts, torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255)
    for name, values in (("mean", mean), ("variance", variance)):
        expected = np.concatenate(
            [found[f"{x.name}.{name}"].numpy() for x in parts.layers if x.gamma is not None]
        )
        # Weights are rounded to 7 bits in the graph, activations to bytes.
        assert np.abs(values[0] - expected).max() < 0.05 * np.abs(expected).max()


def test_other_networks_are_refused():
    with pytest.raises(UsageError, match='made of "lean" networks, this is "johnson"'):
        take_apart(networks.build("johnson", width=4, blocks=1))
    with pytest.raises(UsageError, match="zeros, replicate, reflect as padding"):
        take_apart(networks.build("lean", width=8, blocks=1, padding="circular"))
