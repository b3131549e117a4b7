"""How near a picture is to the one wanted: PSNR, and LPIPS with the backbone that is here.

The official LPIPS needs AlexNet or VGG-16. With SqueezeNet the formula is the same and the number
is another: "LPIPS-squeezenet" orders pictures of one run and is never compared with published
values.
"""

import os
from pathlib import Path

import torch
from torch import Tensor

from runtime.errors import EngineUnavailable, UsageError

from ..backbones import Backbone, open_backbone

# LPIPS' own scaling of [-1, 1] is ImageNet's mean and deviation of [0, 1], which our backbone
# applies itself: pictures go in as they are.
LPIPS_LAYERS = ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
LPIPS_FILE = "lpips_v0_1_squeeze_linear.safetensors"


def weights_folder(weights: str | Path | None) -> Path:
    """The folder of pretrained weights that was given, or that IMPASTO_WEIGHTS names.

    Raises:
        EngineUnavailable: neither.
    """
    root = weights or os.environ.get("IMPASTO_WEIGHTS")
    if root is None:
        raise EngineUnavailable(
            "no weights: set IMPASTO_WEIGHTS to their folder, or pass --weights"
        )
    return Path(root)


def open_squeezenet(weights: str | Path | None) -> Backbone:
    """The backbone of all proxy metrics."""
    return open_backbone("squeezenet", weights_folder(weights))


def load_lpips_heads(weights: str | Path | None) -> list[Tensor]:
    """The seven linear heads, (1, C, 1, 1) each, not negative.

    Raises:
        EngineUnavailable: the file is absent.
        UsageError: it holds other tensors.
    """
    from safetensors.torch import load_file

    path = weights_folder(weights) / LPIPS_FILE
    if not path.is_file():
        raise EngineUnavailable(
            f"{LPIPS_FILE} not found in {path.parent}; it is lpips/weights/v0.1/squeeze.pth of "
            "richzhang/PerceptualSimilarity (BSD-2), as safetensors"
        )
    tensors = load_file(path)
    keys = [f"lin{i}.model.1.weight" for i in range(len(LPIPS_LAYERS))]
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise UsageError(f"{path} has no {missing[0]}: it is not LPIPS 0.1 for SqueezeNet")
    return [tensors[key].float() for key in keys]


@torch.no_grad()
def lpips(backbone: Backbone, heads: list[Tensor], a: Tensor, b: Tensor) -> float:
    """Learned perceptual distance of two pictures (1, 3, H, W) in [0, 1].

        d = sum over layers, mean over positions of w . (unit(Fa) - unit(Fb))^2

    Reference:
        Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018 (arXiv:1801.03924), eq. 1.
    """
    first, second = (backbone(x, set(LPIPS_LAYERS)) for x in (a, b))
    total = torch.zeros(())
    for layer, head in zip(LPIPS_LAYERS, heads, strict=True):
        x, y = (
            f[layer] / (f[layer].square().sum(1, keepdim=True).sqrt() + 1e-10)
            for f in (first, second)
        )
        total = total + ((x - y).square() * head).sum(1).mean()
    return float(total)


class Likeness:
    """PSNR, and LPIPS-squeezenet where its weights are here.

    Args:
        weights: folder; None is the one that IMPASTO_WEIGHTS names.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        try:
            self._perceptual = open_squeezenet(weights), load_lpips_heads(weights)
        except (EngineUnavailable, UsageError):
            self._perceptual = None

    def __call__(self, made: Tensor, wanted: Tensor) -> dict[str, float]:
        """Of two pictures (1, 3, H, W) in [0, 1]: "psnr_db", -10 log10 of the mean squared
        difference, at most 100, and, if it can be told, "lpips_squeezenet"."""
        error = float((made - wanted).square().mean())
        found = {"psnr_db": -10 * float(torch.log10(torch.tensor(max(error, 1e-10))))}
        if self._perceptual is not None:
            found["lpips_squeezenet"] = lpips(*self._perceptual, made, wanted)
        return found
