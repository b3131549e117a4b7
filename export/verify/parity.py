"""The gate: an artifact gives the pictures its source gives, or it is not shipped."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import cv2
import numpy as np

from runtime.card import JsonObject
from runtime.errors import ParityError
from runtime.frame import Image

from .photos import cover

# (width, height): a camera's, an odd one in both directions, and high definition.
SIZES = ((640, 480), (333, 251), (1280, 720))
# Least PSNR in dB of the worst picture. float32 differs by the order of summation only (127 dB on
# our networks); half precision and bytes are held by every runtime we measured.
LEAST_PSNR = {"fp32": 90.0, "fp16": 55.0, "int8": 30.0}
# Largest difference of any pixel, of the full range, in float32: half a level of 8 bits.
LARGEST_FP32 = 0.5 / 255
# PSNR of equal pictures is infinite; JSON has no such number.
MOST_PSNR = 200.0


@dataclass(frozen=True)
class SizeReport:
    """Differences at one size, over all photos, in units of the full range (0..1).

    Attributes:
        size: "640x480", width first.
        photos: how many were compared.
        max_abs, mean_abs: largest and mean absolute difference.
        psnr_db: of the worst photo.
        ssim: of the worst photo.
    """

    size: str
    photos: int
    max_abs: float
    mean_abs: float
    psnr_db: float
    ssim: float


@dataclass(frozen=True)
class Parity:
    """Result of a comparison.

    Attributes:
        sizes: one report per size.
        least_psnr_db: what was demanded.
        failures: one sentence per broken rule; empty when it passed.
    """

    sizes: tuple[SizeReport, ...]
    least_psnr_db: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the artifact may be shipped."""
        return not self.failures

    def figures(self) -> dict[str, float]:
        """The worst figures over all sizes, for the card."""
        return {
            "max_abs": max(report.max_abs for report in self.sizes),
            "mean_abs": max(report.mean_abs for report in self.sizes),
            "psnr_db": min(report.psnr_db for report in self.sizes),
            "ssim": min(report.ssim for report in self.sizes),
        }

    def to_dict(self) -> JsonObject:
        """Plain data for the report."""
        return {
            "passed": self.passed,
            "least_psnr_db": self.least_psnr_db,
            "sizes": [asdict(report) for report in self.sizes],
            "failures": list(self.failures),
        }


class Painter(Protocol):
    """What is compared: a `StyleSession`, or one with its further inputs given."""

    def stylize_float(self, image: np.ndarray, /) -> np.ndarray:
        """(H, W, 3) float32 in 0..1 -> the painted one."""
        ...

    def reset(self) -> None:
        """Forget earlier pictures."""
        ...


def check(
    source: Painter,
    artifact: Painter,
    photos: Sequence[Image],
    precision: str,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> Parity:
    """Compare two sessions on photos.

    Args:
        source: what the artifact was made from.
        artifact: what is to be shipped.
        photos: cut and scaled to each size.
        precision: key of `LEAST_PSNR`.
        sizes: (width, height) each.
    """
    reports = tuple(_compare(source, artifact, photos, *size) for size in sizes)
    least = LEAST_PSNR[precision]
    failures = [
        f"{report.size}: {report.psnr_db:.1f} dB, at least {least:.0f} dB are demanded"
        for report in reports
        if not report.psnr_db >= least
    ]
    if precision == "fp32":
        failures += [
            f"{report.size}: a pixel differs by {255 * report.max_abs:.2f} levels, "
            f"at most {255 * LARGEST_FP32:.1f} are allowed"
            for report in reports
            if not report.max_abs <= LARGEST_FP32
        ]
    return Parity(reports, least, tuple(failures))


def refuse(parity: Parity, name: str) -> None:
    """Raise ParityError naming every broken rule; do nothing if it passed."""
    if not parity.passed:
        raise ParityError(f"{name} does not match its source: {'; '.join(parity.failures)}")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of pictures in 0..1: -10 log10(mean((a - b)^2))."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    if not np.isfinite(error):
        return 0.0
    return min(MOST_PSNR, -10.0 * float(np.log10(max(error, 1e-30))))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of pictures (H, W, 3) in 0..1, mean over pixels and channels.

    Wang, Bovik, Sheikh, Simoncelli 2004: Gaussian window of sigma 1.5 and 11 px, K1 = 0.01,
    K2 = 0.03. Deviations: each color channel instead of luminance, mirrored borders kept.
    """

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)

    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def _compare(
    source: Painter, artifact: Painter, photos: Sequence[Image], width: int, height: int
) -> SizeReport:
    most, means, ratios, likeness = 0.0, [], [], []
    for photo in photos:
        picture = cover(photo, width, height).astype(np.float32) / np.float32(255)
        artifact.reset()
        a, b = source.stylize_float(picture), artifact.stylize_float(picture)
        difference = np.abs(a - b)
        most = max(most, float(difference.max()))
        means.append(float(difference.mean()))
        ratios.append(psnr(a, b))
        likeness.append(ssim(a, b))
    return SizeReport(
        f"{width}x{height}", len(photos), most, float(np.mean(means)), min(ratios), min(likeness)
    )
