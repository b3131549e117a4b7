"""The folder is the registry: `names` lists a package's modules without importing any, `load`
imports one and returns its `PLUGIN`. Files starting with `_` are helpers, not plugins."""

import difflib
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from .errors import UsageError


def names(package: ModuleType) -> list[str]:
    """Sorted plugin names in `package`; imports nothing, so a missing library harms nobody."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    )


def load(package: ModuleType, name: str) -> Any:
    """Import `package.name` and return its `PLUGIN`.

    Raises:
        UsageError: unknown name; the message lists the folder and suggests the nearest.
    """
    known = names(package)
    if name not in known:
        kind = package.__name__.rsplit(".", 1)[-1]
        raise UsageError(f'no "{name}" in {kind}.{suggest(name, known)}')
    return importlib.import_module(f"{package.__name__}.{name}").PLUGIN


def suggest(word: str, known: list[str]) -> str:
    """` Did you mean "x"? Available: a, b.`: the tail of every "unknown name" message."""
    near = difflib.get_close_matches(word, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f"{hint} Available: {', '.join(known) or 'none'}."
