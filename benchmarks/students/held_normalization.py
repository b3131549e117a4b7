"""A torch network that paints one picture with the statistics of another."""

from typing import TYPE_CHECKING

import numpy as np

from runtime.frame import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.networks.layers import InstanceNorm


class HeldNormalization:
    """A generator whose instance normalizations remember the picture painted last.

    Args:
        generator: of `training.networks`, in evaluation mode, float32.
    """

    def __init__(self, generator: "nn.Module") -> None:
        from training.networks.layers import InstanceNorm

        self._generator, self._held = generator, False
        self._kept: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        for module in generator.modules():
            if isinstance(module, InstanceNorm):
                module.register_forward_hook(self._hook)

    def paint(self, picture: Image) -> np.ndarray:
        """(H, W, 3) uint8 to the painted picture, float32 in 0..1, by its own statistics; both
        sides must be multiples of the generator's."""
        self._held = False
        return self._run(picture)

    def paint_held(self, picture: Image) -> np.ndarray:
        """The same by the statistics of the picture given to `paint` last."""
        self._held = True
        return self._run(picture)

    def _run(self, picture: Image) -> np.ndarray:
        from training.data.images import to_tensor
        from training.painting import paint

        painted = paint(self._generator, to_tensor(picture))
        return painted[0].permute(1, 2, 0).contiguous().numpy()

    def _hook(
        self, module: "InstanceNorm", inputs: "tuple[Tensor, ...]", output: "Tensor"
    ) -> "Tensor":
        from export.int8.lean_layers import EPSILON

        (x,) = inputs
        if not self._held:
            self._kept[module] = x.mean((2, 3), True), x.var((2, 3), False, keepdim=True)
            return output
        mean, variance = self._kept[module]
        gain = module.weight[:, None, None] / (variance + EPSILON).sqrt()
        return (x - mean) * gain + module.bias[:, None, None]
