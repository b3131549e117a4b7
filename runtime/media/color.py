"""Between a decoder's or encoder's pictures and RGB, with the color tags of the clip respected.

Which RGB a YUV triple means depends on four tags (ITU-T H.273): the matrix, the range (video
levels 16..235 or full 0..255), the primaries and the transfer function. Reading with one matrix and
writing with another is the usual cause of clips that come back with shifted colors, so the same
`Colors` serve both legs and are written into the output.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import SourceError
from ..frame import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.format import VideoFormat
    from av.video.plane import VideoPlane

# Code points of ITU-T H.273 (FFmpeg's AVCOL_* use the same numbers).
RGB, BT709, UNSPECIFIED, BT601, BT2020 = 0, 1, 2, 6, 9
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
PQ, HLG = 16, 18  # SMPTE ST 2084, ARIB STD-B67
# Matrices that can be converted, and swscale's number for them: BT.709, FCC, BT.470BG and SMPTE
# 170M (both BT.601), SMPTE 240M, BT.2020.
SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
# Weights of red and blue in luma, by matrix (H.273, table 4).
WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
# Pixel formats with one byte per sample in three planes.
PLANAR = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv440p", "yuv411p"}
)
# Untagged clips: players take BT.709 from this size on and BT.601 below (mpv's rule).
HD_WIDTH, HD_HEIGHT = 1280, 576


@dataclass(frozen=True, slots=True)
class Colors:
    """Color tags of a clip, as read from it.

    Attributes:
        matrix, primaries, transfer: H.273 code points, 2 if the clip does not say.
        range: 1 limited, 2 full, 0 if the clip does not say.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> bool:
        """True for the two high dynamic range transfer functions."""
        return self.transfer in (PQ, HLG)

    def resolved(self, width: int, height: int) -> Colors:
        """The same with matrix and range decided where the clip does not say.

        Raises:
            SourceError: a matrix that cannot be converted (YCgCo, constant luminance, ICtCp).
        """
        matrix, span = self.matrix, self.range or LIMITED
        if matrix == UNSPECIFIED:
            wide = self.primaries == BT2020 or self.hdr
            hd = width >= HD_WIDTH or height > HD_HEIGHT
            matrix = BT2020 if wide else BT709 if hd else BT601
        if matrix != RGB and matrix not in SWSCALE:
            raise SourceError(
                f"the color matrix of this clip (code {matrix} of H.273) cannot be converted; "
                "convert the clip to BT.709 first"
            )
        return replace(self, matrix=matrix, range=span)


# What is written when the pictures were RGB to begin with, or were mapped down from HDR.
SDR = Colors(matrix=BT709, range=LIMITED, primaries=BT709, transfer=BT709)


def colors_of(frame: VideoFrame) -> Colors:
    """Read the tags of a decoded `av.VideoFrame`; RGB formats have matrix 0 and full range."""
    if is_rgb(frame.format):
        return Colors(RGB, FULL, int(frame.color_primaries), int(frame.color_trc))
    span = int(frame.color_range)
    if frame.format.name.startswith("yuvj"):  # the old names for full range
        span = FULL
    return Colors(int(frame.colorspace), span, int(frame.color_primaries), int(frame.color_trc))


def is_rgb(pixel_format: VideoFormat) -> bool:
    """True for RGB and palette formats of `av.VideoFormat`; gray counts as YUV without chroma."""
    return bool(pixel_format.is_rgb) or pixel_format.name == "pal8"


def chroma_of(pixel_format: VideoFormat) -> tuple[int, int]:
    """Width and height in pixels of one sample of color; (0, 0) if there is none."""
    if is_rgb(pixel_format):
        return 1, 1
    if len(pixel_format.components) < 3:
        return 0, 0
    wide = 64  # a multiple of all that is in use
    return wide // pixel_format.chroma_width(wide), wide // pixel_format.chroma_height(wide)


class Converter:
    """Converts between `av.VideoFrame` and `Image`; one per thread, it keeps swscale's tables.

    Chroma is interpolated bicubically on the way to RGB and averaged on the way back (`halve`). Of
    nine pairs of filters measured on the clips of `shared/data/video` this one gives the pictures
    back best: replicated chroma loses 3 to 6 dB, because saturated edges then leave the RGB cube
    more often. What is common (8 bits, planar) goes through OpenCV: ten times faster than swscale
    at this exactness. Chroma is taken as centered on its pixels on both legs.
    """

    def __init__(self) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        self._to_rgb = (
            Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        )
        self._from_rgb = (
            Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
        )

    def to_rgb(self, frame: VideoFrame, colors: Colors, format: str = "rgb24") -> np.ndarray:
        """RGB of a decoded frame.

        Args:
            frame: `av.VideoFrame` in any software pixel format.
            colors: resolved tags of the frame.
            format: "rgb24" for (H, W, 3) uint8, "rgba" for (H, W, 4), "rgb48le" for uint16.
        """
        if format == "rgb24" and frame.format.name in PLANAR and colors.matrix in WEIGHTS:
            return planes_to_rgb([samples(plane) for plane in frame.planes], colors)
        tags = {}
        if colors.matrix != RGB:
            tags = {
                "src_colorspace": SWSCALE[colors.matrix],
                "dst_colorspace": SWSCALE[colors.matrix],
                "src_color_range": colors.range,
                "dst_color_range": FULL,
            }
        picture = self._reformatter.reformat(
            frame, format=format, interpolation=self._to_rgb, **tags
        )
        return np.ascontiguousarray(picture.to_ndarray())

    def from_rgb(self, image: Image, colors: Colors, format: str) -> VideoFrame:
        """An `av.VideoFrame` in `format`, carrying the tags it was made with.

        Args:
            image: (H, W, 3) uint8 RGB, or (H, W, 4) with alpha.
            colors: resolved tags; ignored for RGB formats.
            format: pixel format of the encoder ("yuv420p", "yuva420p", "yuv422p10le", "bgr0").
        """
        import av

        height, width = image.shape[:2]
        if format == "yuv420p" and colors.matrix in WEIGHTS and not (height % 2 or width % 2):
            frame = av.VideoFrame.from_ndarray(rgb_to_planes(image, colors), "yuv420p")
            return _tag(frame, colors)
        given = "rgba" if image.shape[2] == 4 else "rgb24"
        picture = av.VideoFrame.from_ndarray(image, given)
        if is_rgb(av.VideoFormat(format)):
            return self._reformatter.reformat(picture, format=format)
        frame = self._reformatter.reformat(
            picture,
            format=format,
            interpolation=self._from_rgb,
            src_colorspace=SWSCALE[colors.matrix],
            dst_colorspace=SWSCALE[colors.matrix],
            src_color_range=FULL,
            dst_color_range=colors.range,
        )
        return _tag(frame, colors)


def planes_to_rgb(planes: list[np.ndarray], colors: Colors) -> Image:
    """RGB of 8-bit Y, U, V planes (ITU-T H.273, equations for non-constant luminance).

        R = y + 2 (1 - kr) v,   B = y + 2 (1 - kb) u,   G from y = kr R + kg G + kb B

    Args:
        planes: (H, W), and twice (h, w) with chroma of any size; uint8.
        colors: resolved tags.

    Returns:
        (H, W, 3) uint8.
    """
    luma = planes[0]
    size = (luma.shape[1], luma.shape[0])
    chroma = [
        plane
        if plane.shape == luma.shape
        else cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC)
        for plane in planes[1:]
    ]
    return cv2.transform(cv2.merge([luma, *chroma]), yuv_matrix(colors, to_rgb=True))


def rgb_to_planes(image: Image, colors: Colors) -> np.ndarray:
    """The inverse, with chroma averaged over 2x2 pixels.

    Args:
        image: (H, W, 3) uint8, even height and width.
        colors: resolved tags.

    Returns:
        (H * 3 / 2, W) uint8: the planes Y, U, V one after the other, as `from_ndarray` takes them.
    """
    height, width = image.shape[:2]
    luma, *chroma = cv2.split(cv2.transform(image, yuv_matrix(colors, to_rgb=False)))
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = luma
    halves = planes[height:].reshape(2, height // 2, width // 2)
    for plane, small in zip(chroma, halves, strict=True):
        halve(plane, small)
    return planes


# One dimension of the mean over 2 of OpenCV's bicubic enlargement (a = -0.75) by 2: what is seen of
# a small plane once it was enlarged, in samples of the small plane.
SEEN = np.array([-9, 40, 450, 40, -9], np.float32) / 512


def halve(plane: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    """The half-size plane whose bicubic enlargement comes nearest to `plane`.

    The mean m of each 2x2 pixels, corrected once by the mean of what its enlargement gets wrong
    (one step of Landweber's iteration): 2 m - S m, with S the outer product of `SEEN`. Plain means
    alone would blur chroma a little each time; the step brings the identity from 38.7 to 41.5 dB on
    FFmpeg's testsrc2 and from 57 to 61 dB on a webcam clip. More steps gain less than 1 dB.

    Args:
        plane: (H, W) uint8, even height and width.
        target: (H / 2, W / 2) uint8, where the result is written to; None for a new array.
    """
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    # In floats: rounding the means would cost up to 3 dB (61.3 in place of 64.6).
    mean = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    seen = cv2.sepFilter2D(mean, cv2.CV_32F, SEEN, SEEN, borderType=cv2.BORDER_REPLICATE)
    return cv2.addWeighted(mean, 2, seen, -1, 0, target, cv2.CV_8U)


@cache
def yuv_matrix(colors: Colors, to_rgb: bool) -> np.ndarray:
    """(3, 4) affine map between 8-bit YUV and RGB, for `cv2.transform`."""
    red, blue = WEIGHTS[colors.matrix]
    green = 1 - red - blue
    forward = np.array(  # rows Y, U, V from R, G, B, all in 0..255, U and V around 0
        [
            [red, green, blue],
            [-red / (2 - 2 * blue), -green / (2 - 2 * blue), 0.5],
            [0.5, -green / (2 - 2 * red), -blue / (2 - 2 * red)],
        ]
    )
    offset = np.array([0.0, 128.0, 128.0])
    if colors.range == LIMITED:
        forward *= np.array([[219], [224], [224]]) / 255
        offset[0] = 16
    if not to_rgb:
        return np.hstack([forward, offset[:, None]])
    back = np.linalg.inv(forward)
    return np.hstack([back, -back @ offset[:, None]])


def samples(plane: VideoPlane) -> np.ndarray:
    """(h, w) uint8 of a plane, without the padding at the end of its lines; valid as long as its
    frame is."""
    step, height = plane.line_size, plane.height
    if step > 0:
        data = np.frombuffer(plane, np.uint8).reshape(-1, step)
        return data[:height, : plane.width]
    # Pictures that are stored upside down (AMV): each line lies before the one above it, the last
    # one first.
    lines = (ctypes.c_uint8 * (-step * height)).from_address(plane.buffer_ptr + step * (height - 1))
    return np.frombuffer(lines, np.uint8).reshape(height, -step)[::-1, : plane.width].copy()


def _tag(frame: VideoFrame, colors: Colors) -> VideoFrame:
    frame.colorspace, frame.color_range = colors.matrix, colors.range
    frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
    return frame
