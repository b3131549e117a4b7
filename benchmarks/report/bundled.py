"""The table of the bundled models: what each paints, how fast it is, how near to its source.

Speed comes from `benchmarks.students`, L-BFGS iterations from `benchmarks.quality`, the rest from
the validation report beside each model. All carry the checksum of the file they speak of; a figure
of any other file is not shown.
"""

import json
from pathlib import Path

from runtime.card import ModelCard
from runtime.checksum import sha256
from runtime.model import zoo

from ..measuring.results import Document, Facts, Metrics
from ..quality.table import objectives
from .tables import ABSENT, markdown, number

HEADER = [
    *("model", "painting", "MB", "int8 against fp32, dB", "objective, x fp32"),
    *(
        "as good as L-BFGS iterations",
        "ms at 1280x720, one core",
        "x faster than Johnson's network",
    ),
]


def listed(folder: Path) -> list[Path]:
    """The int8 files of the styles of one painting or one painter: those with a float counterpart
    beside them."""
    counterparts = folder.glob("*-fp32.onnx")
    files = [path.with_name(f"{path.stem.removesuffix('-fp32')}.onnx") for path in counterparts]
    return sorted((path for path in files if path.is_file()), key=_grade)


def table(folder: Path, speed: Document | None, quality: Document | None = None) -> str:
    """One row a model.

    Args:
        folder: the models, each with its report `<name>.json`.
        speed: a result file of `benchmarks.students`, or None.
        quality: one of `benchmarks.quality`, or None.
    """
    times = {row["labels"].get("sha256"): row["metrics"] for row in speed["rows"]} if speed else {}
    files = {path.stem: sha256(path) for path in listed(folder)}
    reached = objectives(quality, files)
    rows = [_row(folder / f"{name}.onnx", files[name], times, reached) for name in files]
    return markdown(HEADER, rows, [True, True])


def _row(
    path: Path, digest: str, times: dict[str | None, Metrics], reached: dict[str, float]
) -> list[str]:
    report = _report(path, digest)
    sizes = report.get("parity", {}).get("sizes", [])
    clock = times.get(digest, {})
    return [
        f"`{path.stem}`",
        _painting(zoo.read_card(path)),
        f"{path.stat().st_size / 1e6:.2f}",
        number(min((size["psnr_db"] for size in sizes), default=None)),
        number(report.get("judged", {}).get("objective_ratio")),
        number(reached.get(path.stem)),
        number(clock.get("cpu_p50_ms")),
        number(clock.get("faster")),
    ]


def _report(path: Path, digest: str) -> Facts:
    """The validation report beside a model, if it is of this very file."""
    beside = path.with_suffix(".json")
    report = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    return report if report.get("sha256") == digest else {}


def _painting(card: ModelCard | None) -> str:
    if card is None:
        return ABSENT
    artist = card.style.get("artist", "").partition(" (")[0]  # without the dates of his life
    return ", ".join(word for word in (card.style.get("title"), artist) if word) or ABSENT


def _grade(path: Path) -> tuple[str, int]:
    """Styles together, the default file first."""
    style, _, grade = path.stem.partition("-")
    return style, ("", "fast", "quality").index(grade) if grade in ("fast", "quality") else 0
