"""A virtual camera that Zoom, Teams, OBS or a browser can choose (pyvirtualcam).

`virtualcam`, or `virtualcam:/dev/video2` for one of several. Windows and macOS use OBS Studio's
virtual camera, Linux the kernel module v4l2loopback; both are set up once.
"""

import sys
from fractions import Fraction
from typing import Any

import cv2

from ..errors import EngineUnavailable, SinkError
from ..frame import Frame, Image
from ..pool import Pool

INSTALL = 'pip install "impasto[virtualcam]" (or: pip install pyvirtualcam)'
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


class VirtualCameraSink:
    """Sends each frame to the driver; see `runtime.sinks` for the contract."""

    def __init__(
        self, spec: str = "virtualcam", *, width: int, height: int, rate: Fraction | float = 30
    ) -> None:
        """Open the camera.

        Args:
            spec: "virtualcam" or "virtualcam:DEVICE".
            width, height: of all frames, in pixels (odd ones lose a row or column: the drivers'
                color planes are half size).
            rate: frames per second announced to the programs that watch.

        Raises:
            EngineUnavailable: the package or the driver is missing; the message says how to get it.
        """
        try:
            import pyvirtualcam
        except ImportError:
            raise EngineUnavailable(
                f"--virtual-camera needs pyvirtualcam, which is missing: {INSTALL}"
            ) from None
        self._size = (width - width % 2, height - height % 2)
        device = spec.partition(":")[2] or None
        try:
            self._camera: Any = pyvirtualcam.Camera(*self._size, float(rate), device=device)
        except RuntimeError as error:
            platform = "linux" if sys.platform.startswith("linux") else sys.platform
            reason = " ".join(str(error).split())
            raise EngineUnavailable(
                f"no virtual camera can be opened ({reason}); {SETUP.get(platform, SETUP['linux'])}"
            ) from None
        self.device: str = self._camera.device
        self._pool = Pool(limit=2)

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "virtualcam" and "virtualcam:..."."""
        return spec.partition(":")[0] == "virtualcam"

    def write(self, frame: Frame) -> None:
        """Send the picture; the driver repeats it until the next one."""
        if self._camera is None:
            return
        try:
            self._camera.send(self._fitted(frame.image))
        except (RuntimeError, ValueError, OSError) as error:
            raise SinkError(f"the virtual camera {self.device} refused a frame: {error}") from None

    def close(self) -> None:
        """Give the camera back; may be called twice."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def abort(self) -> None:
        """As `close`: a camera keeps nothing."""
        self.close()

    def _fitted(self, image: Image) -> Image:
        width, height = self._size
        if image.shape[:2] == (height, width) and image.flags.c_contiguous:
            return image
        return cv2.resize(
            image, self._size, dst=self._pool.take(height, width, 3), interpolation=cv2.INTER_AREA
        )

    def __enter__(self) -> "VirtualCameraSink":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


PLUGIN = VirtualCameraSink
