"""Between a decoder's or encoder's pictures and RGB, with the color tags of the clip respected.

Which RGB a YUV triple means depends on four tags (ITU-T H.273): the matrix, the range (video
levels 16..235 or full 0..255), the primaries and the transfer function. Reading with one matrix and
writing with another is the usual cause of clips that come back with shifted colors, so the same
`Colors` serve both legs and are written into the output.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import SourceError
from .frame import Image

# Code points of ITU-T H.273 (FFmpeg's AVCOL_* use the same numbers).
RGB, BT709, UNSPECIFIED, BT601, BT2020 = 0, 1, 2, 6, 9
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
PQ, HLG = 16, 18  # SMPTE ST 2084, ARIB STD-B67
# Matrices that can be converted, and swscale's number for them: BT.709, FCC, BT.470BG and SMPTE
# 170M (both BT.601), SMPTE 240M, BT.2020.
SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
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

    def resolved(self, width: int, height: int) -> "Colors":
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


def colors_of(frame: Any) -> Colors:
    """Read the tags of a decoded `av.VideoFrame`; RGB formats have matrix 0 and full range."""
    if is_rgb(frame.format):
        return Colors(RGB, FULL, int(frame.color_primaries), int(frame.color_trc))
    span = int(frame.color_range)
    if frame.format.name.startswith("yuvj"):  # the old names for full range
        span = FULL
    return Colors(int(frame.colorspace), span, int(frame.color_primaries), int(frame.color_trc))


def is_rgb(pixel_format: Any) -> bool:
    """True for RGB and palette formats of `av.VideoFormat`; gray counts as YUV without chroma."""
    return bool(pixel_format.is_rgb) or pixel_format.name == "pal8"


class Converter:
    """Converts between `av.VideoFrame` and `Image`; one per thread, it keeps swscale's tables.

    Both legs are chosen to undo each other: chroma is replicated on the way to RGB and averaged
    over the same pixels on the way back. Measured on the synthetic picture, YUV 4:2:0 -> RGB ->
    YUV: luma 64-67 dB, chroma 51-77 dB for BT.601/709, limited/full. swscale's default (truncating
    tables, bicubic chroma) gives 46-48 dB of luma, its smooth chroma 43-49 dB of chroma.
    """

    def __init__(self) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        self._to_rgb = (
            Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        )
        self._from_rgb = (
            Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
        )

    def to_rgb(self, frame: Any, colors: Colors, format: str = "rgb24") -> np.ndarray:
        """RGB of a decoded frame.

        Args:
            frame: `av.VideoFrame` in any software pixel format.
            colors: resolved tags of the frame.
            format: "rgb24" for (H, W, 3) uint8, "rgb48le" for uint16.
        """
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

    def from_rgb(self, image: Image, colors: Colors, format: str) -> Any:
        """An `av.VideoFrame` in `format`, carrying the tags it was made with.

        Args:
            image: (H, W, 3) uint8 RGB.
            colors: resolved tags; ignored for RGB formats.
            format: pixel format of the encoder ("yuv420p", "yuv422p10le", "bgr0", "rgb24").
        """
        import av

        picture = av.VideoFrame.from_ndarray(image, "rgb24")
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
        frame.colorspace, frame.color_range = colors.matrix, colors.range
        frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
        return frame
