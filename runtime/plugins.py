"""The folder is the registry: `names` lists a package's modules without importing any, `load`
imports one and returns its `PLUGIN`. Files starting with `_` are helpers, not plugins."""

import ast
import contextlib
import importlib
import importlib.util
import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UsageError

_PLUGIN = re.compile(r"^PLUGIN = (\w+)$", re.MULTILINE)
# A class up to its first method.
_HEAD = re.compile(r"^class (\w+).*?(?=^    (?:def|async def|@)|^\S|\Z)", re.MULTILINE | re.DOTALL)


def names(package: ModuleType) -> list[str]:
    """Sorted plugin names in `package`; imports nothing, so a missing library harms nobody."""
    import pkgutil

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
    path = f"{package.__name__}.{name}"
    there = path in sys.modules or _source(Path(next(iter(package.__path__))), name).is_file()
    known = [name] if there and name.isidentifier() and name[0] != "_" else names(package)
    if name in known:
        plugin = getattr(importlib.import_module(path), "PLUGIN", None)
        if plugin is not None:
            return plugin
        known = [each for each in names(package) if each != name]  # what plugins share
    kind = package.__name__.rsplit(".", 1)[-1]
    raise UsageError(f'no "{name}" in {kind}.{suggest(name, known)}')


def constants(package: ModuleType, key: str) -> dict[str, Any]:
    """Plugin name -> the literal that its class assigns to `key`.

    It is read from the source text, nothing is imported. Plugins without it are left out.
    """
    folder = Path(next(iter(package.__path__)))
    found = {name: _declared(_source(folder, name)) for name in names(package)}
    return {name: declared[key] for name, declared in found.items() if key in declared}


def _source(folder: Path, name: str) -> Path:
    """The file of a plugin that is a module, or a package of its own."""
    module = folder / f"{name}.py"
    return module if module.is_file() else folder / name / "__init__.py"


@lru_cache(maxsize=64)
def _declared(source: Path) -> dict[str, Any]:
    """All literals that the class named by `PLUGIN` assigns before its first method.

    Only those few lines are parsed: whole modules take milliseconds each, before the first frame.
    """
    text = source.read_text(encoding="utf-8")
    plugin = _PLUGIN.search(text)
    heads = (head[0] for head in _HEAD.finditer(text) if plugin and head[1] == plugin[1])
    found: dict[str, Any] = {}
    tree = ast.parse(next(heads, ""))
    for node in (node for group in tree.body for node in getattr(group, "body", ())):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                with contextlib.suppress(ValueError):  # not a literal: for the class itself only
                    found[target.id] = ast.literal_eval(value)
    return found


def installed(module: str) -> bool:
    """Whether a library is there; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is absent, or imports of it are blocked
        return False


def suggest(word: str, known: list[str]) -> str:
    """` Did you mean "x"? Available: a, b.`: the tail of every "unknown name" message."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f"{hint} Available: {', '.join(known) or 'none'}."
