"""The receipt `<name>.json` beside an artefact: its origin, what was done, how it scored."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from runtime import store
from runtime.meter import Meter
from runtime.session import StyleSession

from .parity import Parity
from .photos import cover
from .source import ExportSource

# Libraries whose version can change an artefact or its check.
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "opencv-python-headless")
# Frames timed per size by `milliseconds`, after one that warms up.
TIMED_FRAMES = 15


def tool_versions() -> dict[str, str]:
    """Installed versions; libraries that are absent are left out."""
    versions = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def make_receipt(
    source: ExportSource, path: Path, steps: list[str], parity: Parity, extra: dict[str, Any]
) -> dict[str, Any]:
    """Plain data of one export.

    Args:
        source: what it was made from.
        path: the finished file.
        steps: what was done, in order.
        parity: the check it passed.
        extra: what the target adds (fold quality, milliseconds, losses).
    """
    return {
        "file": path.name,
        "sha256": store.sha256(path),
        "bytes": path.stat().st_size,
        "source": {
            "checkpoint": source.path.name,
            "sha256": source.sha256,
            "step": source.step,
            "network": source.card.network,
        },
        "steps": steps,
        "tools": tool_versions(),
        "parity": parity.to_dict(),
        **extra,
        "verdict": "passed" if parity.passed else "refused",
    }


def write_receipt(receipt: dict[str, Any], model: Path) -> Path:
    """Write `<name>.json` beside the model, atomically."""
    path = receipt_path(model)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def receipt_path(model: Path) -> Path:
    """`models/starry.onnx` -> `models/starry.json`."""
    return model.with_suffix(".json")


def milliseconds(session: StyleSession, photo: Any, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """Median and 95th percentile of whole `stylize` calls, per size."""
    report: dict[str, Any] = {}
    for width, height in sizes:
        picture = cover(photo, width, height)
        session.stylize(picture)
        meter = Meter()
        for _ in range(TIMED_FRAMES):
            with meter("style"):
                session.stylize(picture)
        report[f"{width}x{height}"] = meter.percentiles("style")
    return report
