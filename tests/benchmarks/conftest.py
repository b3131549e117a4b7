"""A tiny model of known size and two small result files, made here."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.card import KEY, ModelCard, Port

# conv 3x3 (3 -> 8), relu, conv 3x3 (8 -> 3): 216 + 8 and 216 + 3 numbers, 432 products per pixel.
TINY_PARAMETERS = 216 + 8 + 216 + 3
TINY_MACS_PER_PIXEL = 432


def tiny_onnx(path, precision="fp32", **card):
    """Write the tiny model with a card; the answer is its path."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)),
        "b1": np.zeros(8),
        "w2": rng.standard_normal((3, 8, 3, 3)) / 20,
        "b2": np.full(3, 0.5),
    }
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["h"], pads=pads),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "w2", "b2"], ["styled"], pads=pads),
    ]
    shape = ["N", 3, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    details = ModelCard(
        name=path.stem,
        method="perceptual",
        inputs=(Port("image"),),
        outputs=(Port("styled"),),
        multiple_of=4,
        precision=precision,
        **card,
    )
    helper.set_model_props(model, {KEY: details.to_json()})
    onnx.save(model, path)
    return path


@pytest.fixture
def tiny_model(tmp_path):
    """Path of the tiny model."""
    return tiny_onnx(tmp_path / "tiny.onnx")


def latency_row(model, size, p50, **labels):
    """One row as benchmarks.latency writes it, with times spread 1 % around `p50`."""
    times = [round(p50 * (1 + 0.001 * n), 3) for n in range(-10, 11)]
    width, height = (int(part) for part in size.split("x"))
    known = {"model": model, "size": size, "engine": "onnxruntime", "device": "cpu", "threads": 1}
    parts = {"total": p50, "model": p50 * 0.9, "pre": p50 * 0.06, "post": p50 * 0.04}
    return {
        "id": "/".join(str(v) for v in {**known, **labels}.values()),
        "labels": {
            **known,
            "precision": "fp32",
            "role": "ours",
            "weights": "trained",
            **labels,
        },
        "metrics": {
            **{f"{part}_p50_ms": round(ms, 3) for part, ms in parts.items()},
            "total_p95_ms": round(p50 * 1.009, 3),
            "total_p99_ms": round(p50 * 1.01, 3),
            "fps": round(1000 / p50, 2),
            "pixels": width * height,
            "parameters": 102_345,
            "kmacs_per_pixel": 6.912,
            "peak_share_percent": 78.25,
            "peak_memory_mib": 101.5,
            "model_memory_mib": 20.0 + width * height / 1e4,
            "cold_start_ms": 148.6,
            "total_times_ms": times,
            "samples": len(times),
        },
    }


@pytest.fixture
def make_document():
    """A function from rows to a valid result file."""
    from benchmarks.measuring import results

    def make(rows, kind="latency", **settings):
        reading = {"gemm_gflops": 231.4, "conv_gops": 951.2, "copy_gbs": 45.6}
        heat = {"peak": {"t1": reading}, "readings": [reading], "marked_rounds": []}
        data = results.document(kind, rows, {"rounds": 21, **settings}, heat)
        return json.loads(json.dumps(data))

    return make
