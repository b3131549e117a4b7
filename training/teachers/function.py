"""A Python function as a teacher, `package.module:function`: it takes a picture, (H, W, 3) uint8
RGB, and returns one of the same shape.

The module is found as Python finds it, from the folder the command runs in as well. The function
is called from several threads at once; `--set options.workers=1` for one that cannot bear it.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

import numpy as np

from runtime.errors import UsageError
from runtime.frame import Image
from runtime.plugins import suggest

from . import TeacherFailed, digest_of


class FunctionTeacher:
    """See the module's docstring; obligations in `training.teachers.Teacher`."""

    form = "package.module:function"
    parallel = True
    runs_code = True

    @staticmethod
    def accepts(text: str) -> bool:
        """Whether it looks like one."""
        return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None

    def __init__(self, text: str) -> None:
        self.label = text
        module, _, name = text.partition(":")
        self._call = _find(module, name)
        # Without a source, as in a compiled module, the name is all there is.
        try:
            source = Path(inspect.getsourcefile(self._call) or "").read_bytes()
        except (OSError, TypeError):
            source = b""
        self.digest = digest_of(text, source)

    def __call__(self, picture: Image) -> Image:
        """Call it with a copy."""
        try:
            return np.ascontiguousarray(self._call(picture.copy()))
        except Exception as error:  # a stranger's function: whatever it raises is its answer
            raise TeacherFailed(f"{self.label}: {type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Nothing to free."""


def _find(module: str, name: str):
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        absent = error.name or module
        if module != absent and not module.startswith(absent + "."):
            raise UsageError(f'teacher "{module}:{name}": it needs "{absent}"') from None
        raise UsageError(
            f'teacher "{module}:{name}": no module "{absent}"; run from the folder it lies in, or '
            "install it"
        ) from None
    if not callable(function := getattr(found, name, None)):
        known = [key for key, value in vars(found).items() if inspect.isfunction(value)]
        raise UsageError(f'teacher "{module}:{name}": no function "{name}".{suggest(name, known)}')
    return function


PLUGIN = FunctionTeacher
