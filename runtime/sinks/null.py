"""Nowhere: counts frames and checks their order. For measuring, and for tests."""

from fractions import Fraction

from ..frame import Frame, check_image
from ..sources import SourceInfo
from . import Sink


class NullSink(Sink):
    """Takes frames and forgets them.

    Args:
        spec: "null".
        info: size of the frames to come; None takes any.
    """

    def __init__(self, spec: str = "null", info: SourceInfo | None = None) -> None:
        self.frames = 0
        self._size = None if info is None else (info.height, info.width)
        self._last: Fraction | None = None

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "null"."""
        return spec in ("null", "null:")

    def write(self, frame: Frame) -> None:
        """Count the frame."""
        check_image(frame.image)
        if self._size is not None and frame.image.shape[:2] != self._size:
            raise ValueError(f"frame is {frame.image.shape[:2]}, expected {self._size}")
        if self._last is not None and frame.time <= self._last:
            raise ValueError(f"frame {frame.index} is not later than the one before")
        self._last = frame.time
        self.frames += 1

    def close(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to undo."""


PLUGIN = NullSink
