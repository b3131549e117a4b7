"""Photorealism loss: colors of the result are, in every small window, an affine map of the photo's.

    L = sum over colors c of V_c' M V_c / number of pixels

M is Levin's matting Laplacian of the photo. Per window it is the residual of a local regression,
which box sums give directly: no matrix of 25 numbers per pixel is kept. `matting_laplacian` is that
sparse matrix, for the tests and for who needs it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target

EPSILON = 1e-7  # Luan et al.'s code; Levin et al. suggest 1e-5 to 1e-7 for pictures in [0, 1]
WINDOW = 9  # pixels of a 3x3 window


def _box(x: Tensor) -> Tensor:
    """Mean over each inner 3x3 window: (N, C, H, W) -> (N, C, H - 2, W - 2)."""
    return F.avg_pool2d(x, 3, 1)


def _regularized_inverse(photos: Tensor, mean: Tensor, epsilon: float) -> Tensor:
    """(cov + eps / 9 I)^-1 of the colors of every window: (N, h, w, 3, 3)."""
    n, _, height, width = photos.shape
    products = photos[:, :, None] * photos[:, None]
    second = _box(products.view(n, 9, height, width)).view(n, 3, 3, height - 2, width - 2)
    spread = (second - mean[:, :, None] * mean[:, None]).permute(0, 3, 4, 1, 2)
    return torch.linalg.inv(spread + epsilon / WINDOW * torch.eye(3).to(spread))


def matting_energy(images: Tensor, photos: Tensor, epsilon: float = EPSILON) -> Tensor:
    """V' M V per pixel, summed over colors, averaged over the batch.

        V' M V = sum over windows of 9 (var(V) - cov(V, I)' (cov(I) + eps/9)^-1 cov(V, I))

    Computed in float64: variances of flat windows are differences of nearly equal numbers.

    Args:
        images: (N, 3, H, W) the result.
        photos: (N, 3, H, W) in [0, 1].
        epsilon: how much colors of flat windows may still move.

    Returns:
        scalar; 0 for constants, and (as epsilon goes to 0) for locally affine recolorings.
    Reference:
        Levin, Lischinski, Weiss, TPAMI 2008, eq. 12; Luan et al., CVPR 2017 (arXiv:1703.07511),
        eq. 2.
    """
    return _energy(images, Guide.of(photos, epsilon))


@dataclass(frozen=True)
class Guide:
    """What the energy needs of the photos, in float64; nothing else of it depends on them alone."""

    photos: Tensor  # (N, 3, H, W)
    mean: Tensor  # (N, 3, h, w) of every inner window
    inverse: Tensor  # (N, 3, 3, h, w), `_regularized_inverse` with its matrices in front

    @staticmethod
    def of(photos: Tensor, epsilon: float = EPSILON) -> "Guide":
        """Of photos (N, 3, H, W)."""
        guide = photos.double()
        mean = _box(guide)
        inverse = _regularized_inverse(guide, mean, epsilon).permute(0, 3, 4, 1, 2)
        return Guide(guide, mean, inverse.contiguous())


def _energy(images: Tensor, guide: Guide) -> Tensor:
    values = images.double()
    n, _, height, width = values.shape
    mean = _box(values)
    products = (values[:, :, None] * guide.photos[:, None]).view(n, 9, height, width)
    crossed = _box(products).view(n, 3, 3, height - 2, width - 2)
    crossed = crossed - mean[:, :, None] * guide.mean[:, None]
    variance = (_box(values.square()) - mean.square()).sum(1)
    # Channel by channel: batches of products of small matrices take ten times as long.
    solved = (crossed[:, :, :, None] * guide.inverse[:, None]).sum(2)
    explained = (solved * crossed).sum((1, 2))
    return (WINDOW * (variance - explained)).sum() / (n * height * width)


def matting_laplacian(photo: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Levin's matrix of one photo (1, 3, H, W): sparse (H W, H W), at most 25 entries per row.

    M_ij = sum over windows k that hold i and j of
           [i = j] - 1/9 (1 + (I_i - m_k)' (cov_k + eps/9)^-1 (I_j - m_k))
    """
    guide = photo.double()
    _, _, height, width = guide.shape
    mean = _box(guide)
    inverse = _regularized_inverse(guide, mean, epsilon)[0].flatten(0, 1)
    colors = F.unfold(guide, 3)[0].view(3, WINDOW, -1).permute(2, 1, 0)
    centered = colors - mean[0].flatten(1).T[:, None]
    affinity = (1 + centered @ inverse @ centered.transpose(1, 2)) / WINDOW
    entries = torch.eye(WINDOW, dtype=torch.float64) - affinity
    numbers = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
    pixels = F.unfold(numbers, 3)[0].T.long()
    rows = pixels[:, :, None].expand(-1, -1, WINDOW).flatten()
    columns = pixels[:, None].expand(-1, WINDOW, -1).flatten()
    size = (height * width, height * width)
    places = torch.stack([rows, columns])
    return torch.sparse_coo_tensor(
        places, entries.flatten(), size, check_invariants=True
    ).coalesce()


class MattingTerm:
    """`matting_energy` of the output over its photo; 0 where the photos are not known."""

    needs = ("photos",)

    def __init__(self, target: Target) -> None:
        self._photos: Tensor | None = None
        self._guide: Guide | None = None

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        if inputs.photos is None:
            return torch.zeros((), device=inputs.output.device)
        if self._guide is None or inputs.photos is not self._photos:
            # One photo for many evaluations, where pixels are optimized.
            self._photos, self._guide = inputs.photos, Guide.of(inputs.photos)
        return _energy(inputs.output, self._guide).to(inputs.output.dtype)


PLUGIN = MattingTerm
