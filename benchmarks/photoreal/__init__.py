"""Photographs in the style of photographs: what keeps their edges, and what each way costs."""

from ..report.tables import Document, figure, label, table

COLUMNS = (
    label("photo:style", "pair"),
    label("by", "method"),
    figure("gradient SSIM", "gradient_ssim"),
    figure("histogram distance to the style", "histogram_distance"),
    figure("seconds"),
)


def table_of(data: Document) -> str:
    """One row a pair and way."""
    return table(COLUMNS, data["rows"])
