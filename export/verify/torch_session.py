"""PyTorch behind the runtime's engine contract, so that a checkpoint and its artifact are judged
through the same `StyleSession`: padding, scaling and rounding cannot differ."""

from collections.abc import Sequence

import numpy as np
import torch

from runtime.engines import TensorInfo
from runtime.model.session import StyleSession

from ..source import Clamped, ExportSource, with_size


class TorchEngine:
    """A generator as a `runtime.engines.Engine`."""

    device = "cpu"
    note = ""

    def __init__(self, source: ExportSource) -> None:
        self._module: Clamped | None = Clamped(source.generator).eval()
        self.metadata: dict[str, str] = {}
        (image,), (styled,) = source.card.inputs, source.card.outputs
        self.inputs = (TensorInfo(image.name, image.shape, image.dtype),)
        self.outputs = (TensorInfo(styled.name, styled.shape, styled.dtype),)

    @torch.inference_mode()
    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The styled picture."""
        if self._module is None:
            raise ValueError("this engine was closed")
        image = torch.tensor(feeds[self.inputs[0].name])
        return {self.outputs[0].name: self._module(image).numpy()}

    def close(self) -> None:
        """Forget the generator."""
        self._module = None


def torch_session(source: ExportSource, size: tuple[int, int] | None = None) -> StyleSession:
    """The checkpoint as a session, which accepts one (width, height) only if `size` is given."""
    card = with_size(source.card, size)
    return StyleSession(TorchEngine(source), card, source.path, "torch", source.sha256)
