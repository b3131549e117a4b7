"""Table of `benchmarks.generative`."""

from ..report.tables import Column, Document, figure, label, number, table

COLUMNS = (
    label("generator", "recipe"),
    label("pictures"),
    Column("steps", lambda row: number(row["labels"]["steps"])),
    figure("CPU seconds", "training_cpu_s"),
    figure("weights, thousands", "weights_thousands"),
    figure("FID stand-in before", "fid_before"),
    figure("after", "fid_after"),
    figure("KID stand-in before", "kid_before"),
    figure("after", "kid_after"),
    figure("of real ones at half the resolution", "kid_of_halved"),
    figure("KID by EfficientNet-Lite0 before", "judge_kid_before"),
    figure("after", "judge_kid_after"),
    figure("of real ones at half the resolution", "judge_kid_of_halved"),
    figure("digits found", "digits_found"),
    figure("Inception Score", "inception_score"),
    figure("of real ones", "real_inception_score"),
    figure("diversity", "diversity"),
    figure("color left to AdaIN's style", "style_color_left"),
    figure("ms a picture", "sample_cpu_ms"),
)


def table_of(*data: Document | None) -> str:
    """One row a problem, of those result files that are there."""
    return table(COLUMNS, [row for each in data if each is not None for row in each["rows"]])
