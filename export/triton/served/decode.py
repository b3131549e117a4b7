"""Picture files in, pixels out: upright, in sRGB, over white where they are transparent."""

import tempfile

import numpy as np
import served
import triton_python_backend_utils as pb_utils

from impasto.runtime.errors import SourceError
from impasto.runtime.pictures.reading import Album, flatten, to_bytes


class TritonPythonModel:
    """See https://github.com/triton-inference-server/python_backend for who calls what."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the limit."""
        self._max_pixels = served.Settings(args).number("max_pixels")

    def execute(
        self, requests: list["pb_utils.InferenceRequest"]
    ) -> list["pb_utils.InferenceResponse"]:
        """One picture for each request."""
        return [served.response(self._decode, request) for request in requests]

    def _decode(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # The readers of the runtime take files: they look at the kind before anything is decoded.
        with tempfile.NamedTemporaryFile(suffix=".picture") as file:
            file.write(given["file"].flat[0])
            file.flush()
            try:
                with Album(file.name, self._max_pixels) as album:
                    picture = next(iter(album))
            except SourceError as error:
                # Not the name of our temporary file: the caller sent none.
                line = str(error).replace(f'"{file.name}"', "the picture")
                raise SourceError(line) from None
        pixels = flatten(to_bytes(picture)).pixels
        return {"image": pixels[None], "still": np.array([[True]])}
