"""Table of `benchmarks.scoreboard`."""

from ..report.tables import Document, figure, label, table

COLUMNS = (
    label("painting"),
    label("model"),
    label("whose"),
    *map(figure, ("style", "coarse", "forms", "content", "detail")),
    figure("EQ", "eq"),
    figure("flat periodicity", "periodicity_flat"),
    figure("at 1920x1080", "periodicity_flat_large"),
    figure("per-phase roughness", "phase_roughness"),
    figure("at 1920x1080", "phase_roughness_large"),
)


def usual(data: Document) -> str:
    """Every model's figures, published pictures of the same painting below its own."""
    return table(COLUMNS, data["rows"])
