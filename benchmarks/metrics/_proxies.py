"""LPIPS, FID and KID with the backbones that are here; each is named after its backbone.

The official numbers need AlexNet or VGG-16 (LPIPS) and Inception v3 (FID, KID). With another
backbone the formula is the same and the number is another: "LPIPS-squeezenet" and
"FID-squeezenet" order pictures of one run and are never compared with published values.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import EngineUnavailable, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from training.backbones import Backbone

# LPIPS' own scaling of [-1, 1] is ImageNet's mean and deviation of [0, 1], which our backbone
# applies itself: pictures go in as they are.
LPIPS_LAYERS = ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
LPIPS_FILE = "lpips_v0_1_squeeze_linear.safetensors"
FEATURE_LAYER = "fire9"  # 512 channels, averaged over positions, for FID and KID


def _folder(weights: str | Path | None) -> Path:
    import os

    root = weights or os.environ.get("IMPASTO_WEIGHTS")
    if root is None:
        raise EngineUnavailable(
            "no weights: set IMPASTO_WEIGHTS to their folder, or pass --weights"
        )
    return Path(root)


def open_squeezenet(weights: str | Path | None) -> "Backbone":
    """The backbone of all proxy metrics."""
    from training.backbones import open_backbone

    return open_backbone("squeezenet", _folder(weights))


def load_lpips_heads(weights: str | Path | None) -> "list[Tensor]":
    """The seven linear heads, (1, C, 1, 1) each, not negative.

    Raises:
        EngineUnavailable: the file is absent.
        UsageError: it holds other tensors.
    """
    from safetensors.torch import load_file

    path = _folder(weights) / LPIPS_FILE
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


def lpips(backbone: "Backbone", heads: "list[Tensor]", a: "Tensor", b: "Tensor") -> float:
    """Learned perceptual distance of two pictures (1, 3, H, W) in [0, 1].

        d = sum over layers, mean over positions of w . (unit(Fa) - unit(Fb))^2

    Reference:
        Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018 (arXiv:1801.03924), eq. 1.
    """
    import torch

    with torch.no_grad():
        first, second = (backbone(x, set(LPIPS_LAYERS)) for x in (a, b))
        total = torch.zeros(())
        for layer, head in zip(LPIPS_LAYERS, heads, strict=True):
            x, y = (
                f[layer] / (f[layer].square().sum(1, keepdim=True).sqrt() + 1e-10)
                for f in (first, second)
            )
            total = total + ((x - y).square() * head).sum(1).mean()
    return float(total)


def pooled_features(backbone: "Backbone", images: "list[Tensor]") -> np.ndarray:
    """One vector per picture: (n, 512) float64."""
    import torch

    with torch.no_grad():
        found = [backbone(image, {FEATURE_LAYER})[FEATURE_LAYER].mean((2, 3)) for image in images]
    return torch.cat(found).double().numpy()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two Gaussians fitted to samples (n, d).

        |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    The trace of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2).
    With fewer than about 10 d samples it is biased upward: use `kernel_distance`.

    Reference:
        Heusel et al., NIPS 2017 (arXiv:1706.08500), eq. 6.
    """
    mean = float(np.square(a.mean(0) - b.mean(0)).sum())
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    values, vectors = np.linalg.eigh(first)
    half = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    mixed = np.linalg.eigvalsh(half @ second @ half)
    root = float(np.sqrt(np.clip(mixed, 0, None)).sum())
    return mean + float(np.trace(first) + np.trace(second)) - 2 * root


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with k(x, y) = (x.y / d + 1)^3; may be below 0.

    Reference:
        Binkowski, Sutherland, Arbel, Gretton, ICLR 2018 (arXiv:1801.01401), section 3.
    """
    n, m, d = len(a), len(b), a.shape[1]
    if min(n, m) < 2:
        raise UsageError("KID needs at least two pictures on each side")

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / d + 1) ** 3

    own_a, own_b = kernel(a, a), kernel(b, b)
    within = (own_a.sum() - np.trace(own_a)) / (n * (n - 1))
    within += (own_b.sum() - np.trace(own_b)) / (m * (m - 1))
    return float(within - 2 * kernel(a, b).mean())


def art_fid(lpips_mean: float, fid: float) -> float:
    """(1 + LPIPS) (1 + FID); Wright and Ommer, GCPR 2022 (arXiv:2207.12280), eq. 1.

    It ranks an untouched photo best when the style set is small: read it beside the degenerate
    baselines.
    """
    return (1 + lpips_mean) * (1 + fid)
