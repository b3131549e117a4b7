"""What an ONNX file holds: parameters and multiply-adds."""

import json
import math
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from runtime.card import JsonObject, ModelCard
from runtime.model import arrays, formats, zoo
from runtime.model.conditions import Conditions
from runtime.model.folding import Folding

# Which inputs of an operator are trained: weight and bias, or scale and shift.
TRAINED = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "InstanceNormalization": (1, 2),
    "BatchNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (3,),
    "ConvInteger": (1,),
    "MatMulInteger": (1,),
}
# Operators that hand a stored tensor on, possibly in another type.
PASSING = ("DequantizeLinear", "Cast", "Identity", "Reshape", "Transpose", "Unsqueeze")
# A transposed convolution multiplies each input element with the kernel, the others make each
# output element from one.
TRANSPOSED = ("ConvTranspose",)
MULTIPLYING = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")


def as_run(path: Path) -> bytes:
    """An ONNX file as our runtime runs it: one that normalizes by itself, with folded constants."""
    content = path.read_bytes()
    if path.suffix != ".onnx":
        return content
    folding = Folding.from_metadata(zoo.read_metadata(path))
    return content if folding is None else folding.with_vectors(content)


def count_parameters(path: Path) -> int | None:
    """Trained numbers in the file: weights, biases, scales and shifts, each stored tensor once.

    Constants of quantization and of shapes do not count. None if the file is no ONNX (`.ort`).
    """
    if path.suffix != ".onnx":
        return None
    import onnx

    stored: dict[str, int] = {}
    passed: dict[str, str] = {}
    trained: list[str] = []
    graph = onnx.load_from_string(as_run(path)).graph
    for tensor in graph.initializer:
        stored[tensor.name] = math.prod(tensor.dims)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                stored.setdefault(node.output[0], math.prod(attribute.t.dims))
        if node.op_type in PASSING and node.input:
            passed[node.output[0]] = node.input[0]
        trained += [node.input[i] for i in TRAINED.get(node.op_type, ()) if i < len(node.input)]
    origins = {_origin(name, passed) for name in trained}
    return sum(stored.get(name, 0) for name in origins)


def _origin(name: str, passed: dict[str, str]) -> str:
    while name in passed:
        name = passed[name]
    return name


class MacCounter:
    """Multiply-adds of a model at any size, exact and without running it there.

    ONNX Runtime's profile tells the shapes of every node, so convolutions and matrix products are
    counted at five small sizes. For a convolutional network, with or without a margin around the
    picture, the count is a H W + b H + c W + d; four sizes give the coefficients, the fifth must
    agree, or `at` runs the model at the real size instead.
    """

    # Multiples of 32, so that no rounding inside the network bends the law.
    SIZES = (*product((64, 128), (64, 128)), (96, 160))

    def __init__(self, path: Path, card: ModelCard) -> None:
        self._path, self._card = path, card
        fixed = arrays.fixed_size(card.port("image"))
        self._fixed = fixed
        self._law: np.ndarray | None = None if fixed else self._fit()
        self._known: dict[tuple[int, int], int | None] = {}

    def at(self, height: int, width: int) -> int | None:
        """Multiply-adds for one picture of this (padded) size; None if the graph hides them."""
        if self._law is not None:
            return round(float(_terms(height, width) @ self._law))
        size = self._fixed or (height, width)
        if size not in self._known:
            self._known[size] = self._profile(*size)
        return self._known[size]

    def _fit(self) -> np.ndarray | None:
        counts = [self._profile(*size) for size in self.SIZES]
        if None in counts:
            return None
        terms = np.array([_terms(*size) for size in self.SIZES])
        values = np.array(counts, dtype=np.float64)
        law = np.linalg.solve(terms[:4], values[:4])
        exact = abs(terms[4] @ law - values[4]) < 0.5
        return law if exact else None

    def _profile(self, height: int, width: int) -> int | None:
        if min(height, width) < self._card.minimum or height % self._card.multiple_of:
            return None
        if "onnxruntime" not in formats.readers().get(formats.suffix_of(self._path), ()):
            return None
        return profile_macs(self._path, self._card, height, width)


def _terms(height: int, width: int) -> np.ndarray:
    return np.array([height * width, height, width, 1.0])


def profile_macs(path: Path, card: ModelCard, height: int, width: int) -> int | None:
    """Count by running once at this size with ONNX Runtime's profiler and no optimization."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        # Weights packed in advance disappear from the inputs that the profile lists.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(as_run(path), options, providers=["CPUExecutionProvider"])
        session.run(None, feeds(path, card, height, width))
        events = json.loads(Path(session.end_profiling()).read_text())
    return sum_macs(events)


def feeds(path: Path, card: ModelCard, height: int, width: int) -> JsonObject:
    """Inputs for one gray picture of this size, and defaults or zeros for everything else."""
    port = card.port("image")
    image = np.full((height, width, 3), 128, np.uint8)
    conditions = Conditions(card, path, "onnxruntime", "cpu")
    style = {"style": image} if any(p.role in ("style", "code") for p in card.inputs) else {}
    return {port.name: arrays.to_tensor(image, port), **conditions.feeds(style, height, width)}


def sum_macs(events: Iterable[JsonObject]) -> int | None:
    """Multiply-adds in a profile's node events; None if a multiplying node hides its shapes."""
    total = 0
    for event in events:
        facts = event.get("args", {})
        operator = facts.get("op_name")
        if event.get("cat") != "Node" or "output_type_shape" not in facts:
            continue
        if operator not in MULTIPLYING and operator != "QLinearConv":
            continue
        shapes = [next(iter(item.values())) for item in facts["input_type_shape"]]
        outputs = [next(iter(item.values())) for item in facts["output_type_shape"]]
        weight = 3 if operator == "QLinearConv" else 1
        if len(shapes) <= weight or not outputs:
            return None
        if operator in ("Gemm", "FusedGemm", "MatMul", "FusedMatMul"):
            total += math.prod(outputs[0]) * shapes[0][-1]
        else:
            pixels = shapes[0] if operator in TRANSPOSED else outputs[0]
            total += math.prod(pixels) * math.prod(shapes[weight][1:])
    return total


@lru_cache
def counter(path: Path, card_json: str) -> MacCounter:
    """A `MacCounter` per model, kept because its five runs take a moment."""
    return MacCounter(path, ModelCard.from_json(card_json))
