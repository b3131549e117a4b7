"""A virtual camera that Zoom, Teams, OBS or a browser can choose (pyvirtualcam).

`virtualcam`, or `virtualcam:/dev/video2` for one of several. Windows and macOS use OBS Studio's
virtual camera, Linux the kernel module v4l2loopback; both are set up once.
"""

import sys
from typing import Any

import numpy as np

from ..errors import EngineUnavailable, SinkError
from ..frame import Frame, Image
from ..sources import SourceInfo
from . import Sink

INSTALL = "pip install pyvirtualcam"
RATE = 30  # announced when the source does not know its own
SETUP = {
    "linux": (
        "set it up once: sudo apt-get install v4l2loopback-dkms && sudo modprobe v4l2loopback "
        'exclusive_caps=1 card_label="Impasto"'
    ),
    "win32": "set it up once: install OBS Studio 28 or newer (obsproject.com); nothing to start",
    "darwin": (
        "set it up once: install OBS Studio 30 or newer (obsproject.com), open it, press Start "
        "Virtual Camera, allow it in System Settings, press Stop Virtual Camera"
    ),
}


class VirtualCameraSink(Sink):
    """Sends each frame to the driver; see `runtime.sinks` for the contract.

    Args:
        spec: "virtualcam" or "virtualcam:DEVICE".
        info: size of the frames (an odd row or column is lost: the drivers' color planes are of
            half size) and the rate announced to the programs that watch.

    Attributes:
        frames: how many were sent.
        device: the camera's name as other programs list it.

    Raises:
        EngineUnavailable: the package or the driver is missing; the message says how to get it.
    """

    def __init__(self, spec: str, info: SourceInfo) -> None:
        try:
            import pyvirtualcam
        except ImportError:
            raise EngineUnavailable(
                f"--virtual-camera needs pyvirtualcam, which is missing: {INSTALL}"
            ) from None
        self.frames = 0
        self._shape = (info.height, info.width, 3)
        self._size = (info.width - info.width % 2, info.height - info.height % 2)
        device = spec.partition(":")[2] or None
        try:
            self._camera: Any = pyvirtualcam.Camera(
                *self._size, float(info.rate or RATE), device=device
            )
        except RuntimeError as error:
            platform = "linux" if sys.platform.startswith("linux") else sys.platform
            reason = " ".join(str(error).split())
            raise EngineUnavailable(
                f"no virtual camera can be opened ({reason}); {SETUP.get(platform, SETUP['linux'])}"
            ) from None
        self.device: str = self._camera.device

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "virtualcam" and "virtualcam:..."."""
        return spec.partition(":")[0] == "virtualcam"

    def write(self, frame: Frame) -> None:
        """Send the picture; the driver repeats it until the next one."""
        if self._camera is None:
            return
        if frame.image.shape != self._shape:
            raise ValueError(f"frame is {frame.image.shape}, the camera sends {self._shape}")
        try:
            self._camera.send(self._even(frame.image))
        except (RuntimeError, ValueError, OSError) as error:
            raise SinkError(f"the virtual camera {self.device} refused a frame: {error}") from None
        self.frames += 1

    def close(self) -> None:
        """Give the camera back; may be called twice."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def abort(self) -> None:
        """As `close`: a camera keeps nothing."""
        self.close()

    def _even(self, image: Image) -> Image:
        width, height = self._size
        return np.ascontiguousarray(image[:height, :width])

    def __enter__(self) -> "VirtualCameraSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


PLUGIN = VirtualCameraSink
