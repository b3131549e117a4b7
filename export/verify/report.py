"""The report beside an artifact: its origin, what was done, how it scored."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.card import JsonObject
from runtime.checksum import sha256
from runtime.frame import Image
from runtime.meter import Meter
from runtime.model import formats
from runtime.model.session import StyleSession
from runtime.outputs import replacing

from .parity import Parity
from .photos import cover

if TYPE_CHECKING:
    from ..source import ExportSource

# What an export says of itself, as JSON holds it.
Report = JsonObject
# Libraries whose version can change an artifact or its check.
TOOLS = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "nncf",
    "ncnn",
    "pnnx",
    "executorch",
    "torchao",
    "coremltools",
    "litert-torch",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)
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


def make_report(
    origin: Report,
    delivered: Sequence[Path],
    steps: list[str],
    proof: Parity | list[str],
    extra: Report,
) -> Report:
    """Plain data of one export.

    Args:
        origin: what it was made from (`origin_of`, `origin_of_models`).
        delivered: the finished files and folders, the artifact itself first.
        steps: what was done, in order.
        proof: the comparison it passed, or, where it cannot run here, what else was checked.
        extra: what the target adds (fold quality, milliseconds, losses).
    """
    ran = isinstance(proof, Parity)
    return {
        **_files(delivered),
        "source": origin,
        "steps": steps,
        "tools": tool_versions(),
        **({"parity": proof.to_dict()} if ran else {"checks": proof}),
        **extra,
        "verdict": "passed" if ran else "checked, not run",
    }


def origin_of(source: ExportSource) -> Report:
    """The report's "source" of an export from a checkpoint."""
    return {
        "checkpoint": source.path.name,
        "sha256": source.sha256,
        "step": source.step,
        "network": source.card.network,
    }


def origin_of_models(models: Sequence[Path]) -> Report:
    """The report's "source" of an export from finished models."""
    return {"models": [{"file": path.name, "sha256": sha256(path)} for path in models]}


def _files(delivered: Sequence[Path]) -> Report:
    """Name, checksum and size of an artifact; of each of its files, if they are several.

    The size is that of everything together; the checksum that of the file the artifact is named
    after, or of the folder's listing (`checksum.sha256`).
    """
    main = delivered[0]
    every = [
        (
            entry.name if entry == place else f"{place.name}/{entry.relative_to(place).as_posix()}",
            entry,
        )
        for place in delivered
        for entry in ([place] if place.is_file() else sorted(place.rglob("*")))
        if entry.is_file()
    ]
    found: Report = {
        "file": main.name,
        "sha256": sha256(main),
        "bytes": sum(entry.stat().st_size for _, entry in every),
    }
    if len(every) > 1:
        found["files"] = [
            {"file": name, "sha256": sha256(entry), "bytes": entry.stat().st_size}
            for name, entry in every
        ]
    return found


def write_report(report: Report, model: Path) -> Path:
    """Write it beside the model (`receipt_path`), atomically."""
    path = report_path(model)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return path


def report_path(model: Path) -> Path:
    """`models/starry.onnx` -> `models/starry.json`; of other kinds the whole name is kept, so that
    the same style in several formats fits in one folder: `starry.xml` -> `starry.xml.json`. Where a
    part of the model has that name, `starry.engine` -> `starry.engine.receipt.json`."""
    if model.suffix == ".onnx":
        return model.with_suffix(".json")
    usual = model.with_name(model.name + ".json")
    return usual.with_suffix(".receipt.json") if formats.beside(model) == usual else usual


def milliseconds(session: StyleSession, photo: Image, sizes: list[tuple[int, int]]) -> Report:
    """Median and 95th percentile of whole `stylize` calls, per size."""
    report: Report = {}
    for width, height in sizes:
        picture = cover(photo, width, height)
        session.stylize(picture)
        meter = Meter()
        for _ in range(TIMED_FRAMES):
            with meter("style"):
                session.stylize(picture)
        report[f"{width}x{height}"] = meter.percentiles("style")
    return report
