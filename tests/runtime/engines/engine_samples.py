"""One small network in the formats of the engines: written here, from the same weights.

styled = clip(conv(relu(instance_norm(conv(image)))), 0, 1),   3x3, zero padding, 3 -> 8 -> 3
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime import engines, plugins
from runtime.card import KEY, ModelCard, Port, beside

CARD = ModelCard("sample", "perceptual", (Port("image"),), (Port("styled"),))
WIDTH = 8


def weights() -> dict[str, np.ndarray]:
    """The same every time; the answer stays inside 0..1 for most pixels."""
    rng = np.random.default_rng(3)
    return {
        "first": rng.normal(0, 0.4, (WIDTH, 3, 3, 3)).astype(np.float32),
        "shift": rng.normal(0, 0.1, WIDTH).astype(np.float32),
        "gamma": rng.normal(1, 0.2, WIDTH).astype(np.float32),
        "beta": rng.normal(0, 0.3, WIDTH).astype(np.float32),
        "second": rng.normal(0, 0.04, (3, WIDTH, 3, 3)).astype(np.float32),
        "middle": np.full(3, 0.5, np.float32),
    }


def write_onnx(path: Path) -> Path:
    """For ONNX Runtime and all who read its files."""
    window = {"kernel_shape": [3, 3], "pads": [1] * 4}
    nodes = [
        helper.make_node("Conv", ["image", "first", "shift"], ["a"], **window),
        helper.make_node("InstanceNormalization", ["a", "gamma", "beta"], ["b"], epsilon=1e-5),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "second", "middle"], ["d"], **window),
        helper.make_node("Clip", ["d", "low", "high"], ["styled"]),
    ]
    stored = {**weights(), "low": np.float32(0), "high": np.float32(1)}
    graph = helper.make_graph(
        nodes,
        "sample",
        *(
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "H", "W"])]
            for name in ("image", "styled")
        ),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {KEY: CARD.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def write_xml(path: Path) -> Path:
    """OpenVINO's own format, by OpenVINO."""
    openvino = pytest.importorskip("openvino", reason="pip install 'impasto[openvino]'")
    source = write_onnx(path.with_suffix(".onnx"))
    openvino.save_model(openvino.Core().read_model(str(source)), str(path), compress_to_fp16=False)
    source.unlink()
    return path


def write_ncnn(path: Path) -> Path:
    """ncnn's format by hand: layers in text, weights in a row (convolutions after a flag)."""
    values = weights()
    window = "1=3 4=1 5=1"
    path.write_text(
        "7767517\n6 6\n"
        "Input image 0 1 image\n"
        f"Convolution one 1 1 image a 0={WIDTH} {window} 6={values['first'].size}\n"
        f"InstanceNorm two 1 1 a b 0={WIDTH} 1=1e-5 2=1\n"
        "ReLU three 1 1 b c\n"
        f"Convolution four 1 1 c d 0=3 {window} 6={values['second'].size}\n"
        "Clip five 1 1 d styled 0=0.0 1=1.0\n"
    )
    flag = struct.pack("<I", 0)  # float32 follows
    parts = [
        *(flag, values["first"].tobytes(), values["shift"].tobytes()),
        *(values["gamma"].tobytes(), values["beta"].tobytes()),
        *(flag, values["second"].tobytes(), values["middle"].tobytes()),
    ]
    path.with_name(path.name.removesuffix(".param") + ".bin").write_bytes(b"".join(parts))
    beside(path).write_text(CARD.to_json())
    return path


# Formats of engines that only run on devices of their own have tests of their own.
WRITERS: dict[str, Callable[[Path], Path]] = {
    ".onnx": write_onnx,
    ".xml": write_xml,
    ".ncnn.param": write_ncnn,
}
CASES = [
    (name, suffix)
    for name in plugins.names(engines)
    for suffix in plugins.load(engines, name).suffixes
    if suffix in WRITERS
]
