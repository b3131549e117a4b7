"""Moving colors between pictures, before or after the style (Gatys, Bethge, Hertzmann, Shechtman
2016, arXiv:1606.05897, "Preserving color in neural artistic style transfer").

Pictures are (N, 3, H, W) RGB in [0, 1]. `transfer` gives a picture another one's mean color and
color covariance; `match_histograms` the distribution of every channel; `luminance_only` keeps the
photo's chroma and takes light and dark from the result.
"""

import torch
from torch import Tensor

from runtime.errors import UsageError
from runtime.plugins import suggest

from .losses.histogram import matched

ROOTS = ("symmetric", "cholesky", "pca")
# NTSC's YIQ, as the paper: the first row is luminance.
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
FLOOR = 1e-8  # added to color variances: a gray picture has none in two directions


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    flat = images.flatten(2).double()
    mean = flat.mean(2, keepdim=True)
    centered = flat - mean
    spread = centered @ centered.transpose(1, 2) / flat.shape[2]
    return mean, spread + FLOOR * torch.eye(3).to(spread)


def _power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values[:, None, :] ** power) @ vectors.transpose(1, 2)


def color_map(source: Tensor, target: Tensor, root: str = "symmetric") -> Tensor:
    """The matrix A with A S A' = T of two color covariances (N, 3, 3).

        symmetric   S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)     moves colors least
        cholesky    L_T L_S^(-1)
        pca         T^(1/2) S^(-1/2)                                 "image analogies" form

    Raises:
        UsageError: unknown `root`.
    """
    if root == "symmetric":
        half, inverse = _power(source, 0.5), _power(source, -0.5)
        return inverse @ _power(half @ target @ half, 0.5) @ inverse
    if root == "cholesky":
        return torch.linalg.cholesky(target) @ torch.linalg.inv(torch.linalg.cholesky(source))
    if root == "pca":
        return _power(target, 0.5) @ _power(source, -0.5)
    raise UsageError(f'no color map "{root}".{suggest(root, list(ROOTS))}')


def transfer(images: Tensor, colors: Tensor, root: str = "symmetric") -> Tensor:
    """Images with the mean color and color covariance of `colors`; not clamped."""
    mean, spread = _moments(images)
    wanted_mean, wanted = _moments(colors)
    centered = images.flatten(2).double() - mean
    moved = color_map(spread, wanted, root) @ centered + wanted_mean
    return moved.view(images.shape).to(images.dtype)


def match_histograms(images: Tensor, colors: Tensor) -> Tensor:
    """Images with the distribution of `colors` in each channel; the order of values is kept."""
    return matched(images, colors).to(images.dtype)


def to_yiq(images: Tensor) -> Tensor:
    """RGB -> luminance and two chroma axes."""
    matrix = torch.tensor(YIQ, dtype=images.dtype, device=images.device)
    return torch.einsum("dc,nchw->ndhw", matrix, images)


def from_yiq(images: Tensor) -> Tensor:
    """The inverse of `to_yiq`."""
    matrix = torch.linalg.inv(torch.tensor(YIQ, dtype=torch.float64))
    return torch.einsum("dc,nchw->ndhw", matrix.to(images), images)


def luminance_only(styled: Tensor, photo: Tensor) -> Tensor:
    """Light and dark of `styled`, chroma of `photo`; not clamped."""
    chroma = to_yiq(photo)[:, 1:]
    return from_yiq(torch.cat([to_yiq(styled)[:, :1], chroma], 1))


def gray_style(painting: Tensor, photo: Tensor) -> Tensor:
    """The painting's luminance with the photo's mean and deviation, as three equal channels.

        L' = dev(photo) / dev(painting) * (L - mean(painting)) + mean(photo)

    What a luminance-only transfer takes its style from (section 5.2, eq. 10 of the paper).
    """
    own, other = to_yiq(painting)[:, :1], to_yiq(photo)[:, :1]
    scale = other.std() / own.std().clamp_min(1e-6)
    return (scale * (own - own.mean()) + other.mean()).expand(-1, 3, -1, -1)
