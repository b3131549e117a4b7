"""What a request to one of our models says, as plain values. Lies beside each `model.py`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from impasto import ModelCard, StyleSession, open_session
from impasto.runtime.engines import Engine
from impasto.runtime.errors import StyleError, UsageError
from impasto.runtime.model import formats
from impasto.runtime.model.conditions import Condition

Tensors = Mapping[str, np.ndarray]


class Settings:
    """The parameters of the model's config.pbtxt, and where the model lies."""

    def __init__(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._values = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._folder = f"{args['model_repository']}/{args['model_version']}"
        gpu = f"cuda:{args['model_instance_device_id']}"
        self._device = gpu if args["model_instance_kind"] == "GPU" else "cpu"

    def number(self, key: str) -> int:
        """A whole number."""
        return int(self._values[key])

    def text(self, key: str) -> str:
        """A word."""
        return self._values[key]

    def open(self) -> StyleSession:
        """The model file of this folder."""
        threads = self.number("threads") or None
        path = f"{self._folder}/{self.text('model')}"
        return open_session(path, device=self._device, threads=threads)

    def open_graph(self) -> Engine:
        """The same as a bare graph: tensors in, tensors out."""
        path = Path(f"{self._folder}/{self.text('model')}")
        return formats.open_model(path, "onnxruntime", self._device, self.number("threads") or None)


def tensors(request: "pb_utils.InferenceRequest") -> dict[str, np.ndarray]:
    """Name -> array of the inputs that were given."""
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def response(
    answer: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    request: "pb_utils.InferenceRequest",
) -> "pb_utils.InferenceResponse":
    """The outputs that `answer` gives to a request's inputs, or the line of its error."""
    try:
        outputs = answer(tensors(request)).items()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in outputs])
    except StyleError as error:
        return refusal(error)


def refusal(error: StyleError) -> "pb_utils.InferenceResponse":
    """The line of an error: a caller's is INVALID_ARG (400), ours INTERNAL (500)."""
    wrong = isinstance(error, UsageError)
    code = pb_utils.TritonError.INVALID_ARG if wrong else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))


def check_size(shape: tuple[int, ...], max_pixels: int) -> None:
    """Refuse pictures that are empty or larger than this server wants to paint.

    Args:
        shape: (..., height, width, 3).
        max_pixels: of one picture.

    Raises:
        UsageError: such a picture.
    """
    height, width = shape[-3], shape[-2]
    if not 0 < height * width <= max_pixels:
        raise UsageError(
            f"the picture is {width}x{height}, allowed are 1 to {max_pixels} pixels; send a "
            "smaller one"
        )


def conditions(given: Tensors, card: ModelCard) -> dict[str, Condition]:
    """What `StyleSession.stylize` takes besides the picture.

    Args:
        given: inputs of one picture, without the batch axis.
        card: of the model.
    """
    numbers = ["strength", *(port.name for port in card.inputs if port.role == "scalar")]
    found: dict[str, Condition] = {
        name: float(given[name].flat[0]) for name in numbers if name in given
    }
    if not 0.0 <= given.get("strength", np.ones(1)).flat[0] <= 1.0:
        raise UsageError(f"strength is {found['strength']:g}, allowed is 0..1")
    if "code" in given:
        found["code"] = given["code"]
    if "style" in given:
        found["style"] = _style(given)
    return found


def _style(given: Tensors) -> Condition:
    style = given["style"]
    if style.dtype == np.uint8:
        check_size(style.shape, style.size)
        return style
    names = [name.decode("utf-8", "replace") for name in style.flat]
    weights = given.get("weights", np.ones(len(names), np.float32)).ravel()
    usable = len(weights) == len(names) > 0 and bool(np.all(weights > 0))
    if not usable or not np.all(np.isfinite(weights)):
        raise UsageError(
            f"{len(names)} styles have the weights {weights.tolist()}, allowed is one number above "
            "0 for each"
        )
    return [(name, float(weight)) for name, weight in zip(names, weights, strict=True)]
