"""Whether an execution provider of ONNX Runtime really starts here: it is given a model of one
operation and must run it. What `get_available_providers()` lists is only what the wheel was built
with."""

from typing import Any

import numpy as np

from ..console import quiet
from ..onnxfile import LENGTH, VARINT, encode

# onnx.proto3: TypeProto.Tensor, ValueInfoProto, NodeProto, GraphProto, ModelProto.
FLOAT, IR_VERSION, OPSET = 1, 8, 13


def probe_model() -> bytes:
    """A serialized ONNX model: y = relu(x), both float32 of shape (1, 4)."""
    dimensions = [(1, LENGTH, encode([(1, VARINT, size)])) for size in (1, 4)]
    tensor = encode([(1, VARINT, FLOAT), (2, LENGTH, encode(dimensions))])
    kind = encode([(1, LENGTH, tensor)])
    x, y = (encode([(1, LENGTH, name), (2, LENGTH, kind)]) for name in (b"x", b"y"))
    node = encode([(1, LENGTH, b"x"), (2, LENGTH, b"y"), (4, LENGTH, b"Relu")])
    graph = encode([(1, LENGTH, node), (2, LENGTH, b"probe"), (11, LENGTH, x), (12, LENGTH, y)])
    opset = encode([(1, LENGTH, b""), (2, VARINT, OPSET)])
    return encode([(1, VARINT, IR_VERSION), (7, LENGTH, graph), (8, LENGTH, opset)])


def why_not(ort: Any, provider: str, options: dict[str, Any] | None = None) -> str | None:
    """None if the provider runs the probe model, else why not, in a few words.

    Args:
        ort: the onnxruntime module.
        provider: its name ("CUDAExecutionProvider").
        options: the provider's own.
    """
    if provider not in ort.get_available_providers():
        return "not part of this ONNX Runtime"
    session_options = ort.SessionOptions()
    session_options.log_severity_level = 4  # its banners would stand between a result and --json
    try:
        with quiet():
            session = ort.InferenceSession(
                probe_model(), session_options, providers=[(provider, options or {})]
            )
            active = session.get_providers()[0]
            if active != provider:
                return f"ONNX Runtime fell back to {active}: a library or the device is missing"
            x = np.array([[-1, 0, 1, 2]], np.float32)
            (y,) = session.run(None, {"x": x})
    except Exception as error:  # ORT raises a dozen classes without a common base
        return " ".join(str(error).split())[:160]
    return None if np.array_equal(y, np.maximum(x, 0)) else "it computes wrong results"
