"""Tables of `benchmarks.students`."""

from collections.abc import Callable

from ..report.tables import Column, Document, Row, label, metric, number, table

# Heading and metric.
FIGURES = (
    ("objective, x the teacher's", "objective_ratio"),
    ("fp32 counterpart", "float_ratio"),
    ("int8, x fp32", "int8_objective"),
    ("int8 dB", "int8_psnr_db"),
    ("L-BFGS iterations", "iterations"),
    ("EQ", "eq"),
    ("periodicity", "lock_flat"),
    ("per-phase roughness", "grid"),
    ("the same at 1920x1080", "grid_large"),
    ("border", "frame"),
    ("x faster", "faster"),
    ("ms of one core", "cpu_p50_ms"),
)


def usual(data: Document) -> str:
    """Every student's figures."""
    return _table(data, metric)


def targets(data: Document) -> str:
    """The same, each figure beside its target where one is set."""
    return _table(data, _beside_target)


def _table(data: Document, show: Callable[[Row, str], str]) -> str:
    figures = [Column(heading, lambda r, key=key: show(r, key)) for heading, key in FIGURES]
    parts = [table([label("model"), label("teacher"), *figures], data["rows"])]
    if data["settings"].get("baseline"):
        taken = data["settings"].get("latency")
        where = f"; times are those of the same graph in {taken}" if taken else ""
        parts.append(f"x faster: than {data['settings']['baseline']}, by processor time{where}.")
    return "\n\n".join(parts)


def _beside_target(row: Row, key: str) -> str:
    """As "1.12 (missed, target 1.10)"; the bare figure where no target is set."""
    metrics = row["metrics"]
    target, met = metrics.get(f"{key}_aim"), metrics.get(f"{key}_met")
    text = metric(row, key)
    if target is None or met is None:
        return text
    return f"{text} ({'met' if met else 'missed'}, target {number(target)})"
