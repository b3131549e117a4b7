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
MIDDLE = 0.5  # of the values of pictures


def window_mean(images: Tensor, radius: int) -> Tensor:
    """Mean over windows of 2 radius + 1, cut off at borders: (N, C, H, W), the same out."""
    size = 2 * radius + 1
    rows = F.avg_pool2d(images, (1, size), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(rows, (size, 1), 1, (radius, 0), count_include_pad=False)


def affine_maps(
    result: Tensor, photo: Tensor, radius: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    """A (N, 9, H, W), row by row, and b (N, 3, H, W) that lead from the photograph to the result,
    each the mean over the windows that hold a pixel. Products and sums: every format has them.

    Args:
        result, photo: (N, 3, H, W); float64 where epsilon is small beside what rounding leaves of
            a variance.
        radius, epsilon: see `local_affine`.
    """
    # Around zero, a variance loses fewer digits: float32 graphs gain a factor of four.
    photo, result = photo - MIDDLE, result - MIDDLE
    guide, mean = window_mean(photo, radius), window_mean(result, radius)
    red, green, blue = photo.unbind(1)
    g = guide.unbind(1)
    pairs = [red * red, red * green, red * blue, green * green, green * blue, blue * blue]
    second = window_mean(torch.stack(pairs, 1), radius).unbind(1)
    rr, rg, rb = second[0] - g[0] * g[0] + epsilon, second[1] - g[0] * g[1], second[2] - g[0] * g[2]
    gg, gb = second[3] - g[1] * g[1] + epsilon, second[4] - g[1] * g[2]
    bb = second[5] - g[2] * g[2] + epsilon
    # The inverse of a symmetric matrix by its cofactors.
    first = torch.stack([gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb], 1)
    middle = torch.stack([first[:, 1], rr * bb - rb * rb, rg * rb - rr * gb], 1)
    last = torch.stack([first[:, 2], middle[:, 2], rr * gg - rg * rg], 1)
    size = rr * first[:, 0] + rg * first[:, 1] + rb * first[:, 2]
    slopes, shifts = [], []
    for color in range(3):
        crossed = window_mean(photo * result[:, color : color + 1], radius)
        crossed = crossed - guide * mean[:, color : color + 1]
        slope = [(crossed * row).sum(1) / size for row in (first, middle, last)]
        slopes += slope
        moved = sum(a * (b + MIDDLE) for a, b in zip(slope, g, strict=True))
        shifts.append(mean[:, color] + MIDDLE - moved)
    slope, shift = torch.stack(slopes, 1), torch.stack(shifts, 1)
    return window_mean(slope, radius), window_mean(shift, radius)


def apply_maps(slope: Tensor, shift: Tensor, photo: Tensor) -> Tensor:
    """A photo + b, of `affine_maps`."""
    rows = [(part * photo).sum(1) for part in slope.chunk(3, 1)]
    return torch.stack(rows, 1) + shift


def local_affine(
    result: Tensor, photo: Tensor, radius: int = RADIUS, epsilon: float = EPSILON
) -> Tensor:
    """The result as locally affine maps of the photograph's colors, in float64; not clamped.

    Args:
        result, photo: (N, 3, H, W).
        radius: of the windows, px; less than half the shorter side.
        epsilon: how flat a window must be for its mean color to be taken.
    """
    guide = photo.double()
    radius = min(radius, (min(photo.shape[2:]) - 1) // 2)
    return apply_maps(*affine_maps(result.double(), guide, radius, epsilon), guide).to(result.dtype)


def fast_local_affine(
    result: Tensor, photo: Tensor, radius: int, epsilon: float = EPSILON, step: int = 4
) -> Tensor:
    """`local_affine` with its maps found in pictures reduced `step` times, then enlarged: what a
    graph can do for every frame (He, Sun, "Fast Guided Filter", 2015, arXiv:1505.00996).

    Args:
        result, photo: (N, 3, H, W), sides multiples of `step`.
        radius: px of the reduced pictures.
        epsilon: see `local_affine`.
        step: how much smaller.
    """
    small = [F.avg_pool2d(images, step) for images in (result, photo)]
    maps = torch.cat(affine_maps(small[0], small[1], radius, epsilon), 1)
    slope, shift = F.interpolate(
        maps, scale_factor=float(step), mode="bilinear", align_corners=False
    ).split([9, 3], 1)
    return apply_maps(slope, shift, photo)
