"""Pictures for programs on the local network that take NDI: OBS, vMix, Resolume (cyndilib).

`ndi`, or `ndi:NAME` for the name they list. It announces itself to the network, so `allow_network`
has to say so.
"""

from fractions import Fraction
from typing import Any

import cv2

from ..errors import EngineUnavailable, UsageError
from ..frame import Frame
from ..sources import SourceInfo
from . import Sink

NAME = "Impasto"
# Announced when the source does not know its own.
RATE = Fraction(30)
INSTALL = "pip install cyndilib"


class NdiSink(Sink):
    """Sends each frame; see `runtime.sinks` for the contract.

    Args:
        spec: "ndi" or "ndi:NAME".
        info: size of the frames, and the rate that is announced.
        allow_network: the user asked for the network (`--allow-network`).

    Attributes:
        frames: how many were sent.

    Raises:
        UsageError: the network was not asked for.
        EngineUnavailable: the package is missing or does not load here.
    """

    def __init__(self, spec: str, info: SourceInfo, *, allow_network: bool = False) -> None:
        if not allow_network:
            raise UsageError(
                f'"{spec}" announces itself to the local network; say --allow-network if that is '
                "what you want"
            )
        try:
            from cyndilib.sender import Sender
            from cyndilib.video_frame import VideoSendFrame
            from cyndilib.wrapper.ndi_structs import FourCC
        except ImportError as error:
            raise EngineUnavailable(f"no NDI here ({error}): {INSTALL}") from None
        self.frames = 0
        self._size = (info.width, info.height)
        self._sender: Any = Sender(spec.partition(":")[2] or NAME)
        video = VideoSendFrame()
        video.set_resolution(*self._size)
        video.set_frame_rate(Fraction(info.rate or RATE).limit_denominator(1001))
        video.set_fourcc(FourCC.RGBX)
        self._sender.set_video_frame(video)
        self._sender.open()
        self._open = True

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "ndi" and "ndi:NAME"."""
        return spec.partition(":")[0] == "ndi"

    def write(self, frame: Frame) -> None:
        """Hand one picture to the receivers; waits for none of them."""
        if frame.image.shape[1::-1] != self._size:
            raise ValueError(f"a frame of {frame.image.shape[1::-1]}, opened for {self._size}")
        if self._open:
            self._sender.write_video(cv2.cvtColor(frame.image, cv2.COLOR_RGB2RGBA).reshape(-1))
            self.frames += 1

    def close(self) -> None:
        """Leave the network; may be called twice."""
        if self._open:
            self._open = False
            self._sender.close()

    def abort(self) -> None:
        """As `close`: nothing is kept."""
        self.close()


PLUGIN = NdiSink
