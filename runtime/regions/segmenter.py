"""Where people are in a picture, by a network whose card has a picture in and a mask out."""

from pathlib import Path

import numpy as np

from ..errors import CardMismatch
from ..frame import Image
from ..model import arrays, formats, loops, store
from ..model.card_check import card_of

# The bundled network: MediaPipe's selfie segmentation, see `export.import_segmentation`.
DEFAULT = "person"


class Segmenter:
    """An open segmentation network.

    Args:
        model: name or path, found as models are.
        device, threads: of its engine; one thread is enough for 3 ms at 256x256.

    Raises:
        ModelNotFound: no such file.
        CardMismatch: the file has no card, or no mask among its outputs.
    """

    def __init__(self, model: str | Path = DEFAULT, device: str = "cpu", threads: int = 1) -> None:
        path = store.resolve(model)
        name = formats.choose(path)
        self._engine = loops.opened(
            lambda: formats.open_model(path, name, device, threads), path, name, device
        )
        card = card_of(self._engine, path)
        if card is None:
            raise CardMismatch(f'"{path}" has no card; a mask needs a model whose card names one')
        masks = [port for port in card.outputs if port.role == "mask"]
        if not masks:
            raise CardMismatch(f'model "{card.name}" gives no mask')
        self._picture, self._mask = card.port("image"), masks[0]
        self._size = arrays.fixed_size(self._picture)

    def mask(self, image: Image) -> np.ndarray:
        """How surely each place belongs to a person.

        Args:
            image: (H, W, 3) uint8 RGB; brought to the network's size.

        Returns:
            (h, w) float32 in 0..1 of the network's size.
        """
        if self._size is not None:
            image = arrays.resize(image, *self._size)
        found = self._engine.run({self._picture.name: arrays.to_tensor(image, self._picture)})
        low, high = self._mask.low, self._mask.high
        mask = found[self._mask.name].reshape(image.shape[:2]).astype(np.float32)
        return mask if (low, high) == (0.0, 1.0) else (mask - low) / (high - low)

    def close(self) -> None:
        """Free the engine; may be called twice."""
        self._engine.close()
