"""Pictures in, painted pictures out, each painted for itself. Triton's Python backend runs this."""

import numpy as np
import served
import triton_python_backend_utils as pb_utils


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
        return self._session.stylize(given["image"], **served.conditions(given, self._session.card))
