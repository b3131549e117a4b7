"""The float graph in our ONNX Runtime, for servers without a backend for ONNX; requests that wait
are put together, as that backend does. Triton's Python backend runs this."""

import numpy as np
import served
import triton_python_backend_utils as pb_utils

from impasto.runtime.errors import StyleError, UsageError


class TritonPythonModel:
    """See https://github.com/triton-inference-server/python_backend for who calls what."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the graph."""
        settings = served.Settings(args)
        self._max_pixels, self._step = settings.number("max_pixels"), settings.number("multiple_of")
        self._engine = settings.open_graph()

    def execute(
        self, requests: list["pb_utils.InferenceRequest"]
    ) -> list["pb_utils.InferenceResponse"]:
        """One response for each request; those of one size go through the graph together."""
        given = [next(iter(served.tensors(request).values())) for request in requests]
        sizes = [pictures.shape[2:] for pictures in given]
        answers: dict[int, pb_utils.InferenceResponse] = {}
        for size in set(sizes):
            alike = [index for index, other in enumerate(sizes) if other == size]
            answers |= zip(alike, self._answers([given[index] for index in alike]), strict=True)
        return [answers[index] for index in range(len(requests))]

    def finalize(self) -> None:
        """Free the graph."""
        self._engine.close()

    def _answers(self, batches: list[np.ndarray]) -> list["pb_utils.InferenceResponse"]:
        """One response for each batch of pictures of one size."""
        try:
            height, width = batches[0].shape[2:]
            served.check_size((height, width, 3), self._max_pixels)
            if height % self._step or width % self._step:
                raise UsageError(
                    f"the picture is {width}x{height}, allowed are sides that {self._step} "
                    "divides; pad it"
                )
            feeds = {self._engine.inputs[0].name: np.concatenate(batches)}
            (painted,) = self._engine.run(feeds).values()
        except StyleError as error:
            return [served.refusal(error) for _ in batches]
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        name = self._engine.outputs[0].name
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, np.ascontiguousarray(part))])
            for part in np.split(painted, ends)
        ]
