"""Tables of `benchmarks.folding`."""

from ..report.tables import Column, Document, figure, label, metric, table

LIKENESS = (
    label("what"),
    Column("PSNR, dB (worst)", lambda r: f"{metric(r, 'psnr_db')} ({metric(r, 'worst_psnr_db')})"),
    figure("SSIM", "ssim"),
    figure("style, of the float network's", "style_ratio"),
)
FLICKER = (
    label("what"),
    figure("flicker, levels", "flicker"),
    figure("folded once", "flicker_folded_once"),
    figure("float network", "flicker_float"),
    figure("of the source", "flicker_source"),
)
COSTS = (
    label("size"),
    figure("fold ms", "fold_p50_ms"),
    figure("measurement ms", "measure_p50_ms"),
    figure("of a smaller copy ms", "measure_small_p50_ms"),
    figure("frame ms", "frame_p50_ms"),
)


def usual(data: Document) -> str:
    """An int8 file against its float network, scene by scene; then what folding costs."""
    means = [row for row in data["rows"] if row["labels"].get("photo") == "mean"]
    parts = (
        table(LIKENESS, [row for row in means if "psnr_db" in row["metrics"]]),
        table(FLICKER, [row for row in means if "flicker" in row["metrics"]]),
        table(COSTS, [row for row in data["rows"] if row["labels"]["what"] == "cost"]),
    )
    return "\n\n".join(parts)
