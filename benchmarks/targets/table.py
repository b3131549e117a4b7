"""The table of `benchmarks.targets`."""

from ..report.tables import Document, figure, label, table, text

COLUMNS = (
    label("target"),
    label("precision"),
    label("compared here by", "compared_by"),
    label("runs on", "runs_on"),
    figure("MB", "size_mb"),
    figure("parity dB", "psnr_db"),
    figure("objective, x PyTorch's", "objective_ratio"),
    figure("ms of one core here", "cpu_p50_ms"),
)


def usual(data: Document) -> str:
    """One checkpoint in every format: how large, how near, how long; then what was not made."""
    made = table(COLUMNS, [row for row in data["rows"] if row["metrics"]])
    left = [
        f"- {text(row, 'target')} {text(row, 'precision')}, {text(row, 'verdict')}: "
        f"{text(row, 'note')}."
        for row in data["rows"]
        if not row["metrics"]
    ]
    return "\n\n".join([made, *(["\n".join(left)] if left else [])])
