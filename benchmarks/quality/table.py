"""Tables of `benchmarks.quality`."""

from collections.abc import Mapping

from ..report.tables import Document, Row, anything, figure, interval, label, table

EQUIVALENTS = (
    label("model"),
    label("loss network", "backbone"),
    label("start", "init"),
    label("picture px", "size"),
    figure("L-BFGS iterations", "iterations_mean"),
    interval("95 % interval", "iterations"),
    figure("photos"),
    figure("beyond the curve", "beyond_curve"),
)
OBJECTIVES = (
    label("model"),
    figure("objective", "total"),
    figure("x the best", "objective_ratio"),
    figure("L-BFGS iterations", "iterations_mean"),
    figure("photos"),
)
FRONTIER = (
    label("model"),
    label("style weight", "style_weight"),
    figure("content"),
    figure("style"),
    figure("photos"),
    figure("both, x the line", "excess"),
)


def _equivalents(data: Document) -> list[Row]:
    return [row for row in data["rows"] if row["labels"].get("what") == "equivalents"]


def usual(data: Document) -> str:
    """Each model against L-BFGS, by the loss network of its training and by others."""
    rows = _equivalents(data)
    return table(EQUIVALENTS, rows) if rows else anything(data)


def adapt(data: Document) -> str:
    """Objectives of networks of the same painting, by the loss network of their training."""
    rows = _equivalents(data)
    own = rows[0]["labels"]["backbone"] if rows else None  # it comes first
    return table(OBJECTIVES, [row for row in rows if row["labels"]["backbone"] == own])


def pareto(data: Document) -> str:
    """Content and style of each model, and of pixels optimized with several style weights."""
    return table(
        FRONTIER, [r for r in data["rows"] if r["labels"]["what"] in ("frontier", "pareto")]
    )


def objectives(
    quality: Document | None, files: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Model to the L-BFGS iterations that reach its objective (the loss network of its training,
    started at the photo), from a file of `benchmarks.quality`.

    Args:
        quality: the result file.
        files: name -> sha256 of the models asked about; what was measured with another file of
            that name is left out. None takes all.
    """
    found: dict[str, float] = {}
    for row in _of(quality, files):
        labels, value = row["labels"], row["metrics"].get("iterations_mean")
        if value is not None and labels.get("init") in ("content", None):
            # The first row of a model is the one of its own loss network.
            found.setdefault(str(labels.get("model")), value)
    return found


def objective_ratios(
    quality: Document | None, files: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Model to its objective relative to the best model of its painting, by the loss network of
    the training; arguments as of `objectives`."""
    found: dict[str, float] = {}
    for row in _of(quality, files):
        value = row["metrics"].get("objective_ratio")
        if value is not None:
            # The first row of a model is the one of its own loss network.
            found.setdefault(str(row["labels"]["model"]), value)
    return found


def _of(quality: Document | None, files: Mapping[str, str] | None) -> list[Row]:
    """The rows that were measured with these very files."""
    if quality is None:
        return []
    measured = quality.get("settings", {}).get("sha256", {})
    return [
        row
        for row in quality["rows"]
        if files is None
        or (name := str(row["labels"].get("model"))) not in files
        or measured.get(name) == files[name]
    ]
