"""OpenCV's library, 60 MB, is mapped and relocated in a second thread while Python imports numpy.

An import keeps all other threads from the interpreter; opening the library by itself does not. By
processor time `import cv2` then costs the main thread 8 ms of a start instead of 16.
"""

import importlib.util
import sys
import threading
from pathlib import Path

from .cores import num_cores


def begin() -> None:
    """Start to load it; whatever goes wrong shows when OpenCV is imported."""
    # With one core nothing is won. Elsewhere than on Linux it was not measured.
    if num_cores() > 1 and sys.platform == "linux" and "cv2" not in sys.modules:
        threading.Thread(target=_load, name="head-start").start()


def _load() -> None:
    import ctypes  # numpy needs it, too

    spec = importlib.util.find_spec("cv2")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    for library in folder.glob("cv2*.so") if folder is not None else ():
        try:
            ctypes.CDLL(str(library))
        except OSError:
            return
