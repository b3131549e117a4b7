"""Run style models on pictures, clips and cameras: numpy, OpenCV, one inference engine, no torch.

>>> from runtime import open_session
>>> with open_session("starry.onnx") as session:
...     painted = session.stylize(photo)  # (H, W, 3) uint8 RGB in, the same out
"""

import sys
from typing import TYPE_CHECKING, Any

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


def _interrupted(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ["-m"]:
    # Started as `python -m runtime.image`: this package is loaded while Python looks for the
    # command. A Ctrl-C before it has begun is no fault to be shown with a traceback.
    sys.excepthook = _interrupted


def __getattr__(name: str) -> Any:
    """Import a name's module only when it is asked for: the session brings OpenCV, which `--help`
    does not need, and a command's first frame should wait for nothing it does not use."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f'module "runtime" has no attribute "{name}"')
