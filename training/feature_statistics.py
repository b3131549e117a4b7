"""First and second moments of feature maps, and moving them from one map to another.

AdaIN moves mean and deviation of each channel, WCT the whole covariance. Everything here is built
from products and sums, so that it exports to every graph format; `root_exact` is the reference that
the iteration is tested against.
"""

import torch
from torch import Tensor

VARIANCE_FLOOR = 1e-5  # added to variances, as in Huang and Belongie's code
# Share of the mean eigenvalue added to a covariance before it is inverted. The paper drops
# eigenvalues below 1e-5 instead; adding is smooth and needs no decomposition.
RIDGE = 1e-3
# The slowest eigenvalue, RIDGE / C of the norm, grows by 2.25 per iteration: 16 for 512 channels.
# The rest is for the quadratic end.
ITERATIONS = 22


def channel_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel.

    The variance is the biased one plus 1e-5, as instance normalization takes it; Huang and
    Belongie's code takes the unbiased one, sqrt(HW / (HW - 1)) times larger in deviation.

    Args:
        features: (N, C, H, W), any range.

    Returns:
        mean and deviation, (N, C) each, in feature units, float32.
    """
    flat = features.flatten(2).float()
    mean = flat.mean(2)
    variance = (flat - mean[:, :, None]).square().mean(2)
    return mean, (variance + VARIANCE_FLOOR).sqrt()


def adain(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Give every channel another mean and deviation.

        y = deviation * (x - mean(x)) / deviation(x) + mean

    Args:
        features: (N, C, H, W).
        mean, deviation: (N or 1, C) of the style.

    Returns:
        (N, C, H, W); its moments are the style's (exactly, but for the floor of 1e-5).
    Reference:
        Huang and Belongie, ICCV 2017 (arXiv:1703.06868), eq. 8.
    """
    own_mean, own_deviation = channel_moments(features)
    scale = deviation / own_deviation
    shift = mean - own_mean * scale
    return features * scale[:, :, None, None] + shift[:, :, None, None]


def covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N, C) and covariance (N, C, C) over positions, divided by their number.

    Row by row, then over rows: float32 sums over a million positions, one after another, as graph
    engines take them, would leave too few digits for the roots.
    """
    rows = features.float()
    mean = rows.mean(3).mean(2)
    centered = (rows - mean[:, :, None, None]).transpose(1, 2)
    products = centered @ centered.transpose(2, 3) / rows.shape[3]
    return mean, products.mean(1)


def ridge(matrix: Tensor, share: float = RIDGE) -> Tensor:
    """The matrix plus `share` of its mean eigenvalue (and 1e-8) on the diagonal."""
    eye = torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)
    mean_eigenvalue = (matrix * eye).sum((1, 2), keepdim=True) / matrix.shape[-1]
    return matrix + (share * mean_eigenvalue + 1e-8) * eye


def roots(matrix: Tensor, iterations: int = ITERATIONS) -> tuple[Tensor, Tensor]:
    """A^(1/2) and A^(-1/2) by the coupled Newton-Schulz iteration: products only.

        T = (3 I - Z Y) / 2,   Y <- Y T,   Z <- T Z,   from Y = A / |A|, Z = I

    Args:
        matrix: (N, C, C) symmetric positive definite (see `ridge`).
        iterations: fixed, so that the graph has no loop.

    Returns:
        two (N, C, C) symmetric matrices.
    Reference:
        Higham, Functions of Matrices, 2008, eq. 6.35.
    """
    eye = torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)
    norm = matrix.square().sum((1, 2), keepdim=True).sqrt()
    y, z = matrix / norm, eye.expand_as(matrix)
    for _ in range(iterations):
        t = 1.5 * eye - 0.5 * (z @ y)
        y, z = y @ t, t @ z
    root = norm.sqrt()
    return y * root, z / root


def root_exact(matrix: Tensor, power: float, keep: float = 1e-5) -> Tensor:
    """A^power from the eigenvalues in float64; those below `keep` of the largest are dropped.

    The sign of an eigenvector cancels. Reference:
        Li et al., NIPS 2017 (arXiv:1705.08086), section 3.2.
    """
    values, vectors = torch.linalg.eigh(matrix.double())
    kept = values > keep * values[..., -1:]
    powers = torch.where(kept, values.clamp_min(1e-30) ** power, 0.0)
    return ((vectors * powers[..., None, :]) @ vectors.transpose(-1, -2)).to(matrix.dtype)


def whiten(features: Tensor) -> Tensor:
    """Features with mean 0 and covariance I, on the directions that carry more than the ridge."""
    mean, matrix = covariance(features)
    _, inverse = roots(ridge(matrix))
    centered = features.flatten(2).float() - mean[:, :, None]
    return (inverse @ centered).view_as(features)


def coloring(features: Tensor) -> tuple[Tensor, Tensor]:
    """What `color` needs of a style: mean (N, C) and root of the covariance (N, C, C)."""
    mean, matrix = covariance(features)
    return mean, roots(ridge(matrix))[0]


def color(white: Tensor, mean: Tensor, root: Tensor) -> Tensor:
    """Give whitened features the covariance root @ root and this mean.

    Reference:
        Li et al., NIPS 2017, eq. 4.
    """
    return (root @ white.flatten(2)).add(mean[:, :, None]).view_as(white)
