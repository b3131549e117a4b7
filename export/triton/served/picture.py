"""Pictures in, painted pictures out, each painted for itself. Triton's Python backend runs this."""

import numpy as np
import served
import triton_python_backend_utils as pb_utils

from impasto.runtime import input_noise
from impasto.runtime.input_noise.still import flat_noise


class TritonPythonModel:
    """See https://github.com/triton-inference-server/python_backend for who calls what."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model."""
        settings = served.Settings(args)
        self._max_pixels = settings.number("max_pixels")
        self._session = settings.open()

    def execute(
        self, requests: list["pb_utils.InferenceRequest"]
    ) -> list["pb_utils.InferenceResponse"]:
        """One response for each request; pictures of one request have one size."""
        return [served.response(self._paint, request) for request in requests]

    def finalize(self) -> None:
        """Free the model."""
        self._session.close()

    def _paint(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = given["image"]
        served.check_size(images.shape, self._max_pixels)
        styled = [
            self._one({name: values[index] for name, values in given.items()})
            for index in range(len(images))
        ]
        return {"styled": np.stack(styled)}

    def _one(self, given: dict[str, np.ndarray]) -> np.ndarray:
        """A picture is a scene of its own: nothing of the one before is left."""
        self._session.reset()
        card = self._session.card
        still = "still" in given and given["still"].flat[0]
        amount = input_noise.unasked([card]) if still else 0.0
        offset = flat_noise(given["image"], amount).whole() if amount else None
        return self._session.stylize(
            given["image"], offset=offset, **served.conditions(given, card)
        )
