"""What is left of a painting, removed: colors become a smooth affine map of the photograph's.

    result = mean(A) photo + mean(b),   A, b = argmin sum over a window |A photo + b - result|^2
                                                      + epsilon |A|^2

the guided filter (He, Sun, Tang, TPAMI 2013) with the photograph's three colors as its guide: the
matting Laplacian's model (colors are affine maps of the photograph's in every window), with large
windows. Luan et al.'s code fits such maps as well ("smooth local affine"), with patches weighted by
their likeness; edges of the photograph come out sharp with either.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Px on each side of a picture of 512 px, and the variance of colors (in 0..1) that counts as flat.
# Luan et al.'s code: radius 15 at 700 px.
RADIUS, EPSILON = 11, 1e-4


def window_mean(images: Tensor, radius: int) -> Tensor:
    """Mean over windows of 2 radius + 1, cut off at borders: (N, C, H, W), the same out."""
    size = 2 * radius + 1
    return F.avg_pool2d(images, size, 1, radius, count_include_pad=False)


def local_affine(
    result: Tensor, photo: Tensor, radius: int = RADIUS, epsilon: float = EPSILON
) -> Tensor:
    """The result as locally affine maps of the photograph's colors; not clamped.

    Computed in float64, as variances of flat windows are differences of nearly equal numbers.

    Args:
        result, photo: (N, 3, H, W).
        radius: of the windows, px; less than half the shorter side.
        epsilon: how flat a window must be for its mean color to be taken.
    """
    guide, values = photo.double(), result.double()
    n, _, height, width = guide.shape
    radius = min(radius, (min(height, width) - 1) // 2)
    mean_guide, mean = window_mean(guide, radius), window_mean(values, radius)
    products = torch.cat(
        [
            (guide[:, :, None] * guide[:, None]).flatten(1, 2),
            (values[:, :, None] * guide[:, None]).flatten(1, 2),
        ],
        1,
    )
    second, crossed = window_mean(products, radius).view(n, 2, 3, 3, height, width).unbind(1)
    second = second - mean_guide[:, :, None] * mean_guide[:, None]
    crossed = crossed - mean[:, :, None] * mean_guide[:, None]
    spread = second.permute(0, 3, 4, 1, 2) + epsilon * torch.eye(3).to(second)
    slope = torch.linalg.solve(spread, crossed.permute(0, 3, 4, 2, 1)).permute(0, 4, 3, 1, 2)
    shift = mean - torch.einsum("ncdhw,ndhw->nchw", slope, mean_guide)
    smooth = window_mean(slope.reshape(n, 9, height, width), radius).view_as(slope)
    fitted = torch.einsum("ncdhw,ndhw->nchw", smooth, guide) + window_mean(shift, radius)
    return fitted.to(result.dtype)
