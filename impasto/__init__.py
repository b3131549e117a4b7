"""Turn any painting into a real-time filter: the one package that `pip install` puts in place.

>>> from impasto import open_session
>>> with open_session("starry") as session:
...     painted = session.stylize(photo)  # (H, W, 3) uint8 RGB in, the same out

Installed, it holds `impasto.runtime` and `impasto.models`. In a checkout these are the folders
runtime/ and models/ beside this one, so that `python -m impasto` works there as well. Training,
export and benchmarks are not installed: they are commands of a checkout.
"""

import sys
from importlib import import_module
from os import path

_HERE = path.dirname(path.realpath(__file__))
if not path.isdir(path.join(_HERE, "runtime")):  # a checkout
    __path__.append(path.dirname(_HERE))
if path.basename((sys.argv or [""])[0]).startswith(("impasto", "-m")):
    import_module(".runtime", __name__)  # it hears Ctrl-C

from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from .runtime import Frame, ModelCard, StyleSession, open_session

__all__ = ["Frame", "ModelCard", "StyleSession", "open_session"]


def __getattr__(name: str) -> Any:
    """Pass on what the runtime offers, once it is asked for: `impasto --version` loads none."""
    if name in __all__:
        return getattr(import_module(".runtime", __name__), name)
    raise AttributeError(f'module "impasto" has no attribute "{name}"')
