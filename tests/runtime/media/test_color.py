"""Color conversion: known values, both legs undo each other, tags are read and decided."""

import av
import numpy as np
import pytest

from runtime.errors import SourceError
from runtime.media.color import (
    BT601,
    BT709,
    BT2020,
    FULL,
    LIMITED,
    RGB,
    Colors,
    Converter,
    colors_of,
)
from runtime.sources.synthetic import SyntheticSource

# One grey level of rounding in each direction.
ROUNDING = 2
# Round trip of a small synthetic picture full of saturated edges: 46 dB measured in the worst case.
ROUND_TRIP_DB = 45


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def flat(y: int, u: int, v: int) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


# Pure colors by the definitions of BT.601 and BT.709 (rounded YUV of saturated red, green, white).
KNOWN = [
    ((BT709, LIMITED), (63, 102, 240), (255, 0, 0)),
    ((BT601, LIMITED), (81, 90, 240), (255, 0, 0)),
    ((5, LIMITED), (81, 90, 240), (255, 0, 0)),
    ((BT709, FULL), (54, 99, 255), (255, 0, 0)),
    ((BT601, FULL), (76, 85, 255), (255, 0, 0)),
    ((BT709, LIMITED), (173, 42, 26), (0, 255, 0)),
    ((BT601, LIMITED), (145, 54, 34), (0, 255, 0)),
    ((BT709, LIMITED), (235, 128, 128), (255, 255, 255)),
    ((BT709, FULL), (255, 128, 128), (255, 255, 255)),
    ((BT601, LIMITED), (16, 128, 128), (0, 0, 0)),
]


@pytest.mark.parametrize(("tags", "yuv", "rgb"), KNOWN)
def test_known_colors(tags, yuv, rgb):
    got = Converter().to_rgb(flat(*yuv), Colors(*tags))[8, 8].astype(int)
    assert np.abs(got - rgb).max() <= ROUNDING, got


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
def test_round_trip(matrix, span, pixel_format):
    colors, converter = Colors(matrix, span), Converter()
    image = SyntheticSource("synthetic:160x120").render(7)
    once = converter.to_rgb(converter.from_rgb(image, colors, pixel_format), colors)
    there = converter.from_rgb(once, colors, pixel_format)
    again = converter.to_rgb(there, colors)
    assert psnr(once, again) >= ROUND_TRIP_DB
    assert (there.colorspace, there.color_range) == (matrix, span)


def test_odd_sizes_and_rgb_formats():
    image = SyntheticSource("synthetic:33x21").render(3)
    converter = Converter()
    assert np.array_equal(
        converter.to_rgb(converter.from_rgb(image, Colors(), "bgr0"), Colors(RGB, FULL)), image
    )
    back = converter.to_rgb(
        converter.from_rgb(image, Colors(BT709, LIMITED), "yuv444p"), Colors(BT709, LIMITED)
    )
    assert back.shape == image.shape
    assert psnr(image, back) > 45


def test_untagged_clips_are_guessed_by_size():
    assert Colors().resolved(640, 480) == Colors(BT601, LIMITED)
    assert Colors().resolved(1280, 720).matrix == BT709
    assert Colors(transfer=16).resolved(640, 480).matrix == BT2020
    assert Colors(BT709, FULL).resolved(64, 48) == Colors(BT709, FULL)


def test_matrices_that_cannot_be_converted_are_refused():
    with pytest.raises(SourceError, match="matrix"):
        Colors(matrix=8).resolved(640, 480)


def test_full_range_pixel_formats_are_recognized():
    frame = av.VideoFrame(16, 16, "yuvj420p")
    assert colors_of(frame).range == FULL
    assert colors_of(av.VideoFrame(16, 16, "rgb24")).matrix == RGB
