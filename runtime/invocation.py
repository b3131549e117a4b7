"""Name and version of our commands, so that help and hints print what can be typed.

In a checkout that is `python -m runtime.image`. Installed, this package is `impasto.runtime` and
the command is `impasto image`, or `python -m impasto image` for those who started it that way.
"""

import re
import sys
from pathlib import Path

VERSION = "0.1.0"  # pyproject.toml reads it here
INSTALLED = (__package__ or "").startswith("impasto.")
# The commands whose name differs from their module's.
_NAMES = {"serve_site": "serve"}
_WRITTEN = re.compile(r"python -m runtime\.(\w+)")


def command(module: str) -> str:
    """What starts a command of the runtime, by the name of its module: "image", "serve_site"."""
    if not INSTALLED:
        return f"python -m runtime.{module}"
    started = Path(sys.argv[0]) if sys.argv else Path()
    as_module = started.name == "__main__.py" and started.parent.name == "impasto"
    return f"{'python -m impasto' if as_module else 'impasto'} {_NAMES.get(module, module)}"


def shell_command(module: str) -> str:
    """The same, as a shell finds it: with the path of an environment that is not activated."""
    import shutil

    program, _, rest = command(module).partition(" ")
    ours = Path(sys.executable).with_name(program)
    found = shutil.which(program)
    if found and Path(found).absolute() == ours.absolute():
        return f"{program} {rest}"
    if not ours.exists():
        return f"{program} {rest}"
    try:
        return f"{ours.relative_to(Path.cwd())} {rest}"
    except ValueError:  # elsewhere
        return f"{ours} {rest}"


def as_typed(text: str) -> str:
    """A text written for a checkout, with its `python -m runtime.NAME` as they are typed here."""
    return _WRITTEN.sub(lambda found: command(found[1]), text)
