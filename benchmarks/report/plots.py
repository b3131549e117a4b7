"""Result files as charts (SVG). Each function gives None when the file holds too little for it."""

from collections.abc import Callable, Mapping, Sequence

from export.charts import COLORS, name_point, new_chart, to_svg
from export.prune.pareto import draw_points

from ..measuring.results import Labels
from ..quality.table import objectives
from .tables import Document, Row, number, runs_on

ROW_INCHES = 0.3  # per bar in the bar charts
FRAME_INCHES = 1.1  # title and labels around them
BINS = 40


def measured(data: Document) -> list[Row]:
    """Rows of measurements, without fits."""
    return [row for row in data["rows"] if "fit" not in row["labels"]]


def _name(row: Row) -> str:
    labels = row["labels"]
    return f"{labels['model']} {labels['size']} {runs_on(row)}"


def bars(
    title: str,
    unit: str,
    names: Sequence[str],
    parts: Sequence[Mapping[str, float]],
    colors: Mapping[str, str],
    log: bool = False,
) -> str:
    """Horizontal stacked bars, the first on top, each with its sum behind it.

    Args:
        title: above the chart.
        unit: of the axis.
        names: of the bars.
        parts: of each bar, name to length.
        colors: of the parts, by their names.
        log: whether the axis is logarithmic, for bars of one part.
    """
    figure, axes = new_chart(title, unit, height=FRAME_INCHES + ROW_INCHES * len(names))
    begun = [0.0] * len(names)
    places = range(len(names))
    for key, color in colors.items():
        lengths = [part.get(key, 0.0) for part in parts]
        axes.barh(places, lengths, left=None if log else begun, color=color, label=key)
        begun = [start + length for start, length in zip(begun, lengths, strict=True)]
    if log:
        axes.set_xscale("log")
        axes.set_xlim(min(begun) / 2, max(begun) * 2)
    else:
        axes.set_xlim(0, max(begun) * 1.12)
    for place, total in zip(places, begun, strict=True):
        name_point(axes, total, place, number(total))
    axes.set_yticks(places, names, fontsize=8)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    figure.legend(fontsize=8, loc="outside lower right", ncols=len(colors))
    return to_svg(figure)


def stages(data: Document) -> str | None:
    """Per-stage bars: where the time of a frame goes."""
    if data["kind"] == "latency":
        keys, rows = ("pre", "model", "post"), measured(data)
        rows = [row for row in rows if row["labels"]["role"] == "ours"]
        names = [_name(row) for row in rows]
    elif data["kind"] == "end_to_end":
        keys, rows = ("decode", "style", "stabilize", "encode"), data["rows"]
        names = [_path_name(row["labels"]) for row in rows]
    else:
        return None
    parts = [{key: row["metrics"].get(f"{key}_p50_ms") or 0.0 for key in keys} for row in rows]
    if not parts:
        return None
    title = "Where the time of one frame goes"
    if data["kind"] == "end_to_end":
        # Reading, painting and writing have threads of their own.
        title += "\n(on two cores the stages overlap)"
    return bars(title, "ms (medians)", names, parts, dict(zip(keys, COLORS, strict=False)))


def _path_name(labels: Labels) -> str:
    """A row of end_to_end in a few words."""
    plural = "" if labels["cores"] == 1 else "s"
    words = (labels["model"], labels["size"], labels["stabilizer"], labels["output"])
    return f"{' '.join(words)}, {labels['cores']} core{plural}"


def comparison(data: Document) -> str | None:
    """Everyone's time at the largest size that all share, on a logarithmic axis."""
    rows = [row for row in measured(data) if row["labels"].get("threads") in (1, None)]
    if data["kind"] != "latency" or not any(r["labels"]["role"] == "peer" for r in rows):
        return None
    models = {row["labels"]["model"] for row in rows}
    shared = [
        size
        for size in {row["labels"]["size"] for row in rows}
        if {r["labels"]["model"] for r in rows if r["labels"]["size"] == size} == models
    ]
    if not shared:
        return None
    size = max(shared, key=lambda text: int(text.split("x")[0]))
    chosen = [row for row in rows if row["labels"]["size"] == size]
    chosen.sort(key=lambda row: row["metrics"]["total_p50_ms"])
    names = [f"{row['labels']['model']} ({row['labels']['precision']})" for row in chosen]
    parts = [{row["labels"]["role"]: row["metrics"]["total_p50_ms"]} for row in chosen]
    colors = {"ours": COLORS[0], "peer": COLORS[6]}
    title = f"One frame of {size}, one thread"
    return bars(title, "ms per frame, logarithmic", names, parts, colors, log=True)


def pareto(data: Document, quality: Document | None) -> str | None:
    """Latency against quality: up and left is better. Needs a quality file with these models."""
    reached = objectives(quality)
    rows = [
        row
        for row in measured(data)
        if row["labels"].get("model") in reached and row["labels"].get("threads") in (1, None)
    ]
    if data["kind"] != "latency" or not rows:
        return None
    sizes = sorted({row["labels"]["size"] for row in rows}, key=lambda s: int(s.split("x")[0]))
    figure, axes = new_chart(
        "Speed and quality, one thread",
        "ms per frame, logarithmic",
        "quality: L-BFGS iterations that reach it",
    )
    axes.set_xscale("log")
    for size, color in zip(sizes, COLORS, strict=False):
        own = [row for row in rows if row["labels"]["size"] == size]
        for index, row in enumerate(own):
            model, time = row["labels"]["model"], row["metrics"]["total_p50_ms"]
            axes.plot(time, reached[model], "o", color=color, label=None if index else size)
            name_point(axes, time, reached[model], model)
    axes.margins(0.2)
    axes.set_ylim(0, 1.2 * max(reached[row["labels"]["model"]] for row in rows))
    axes.legend()
    return to_svg(figure)


def histogram(data: Document) -> str | None:
    """How one model's times spread at its largest size: the median, p99 and the tail."""
    rows = [row for row in measured(data) if len(row["metrics"].get("total_times_ms", [])) >= 20]
    if data["kind"] != "latency" or not rows:
        return None
    ours = [row for row in rows if row["labels"]["role"] == "ours"] or rows
    row = max(ours, key=lambda r: (len(r["metrics"]["total_times_ms"]), r["metrics"]["pixels"]))
    times, metrics = row["metrics"]["total_times_ms"], row["metrics"]
    figure, axes = new_chart(f"{_name(row)}: {len(times)} frames", "ms per frame", "frames")
    axes.hist(times, bins=BINS, color=COLORS[0])
    for key, color in (("total_p50_ms", COLORS[1]), ("total_p99_ms", COLORS[3])):
        name = f"{key.split('_')[1]} {metrics[key]:.3g} ms"
        axes.axvline(metrics[key], color=color, linestyle="--", label=name)
    axes.legend()
    return to_svg(figure)


def against_pixels(data: Document, metric: str, title: str, unit: str) -> str | None:
    """A metric over the number of pixels, both logarithmic, with the fitted line dashed."""
    rows = [row for row in measured(data) if row["metrics"].get(metric)]
    fits = [row for row in data["rows"] if row["labels"].get("fit") == "pixels"]
    if data["kind"] != "latency" or not fits or not rows:
        return None
    names = {"total_p50_ms": ("fixed_ms", "per_megapixel_ms")}
    fixed, slope = names.get(metric, ("fixed_mib", "per_megapixel_mib"))
    figure, axes = new_chart(title, "megapixels", unit)
    keys = ("model", "engine", "device", "threads")
    for index, fit in enumerate(fits):
        color = COLORS[index % len(COLORS)]
        own = [r for r in rows if all(r["labels"][k] == fit["labels"][k] for k in keys)]
        sizes = sorted(row["metrics"]["pixels"] / 1e6 for row in own)
        label = f"{fit['labels']['model']}, {runs_on(fit)}"
        values = [(row["metrics"]["pixels"] / 1e6, row["metrics"][metric]) for row in own]
        axes.plot(*zip(*sorted(values), strict=True), "o", color=color, label=label)
        if slope in fit["metrics"]:
            # A straight law bends in a logarithmic plot, so it is drawn in small steps.
            steps = [sizes[0] * (sizes[-1] / sizes[0]) ** (i / 60) for i in range(61)]
            law = [fit["metrics"][fixed] + fit["metrics"][slope] * size for size in steps]
            axes.plot(steps, law, "--", color=color)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend()
    return to_svg(figure)


def against_threads(data: Document) -> str | None:
    """Speedup over threads, with the ideal dashed."""
    groups: dict[tuple[str, str], dict[int, float]] = {}
    for row in measured(data) if data["kind"] == "latency" else []:
        labels = row["labels"]
        if labels["threads"]:
            group = groups.setdefault((labels["model"], labels["size"]), {})
            group[labels["threads"]] = row["metrics"]["total_p50_ms"]
    groups = {key: times for key, times in groups.items() if 1 in times and len(times) > 1}
    if not groups:
        return None
    most = max(max(times) for times in groups.values())
    figure, axes = new_chart("Threads", "threads", "times faster")
    axes.plot([1, most], [1, most], "--", color="#999999")
    for ((model, size), times), color in zip(groups.items(), COLORS, strict=False):
        threads = sorted(times)
        faster = [times[1] / times[number] for number in threads]
        axes.plot(threads, faster, "o-", color=color, label=f"{model} {size}")
    axes.set_xticks(range(1, most + 1))
    axes.legend()
    return to_svg(figure)


def pruned(data: Document) -> str | None:
    """Sizes of a pruned network: time against objective, down and left is better."""
    if data["kind"] != "pruning":
        return None
    settings = data["settings"]
    clock = "ms of processor time" if settings.get("clock") == "processor" else "ms"
    rows = {row["labels"]["model"]: row["metrics"] for row in data["rows"]}
    return draw_points(
        f"Pruned, {settings['steps']} steps of distillation each",
        f"{clock} per picture of {settings['size']}",
        {name: (found["total_p50_ms"], found["objective_ratio"]) for name, found in rows.items()},
        [name for name, found in rows.items() if found["on_front"]],
        rows,
        float(settings["most_ratio"]),
    )


PLOTS: dict[str, Callable[[Document], str | None]] = {
    "stages": stages,
    "comparison": comparison,
    "histogram": histogram,
    "time-pixels": lambda d: against_pixels(d, "total_p50_ms", "Time over pixels", "ms per frame"),
    "memory-pixels": lambda d: against_pixels(
        d, "model_memory_mib", "Memory over pixels", "MiB above the empty process"
    ),
    "threads": against_threads,
    "front": pruned,
}


def draw(data: Document, quality: Document | None = None) -> dict[str, str]:
    """All charts this file has enough for: name to SVG."""
    found = {name: plot(data) for name, plot in PLOTS.items()}
    found["pareto"] = pareto(data, quality)
    return {name: svg for name, svg in found.items() if svg is not None}
