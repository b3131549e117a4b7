"""The folder is the registry: `names` lists a package's modules without importing any, `load`
imports one and returns its `PLUGIN`. Files starting with `_` are helpers, not plugins."""

import ast
import difflib
import importlib
import importlib.util
import pkgutil
from pathlib import Path
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


def constants(package: ModuleType, key: str) -> dict[str, Any]:
    """Plugin name -> the literal that its class assigns to `key`.

    It is read from the source text, nothing is imported. Plugins without it are left out.
    """
    found: dict[str, Any] = {}
    for name in names(package):
        source = Path(next(iter(package.__path__))) / f"{name}.py"
        value = _constant(ast.parse(source.read_text(encoding="utf-8")), key)
        if value is not None:
            found[name] = value
    return found


def _constant(module: ast.Module, key: str) -> Any:
    """The value of `key` in the class that `PLUGIN` names."""
    plugin = _assigned(module.body, "PLUGIN")
    for node in module.body:
        if isinstance(node, ast.ClassDef) and isinstance(plugin, ast.Name):
            value = _assigned(node.body, key) if node.name == plugin.id else None
            if value is not None:
                return ast.literal_eval(value)
    return None


def _assigned(body: list[ast.stmt], name: str) -> ast.expr | None:
    """What these lines assign to `name`."""
    for node in body:
        if isinstance(node, ast.Assign):
            places = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            places = [node.target]
        else:
            continue
        if any(isinstance(place, ast.Name) and place.id == name for place in places):
            return node.value
    return None


def installed(module: str) -> bool:
    """Whether a library is there; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is absent, or imports of it are blocked
        return False


def suggest(word: str, known: list[str]) -> str:
    """` Did you mean "x"? Available: a, b.`: the tail of every "unknown name" message."""
    near = difflib.get_close_matches(word, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f"{hint} Available: {', '.join(known) or 'none'}."
