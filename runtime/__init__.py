"""Run style models on pictures, clips and cameras: numpy, OpenCV, one inference engine, no torch.

>>> from runtime import open_session
>>> with open_session("starry.onnx") as session:
...     painted = session.stylize(photo)  # (H, W, 3) uint8 RGB in, the same out
"""

import os

from .missing import explain_at_start

explain_at_start()  # before anything that takes time: Ctrl-C may come at once
# From version 1.29 on, ONNX Runtime tells its maker which models it opens (its Privacy.md). Nothing
# goes to anybody unasked; who wants it sets this to 0. It is read when the library is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from .card import ModelCard
    from .frame import Frame
    from .model.session import StyleSession, open_session

__all__ = ["Frame", "ModelCard", "StyleSession", "open_session"]

_HOMES = {
    "Frame": "frame",
    "ModelCard": "card",
    "StyleSession": "model.session",
    "open_session": "model.session",
}


def __getattr__(name: str) -> Any:
    """Import a name's module only when it is asked for: the session brings OpenCV, which `--help`
    does not need, and a command's first frame should wait for nothing it does not use."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f'module "runtime" has no attribute "{name}"')
