"""The table of `benchmarks.temporal`."""

from ..report.tables import Document, figure, label, table

COLUMNS = (
    label("stabilizer"),
    label("motion known", "truth"),
    label("scenes", "photo"),
    figure("E", "warp_ratio"),
    figure("E, long term", "warp_long_ratio"),
    figure("excess", "excess_ratio"),
    figure("sharpness"),
    figure("style", "style_ratio"),
    figure("still flicker, levels", "flicker"),
    figure("drift, levels", "drift"),
)


def usual(data: Document) -> str:
    """Stabilizers over all scenes of a kind: ratios to the network's own frames, and the gates."""
    return table(COLUMNS, [row for row in data["rows"] if row["labels"].get("clip") == "mean"])
