"""FID, KID and Inception Score with the backbones that are here, each named after its backbone, and
ArtFID.

The official numbers need Inception v3. With another backbone the formula is the same and the number
is another: "FID-squeezenet" orders pictures of one run and is never compared with published values.
LPIPS-squeezenet is in `training.pairs.likeness`.
"""

from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from training.backbones import Backbone
    from training.clip.folder import Reader

# Deviation of a channel that real pictures do not excite, as a share of the mean channel's.
LEAST_SPREAD = 0.01
FEATURE_LAYER = "fire9"  # 512 channels, averaged over positions, for FID and KID


def pooled_features(
    backbone: "Backbone", images: "list[Tensor]", layer: str = FEATURE_LAYER
) -> np.ndarray:
    """One vector per picture: (n, channels of the layer) float64, (n, 512) by default."""
    import torch

    with torch.no_grad():
        found = [backbone(image, {layer})[layer].mean((2, 3)) for image in images]
    return torch.cat(found).double().numpy()


def class_probabilities(backbone: "Backbone", images: "list[Tensor]") -> np.ndarray:
    """What a classifier sees in each picture: (n, classes) float64, rows add up to 1.

    Raises:
        UsageError: the backbone has no layer "classes", or its file no classifier.
    """
    backbone.check_layers(["classes"])
    scores = pooled_features(backbone, images, "classes")
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def inception_score(probabilities: np.ndarray) -> float:
    """exp(mean over pictures of KL(p(class | picture) | p(class))): 1 to the number of classes.

    High where every picture is clearly something and all together are many things; 1 where all
    pictures look alike to the classifier, or like nothing.

    Args:
        probabilities: (n, classes), of `class_probabilities`.

    Reference:
        Salimans et al., NIPS 2016 (arXiv:1606.03498), section 4.
    """
    tiny = np.finfo(np.float64).tiny
    ratios = np.log(probabilities + tiny) - np.log(probabilities.mean(0) + tiny)
    return float(np.exp((probabilities * ratios).sum(1).mean()))


def seen(reader: "Reader", images: "list[Tensor]") -> np.ndarray:
    """Where a CLIP model puts pictures: (n, J) float64 of length 1."""
    import torch

    with torch.no_grad():
        return torch.cat([reader.clip.see(image) for image in images]).double().numpy()


def clip_score(pictures: np.ndarray, texts: np.ndarray) -> float:
    """Mean of 100 max(cos(picture, text), 0): 0 for what has nothing in common, 100 for the same.

    Hessel et al. multiply by 2.5 where this has 100, which most reports have. Scores of two CLIP
    models are not comparable.

    Args:
        pictures: (n, J) embeddings.
        texts: (n, J), one for each picture, or (1, J) for all.

    Reference:
        Hessel et al., EMNLP 2021 (arXiv:2104.08718), section 3.
    """
    a = pictures / np.linalg.norm(pictures, axis=1, keepdims=True)
    b = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    return float(100 * np.clip((a * b).sum(1), 0, None).mean())


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


def on_one_scale(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Features in units of real pictures', each picture's of the same length.

        y = (x - mean(real)) / deviation(real) per channel,   y sqrt(d) / |y|

    `kernel_distance` of these is that of k(x, y) = (1 + cos(x, y))^3, from 0 to 8. The cubic kernel
    is made for Inception's features, which are alike in size. Those of other networks are not: a
    few channels with a long tail decide by magnitudes alone.

    Args:
        features: (n, d).
        real: (m, d), of the pictures that are compared with, by which both sides are measured.
    """
    deviation = real.std(0)
    standard = (features - real.mean(0)) / np.maximum(deviation, LEAST_SPREAD * deviation.mean())
    length = np.linalg.norm(standard, axis=1, keepdims=True)
    return standard * (np.sqrt(features.shape[1]) / np.maximum(length, np.finfo(float).tiny))


def scaled_kernel_distance(made: np.ndarray, real: np.ndarray) -> float:
    """`kernel_distance` of features `on_one_scale`, real pictures' own."""
    return kernel_distance(on_one_scale(made, real), on_one_scale(real, real))


def art_fid(lpips_mean: float, fid: float) -> float:
    """(1 + LPIPS) (1 + FID); Wright and Ommer, GCPR 2022 (arXiv:2207.12280), eq. 1.

    It ranks an untouched photo best when the style set is small: read it beside the degenerate
    baselines.
    """
    return (1 + lpips_mean) * (1 + fid)
