"""Tables of `benchmarks.latency`: our models, everyone at every size, scaling and its laws."""

from .quality.table import objective_ratios, objectives
from .report.tables import (
    Column,
    Document,
    Row,
    figure,
    interval,
    label,
    metric,
    number,
    runs_on,
    table,
    with_precision,
)

SIZE = label("size")
RUNS_ON = Column("runs on", runs_on, words=True)
OURS = (
    Column("model", with_precision, words=True),
    SIZE,
    RUNS_ON,
    figure("graph ms", "model_p50_ms"),
    Column(
        "before + after ms", lambda r: f"{metric(r, 'pre_p50_ms')} + {metric(r, 'post_p50_ms')}"
    ),
    figure("complete ms", "total_p50_ms"),
    figure("p95 ms", "total_p95_ms"),
    figure("fps"),
    figure("% of peak", "peak_share_percent"),
    figure("memory MiB", "peak_memory_mib"),
    figure("first frame ms", "cold_start_ms"),
)
SCALING = (
    label("model"),
    SIZE,
    RUNS_ON,
    figure("complete ms", "total_p50_ms"),
    figure("fps"),
    figure("model memory MiB", "model_memory_mib"),
)
ENGINES = (
    Column("model", with_precision, words=True),
    SIZE,
    RUNS_ON,
    figure("complete ms", "total_p50_ms"),
    figure("memory MiB", "peak_memory_mib"),
    figure("first frame ms", "cold_start_ms"),
)


def engines(data: Document) -> str:
    """The same files on several engines."""
    return table(ENGINES, data["rows"])


def usual(data: Document) -> str:
    """The usual table: of sizes and laws, of everyone, or of our models."""
    if any("fit" in row["labels"] for row in data["rows"]):
        return scaling(data)
    if data.get("settings", {}).get("baseline") is None:
        return ours(data)
    return f"{ours(data)}\n\n{peers(data)}"


def ours(data: Document) -> str:
    """Our models: the graph, what is around it, and both."""
    return table(OURS, [row for row in data["rows"] if row["labels"].get("role") == "ours"])


def peers(data: Document, judged: Document | None = None) -> str:
    """Everyone at every size: how heavy, how long, how many times slower or faster."""
    files = data.get("settings", {}).get("sha256")
    reached, relative = objectives(judged, files), objective_ratios(judged, files)

    def quality(row: Row) -> str:
        iterations = reached.get(row["labels"]["model"])
        random = row["labels"].get("weights") == "random" and iterations is None
        return "random weights" if random else number(iterations)

    columns = (
        Column("network", with_precision, words=True),
        SIZE,
        RUNS_ON,
        figure("kMAC/px", "kmacs_per_pixel"),
        figure("parameters"),
        figure("complete ms", "total_p50_ms"),
        figure(f"x faster than {_baseline(data)}", "speedup"),
        interval("95 % interval", "speedup"),
        figure("by processor time", "speedup_cpu"),
        Column("quality: L-BFGS iterations", quality),
        Column(
            "objective, x the best of its style",
            lambda row: number(relative.get(row["labels"]["model"])),
        ),
    )
    return table(columns, [row for row in data["rows"] if "fit" not in row["labels"]])


def busy(data: Document, quiet: Document | None) -> str:
    """What a busy machine does to times, and what it leaves of the ratios."""
    calm = {row["id"]: row for row in quiet["rows"]} if quiet else {}
    baseline = _baseline(data)
    columns = (
        Column("network", with_precision, words=True),
        SIZE,
        Column("quiet ms", lambda row: metric(calm[row["id"]], "total_p50_ms")),
        figure("busy ms", "total_p50_ms"),
        Column(f"x faster than {baseline}, quiet", lambda row: metric(calm[row["id"]], "speedup")),
        figure("busy", "speedup"),
        figure("busy, by processor time", "speedup_cpu"),
    )
    both = [row for row in data["rows"] if row["id"] in calm]
    return table(columns, [row for row in both if row["labels"]["model"] != baseline])


def _baseline(data: Document) -> str:
    return data["settings"].get("baseline") or "the baseline"


def scaling(data: Document) -> str:
    """Sizes measured, and the laws fitted to them."""
    measured = [row for row in data["rows"] if "fit" not in row["labels"]]
    return "\n\n".join(filter(None, (table(SCALING, measured), laws(data))))


def laws(data: Document) -> str:
    """A sentence for each fit."""
    sentences = [_law(row) for row in data["rows"] if "fit" in row["labels"]]
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _law(row: Row) -> str:
    labels = row["labels"]
    if labels["fit"] == "threads":
        return (
            f"{labels['model']} at {labels['size']}: {metric(row, 'speedup')} x faster "
            f"with all threads measured, serial share {metric(row, 'serial_percent')} %."
        )
    memory = ""
    if "per_megapixel_mib" in row["metrics"]:
        memory = (
            f"; memory {metric(row, 'fixed_mib')} MiB + "
            f"{metric(row, 'per_megapixel_mib')} MiB per megapixel"
        )
    return (
        f"{labels['model']}, {runs_on(row)}: {metric(row, 'fixed_ms')} ms + "
        f"{metric(row, 'per_megapixel_ms')} ms per megapixel (worst error "
        f"{metric(row, 'worst_percent')} %), exponent {metric(row, 'exponent')}{memory}."
    )
