"""Per-scene normalization folding: the effect of instance normalization without its cost.

Instance normalization measures the whole picture in every layer. An int8 graph cannot, but for a
given scene the measured mean and variance only change two small vectors per convolution, its weight
scale and its bias:

    gain = gamma / sqrt(variance + epsilon)
    weight scale = gain * (weight scale of the file)
    bias = round((beta - gain * mean) / (input scale * weight scale))

A foldable model file carries these vectors as initializers, which a new ONNX Runtime session can
override in milliseconds, and in its metadata the figures above and a small float graph that
measures mean and variance of every layer on a picture. Or it has nodes that compute the vectors,
for those who run it without this package; initializers take their place here (`with_vectors`).
Nothing here knows any model.
"""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from ..card import FOLDING_KEY, JsonObject
from ..engines import Engine, RememberingEngine
from ..errors import CardMismatch
from ..onnxfile import OnnxFile

# Metadata keys: the layers' figures (JSON), and the measuring graph (base64 of an ONNX file).
KEY = FOLDING_KEY
GRAPH_KEY = "impasto.statistics"
FORMAT = 1
# Biases are int32; beyond this a nearly constant channel would overflow its accumulator.
LARGEST_BIAS = float(2**29)

Statistics = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FoldedLayer:
    """One convolution whose normalization is folded.

    Attributes:
        name: prefix of its initializers: `<name>.weight_scale`, `.bias`, `.bias_scale`.
        input_scale: of its quantized input.
        weight_scale: (C,) of its weights before folding.
        gamma, beta: (C,) of the normalization, gamma not negative.
        epsilon: of the normalization.
    """

    name: str
    input_scale: float
    weight_scale: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float

    def fold(self, mean: np.ndarray, variance: np.ndarray) -> dict[str, np.ndarray]:
        """The initializers for a scene.

        Args:
            mean, variance: (C,) of the bare convolution (without bias) over the picture.
        """
        gain = self.gamma / np.sqrt(np.maximum(variance, 0.0) + self.epsilon)
        shift = self.beta - gain * mean
        # A vanishing gain leaves the shift alone; the floor keeps it representable.
        floor = np.abs(shift) / (LARGEST_BIAS * self.input_scale * self.weight_scale)
        scale = (np.maximum(gain, floor + 1e-12) * self.weight_scale).astype(np.float32)
        bias_scale = np.float32(self.input_scale) * scale
        bias = np.rint(shift / bias_scale.astype(np.float64)).astype(np.int32)
        return {
            f"{self.name}.weight_scale": scale,
            f"{self.name}.bias_scale": bias_scale,
            f"{self.name}.bias": bias,
        }


@dataclass(frozen=True)
class Folding:
    """What a foldable file says about itself.

    Attributes:
        layers: in order; the measuring graph gives their means, then variances, in this order.
        graph: the measuring graph, a serialized ONNX model: the file's picture input to "mean"
            and "variance", each the layers' channels one after the other.
    """

    layers: tuple[FoldedLayer, ...]
    graph: bytes

    @staticmethod
    def from_metadata(metadata: dict[str, str]) -> "Folding | None":
        """Read it; None if the file is not foldable.

        Raises:
            CardMismatch: damaged, or a newer format.
        """
        text = metadata.get(KEY)
        if text is None:
            return None
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise CardMismatch(
                    f"the folding figures have format {data['format']}, this version reads "
                    f"{FORMAT}; export the model again"
                )
            layers = tuple(_layer(entry) for entry in data["layers"])
            graph = base64.b64decode(metadata[GRAPH_KEY], validate=True)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise CardMismatch(f"the model's folding figures are damaged: {error}") from None
        return Folding(layers, graph)

    def to_metadata(self) -> dict[str, str]:
        """The way back."""
        layers = [
            {
                "name": layer.name,
                "input_scale": layer.input_scale,
                "epsilon": layer.epsilon,
                **{key: _packed(getattr(layer, key)) for key in VECTORS},
            }
            for layer in self.layers
        ]
        return {
            KEY: json.dumps({"format": FORMAT, "layers": layers}),
            GRAPH_KEY: base64.b64encode(self.graph).decode("ascii"),
        }

    def with_vectors(self, model: bytes, name: str = "the model") -> bytes:
        """A foldable ONNX file whose vectors are all initializers, of a scene that is none.

        Where the file normalizes by itself, a layer is a convolution `<layer>.bare.output.bytes`,
        a sum, and `<layer>.output.bytes`; it becomes the one convolution with a bias.

        Raises:
            CardMismatch: another program renamed or folded away what is replaced here, so that
                the picture would be another one without a word.
        """
        file = OnnxFile.parse(model)
        made = {name: node for node in file.nodes for name in node.outputs}
        nodes = list(file.nodes)
        stored: dict[str, np.ndarray] = {}
        # No two vectors are equal: ONNX Runtime would make one of them, and the other of no effect.
        steps = np.arange(1.0, self.channels + 1)
        vectors = self.initializers(np.stack([steps, 1 + steps / self.channels]))
        for layer in self.layers:
            bare = made.get(f"{layer.name}.bare.output.bytes")
            last = made.get(f"{layer.name}.output.bytes")
            if bare is None or last is None:
                self._check(layer, file.initializers, name)
                continue
            if len(bare.inputs) < 6 or bare not in nodes or last not in nodes:
                raise CardMismatch(f"the model's folding figures do not fit its layer {layer.name}")
            scale, bias = f"{layer.name}.weight_scale", f"{layer.name}.bias"
            inputs = (*bare.inputs[:4], scale, bare.inputs[5], *last.inputs[1:], bias)
            nodes[nodes.index(bare)] = replace(bare, inputs=inputs, outputs=last.outputs)
            nodes.remove(last)
            stored |= {name: vectors[name] for name in (scale, bias)}
        if not stored:
            return model
        return file.replaced(nodes).with_constants(stored).serialize(file.outputs)

    def _check(self, layer: FoldedLayer, stored: frozenset[str], name: str) -> None:
        wanted = [f"{layer.name}.weight_scale", f"{layer.name}.bias"]
        missing = [tensor for tensor in wanted if tensor not in stored]
        if missing:
            raise CardMismatch(
                f"{name} was changed after its export: it has no {' and no '.join(missing)}, "
                "which every scene replaces; use the file as it was exported"
            )

    @property
    def channels(self) -> int:
        """Of all layers together."""
        return sum(len(layer.gamma) for layer in self.layers)

    def initializers(self, statistics: np.ndarray) -> dict[str, np.ndarray]:
        """All overriding initializers for a scene.

        Args:
            statistics: (2, channels of all layers): means, variances.
        """
        found: dict[str, np.ndarray] = {}
        start = 0
        for layer in self.layers:
            stop = start + len(layer.gamma)
            found |= layer.fold(*statistics[:, start:stop])
            start = stop
        return found


@dataclass(frozen=True)
class Scene:
    """What is known of a scene between two pictures, for whoever goes on with it.

    A fold follows from all pictures since its scene began (`folding_engine`). A process that is to
    paint from the middle need not look at them again: these figures, some kilobytes, are all.

    Attributes:
        current, goal: (2, channels) float32, the statistics that are folded in, and those that the
            fold moves to.
        signature: cheap figures of the picture that was measured last.
        shape: of the pictures.
        frame: pictures since the first one, `due`: when the measurement that was begun is used,
            `rested`: when the last one was.
        rough: whether the first picture's exact figures are still to come.
        correction: what a smaller copy's statistics lack, None where that is not known.
        begun: what the measurement that was begun found: statistics and correction; None without.
    """

    current: np.ndarray
    goal: np.ndarray
    signature: np.ndarray
    shape: tuple[int, ...]
    frame: int
    due: int
    rested: int
    rough: bool = False
    correction: np.ndarray | None = None
    begun: tuple[np.ndarray, np.ndarray | None] | None = None

    def to_json(self) -> JsonObject:
        """Exact: arrays as NumPy's own files, in base64."""
        return {
            "current": _text(self.current),
            "goal": _text(self.goal),
            "signature": _text(self.signature),
            "shape": list(self.shape),
            "frame": self.frame,
            "due": self.due,
            "rested": self.rested,
            "rough": self.rough,
            "correction": _text(self.correction),
            "begun": None if self.begun is None else [_text(part) for part in self.begun],
        }

    @staticmethod
    def from_json(values: JsonObject) -> "Scene":
        """The way back."""
        begun = values["begun"]
        return Scene(
            current=_array(values["current"]),
            goal=_array(values["goal"]),
            signature=_array(values["signature"]),
            shape=tuple(values["shape"]),
            frame=values["frame"],
            due=values["due"],
            rested=values["rested"],
            rough=values["rough"],
            correction=_perhaps(values["correction"]),
            begun=None if begun is None else (_array(begun[0]), _perhaps(begun[1])),
        )


@runtime_checkable
class SceneEngine(RememberingEngine, Protocol):
    """An engine of a model that is folded for each scene (`folding_engine`).

    Attributes:
        folding: the model's figures.
    """

    folding: Folding

    def observe(self, picture: np.ndarray) -> None:
        """Follow the scene to a picture that is not painted."""
        ...

    def scene(self) -> Callable[[], Scene | None]:
        """What is known now, worked out when it is asked for; None before a scene's first
        picture."""
        ...

    def restore(self, scene: Scene | None) -> None:
        """Go on behind what another process, or this one, knew; None: a new scene."""
        ...

    def hurry(self) -> None:
        """From now on, scenes begin quickly rather than exactly."""
        ...

    def folded(self, found: dict[str, np.ndarray]) -> Engine:
        """The model folded for what its measuring graph answered elsewhere."""
        ...


VECTORS = ("weight_scale", "gamma", "beta")


def _packed(values: np.ndarray) -> str:
    """Little-endian float32, as base64: exact, and a third of the size of decimal digits."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _layer(entry: JsonObject) -> FoldedLayer:
    vectors = {
        key: np.frombuffer(base64.b64decode(entry[key], validate=True), "<f4") for key in VECTORS
    }
    if len({len(values) for values in vectors.values()}) != 1:
        raise ValueError(f"vectors of different length in {entry['name']}")
    layer = FoldedLayer(
        name=str(entry["name"]),
        input_scale=float(entry["input_scale"]),
        epsilon=float(entry["epsilon"]),
        **vectors,
    )
    numbers = [
        layer.input_scale,
        layer.epsilon,
        *(v for values in vectors.values() for v in values),
    ]
    if not np.isfinite(numbers).all() or min(layer.input_scale, *layer.weight_scale) <= 0:
        raise ValueError(f"scales of {layer.name} that are not above 0, or no numbers")
    return layer


def _text(array: np.ndarray | None) -> str | None:
    if array is None:
        return None
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _array(text: str) -> np.ndarray:
    return np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False)


def _perhaps(text: str | None) -> np.ndarray | None:
    return None if text is None else _array(text)
