"""Pixels in, JPEG files out."""

import tempfile
from pathlib import Path

import numpy as np
import served
import triton_python_backend_utils as pb_utils

from impasto.runtime.pictures.reading import Picture
from impasto.runtime.pictures.writing import write


class TritonPythonModel:
    """See https://github.com/triton-inference-server/python_backend for who calls what."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the quality."""
        self._quality = served.Settings(args).number("quality")

    def execute(
        self, requests: list["pb_utils.InferenceRequest"]
    ) -> list["pb_utils.InferenceResponse"]:
        """One file for each request."""
        return [served.response(self._encode, request) for request in requests]

    def _encode(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        (image,) = given["styled"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "painted.jpg"
            write(path, [Picture(np.ascontiguousarray(image))], quality=self._quality)
            return {"file": np.array([[path.read_bytes()]], dtype=np.object_)}
