"""Guard against strangers: `training`, `export` and `benchmarks` are generic names, and another
wheel on the machine may own one of them. Each sibling package calls `check` when imported."""

import importlib.util
from pathlib import Path


def check(*names: str) -> None:
    """Raise ImportError if any package in `names` would load from another folder than ours."""
    home = Path(__file__).resolve().parent.parent
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin).resolve().parent
        if origin != home / name:
            raise ImportError(
                f'"{name}" was imported from {origin}, not from beside "runtime" ({home}); '
                "run from the repository root or use a clean environment"
            )
