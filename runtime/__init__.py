"""Run style models on pictures, clips and cameras: numpy, OpenCV, one inference engine, no torch.

>>> from runtime import open_session
>>> with open_session("starry.onnx") as session:
...     painted = session.stylize(photo)  # (H, W, 3) uint8 RGB in, the same out
"""

from typing import TYPE_CHECKING, Any

from . import _siblings
from .card import ModelCard
from .frame import Frame

if TYPE_CHECKING:
    from .session import StyleSession, open_session

__all__ = ["Frame", "ModelCard", "StyleSession", "open_session"]

_siblings.check("training", "export", "benchmarks")


def __getattr__(name: str) -> Any:
    """Import the session only when asked for: it brings OpenCV, which `--help` does not need."""
    if name in ("StyleSession", "open_session"):
        from . import session

        return getattr(session, name)
    raise AttributeError(f'module "runtime" has no attribute "{name}"')
