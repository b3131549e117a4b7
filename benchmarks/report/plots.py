"""Result files as charts (SVG). Each function gives None when the file holds too little for it."""

from collections.abc import Callable
from typing import Any

from .svg import BOTTOM, COLORS, TOP, Axis, Chart, span
from .tables import Document, Row, _runs, number, objectives

BAR = 22  # px per bar in the bar charts
BINS = 40


def measured(data: Document) -> list[Row]:
    """Rows of measurements, without fits."""
    return [row for row in data["rows"] if "fit" not in row["labels"]]


def _name(row: Row) -> str:
    labels = row["labels"]
    return f"{labels['model']} {labels['size']} {_runs(row)}"


def bars(
    title: str, unit: str, names: list[str], parts: list[dict[str, float]], colors: dict[str, str]
) -> str:
    """Horizontal stacked bars, the first on top."""
    height = TOP + BOTTOM + (BAR + 8) * len(names)
    longest = max(sum(part.values()) for part in parts)
    left = min(360, 30 + round(7.0 * max(len(name) for name in names)))
    x, y = Axis(unit, 0, longest * 1.12), Axis("", 0, len(names))
    chart = Chart(title, x, y, height=height, left=left)
    for index, (name, part) in enumerate(zip(names, parts, strict=True)):
        level, begun = len(names) - index - 0.5, 0.0
        for key, value in part.items():
            chart.box((begun, level - 0.36), (begun + value, level + 0.36), colors[key])
            chart.name(colors[key], key)
            begun += value
        px, py = chart.at(begun, level)
        chart.text(px + 5, py + 4, number(begun), "start", 11)
        chart.text(left - 8, py + 4, name, "end", 12)
    return chart.render(y_ticks=False)


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
    colors: dict[str, str] = dict(zip(keys, COLORS, strict=False))
    title = "Where the time of one frame goes"
    if data["kind"] == "end_to_end":
        # Reading, painting and writing have threads of their own.
        title += " (on two cores the stages overlap)"
    return bars(title, "ms (medians)", names, parts, colors)


def _path_name(labels: dict[str, Any]) -> str:
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
    low, high = span([row["metrics"]["total_p50_ms"] for row in chosen], log=True)
    height = TOP + BOTTOM + (BAR + 8) * len(chosen)
    x = Axis("ms per frame, logarithmic", low / 1.6, high * 1.4, log=True)
    chart = Chart(
        *(f"One frame of {size}, one thread", x, Axis("", 0, len(chosen))), height=height, left=170
    )
    for index, row in enumerate(chosen):
        level, value = len(chosen) - index - 0.5, row["metrics"]["total_p50_ms"]
        color = COLORS[0] if row["labels"]["role"] == "ours" else COLORS[6]
        chart.name(color, row["labels"]["role"])
        chart.box((x.low, level - 0.36), (value, level + 0.36), color)
        px, py = chart.at(value, level)
        chart.text(px + 5, py + 4, number(value), "start", 11)
        label = f"{row['labels']['model']} ({row['labels']['precision']})"
        chart.text(chart.left - 8, py + 4, label, "end", 12)
    return chart.render(y_ticks=False)


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
    x = Axis(
        "ms per frame, logarithmic",
        *span([row["metrics"]["total_p50_ms"] for row in rows], log=True),
        log=True,
    )
    heights = span([reached[row["labels"]["model"]] for row in rows])
    y = Axis("quality: L-BFGS iterations that reach it", *heights)
    chart = Chart("Speed and quality, one thread", x, y)
    for row in rows:
        color = COLORS[sizes.index(row["labels"]["size"]) % len(COLORS)]
        chart.name(color, row["labels"]["size"])
        model = row["labels"]["model"]
        chart.dot(row["metrics"]["total_p50_ms"], reached[model], color, model)
    return chart.render()


def histogram(data: Document) -> str | None:
    """How one model's times spread at its largest size: the median, p99 and the tail."""
    rows = [row for row in measured(data) if len(row["metrics"].get("total_times_ms", [])) >= 20]
    if data["kind"] != "latency" or not rows:
        return None
    ours = [row for row in rows if row["labels"]["role"] == "ours"] or rows
    row = max(ours, key=lambda r: (len(r["metrics"]["total_times_ms"]), r["metrics"]["pixels"]))
    times, metrics = row["metrics"]["total_times_ms"], row["metrics"]
    low, high = min(times), max(times) or 1.0
    step = (high - low) / BINS or high / BINS
    counts = [0] * (BINS + 1)
    for value in times:
        counts[int((value - low) / step)] += 1
    x = Axis("ms per frame", low - step, high + 2 * step)
    chart = Chart(f"{_name(row)}: {len(times)} frames", x, Axis("frames", 0, max(counts) * 1.15))
    for index, count in enumerate(counts):
        begun = low + index * step
        if count:
            chart.box((begun, 0), (begun + step * 0.9, count), COLORS[0])
    for key, color in (("total_p50_ms", COLORS[1]), ("total_p99_ms", COLORS[3])):
        chart.line([(metrics[key], 0), (metrics[key], chart.y.high)], color, dashed=True)
        chart.name(color, f"{key.split('_')[1]} {metrics[key]:.3g} ms")
    return chart.render()


def against_pixels(data: Document, metric: str, title: str, unit: str) -> str | None:
    """A metric over the number of pixels, both logarithmic, with the fitted line dashed."""
    rows = [row for row in measured(data) if row["metrics"].get(metric)]
    fits = [row for row in data["rows"] if row["labels"].get("fit") == "pixels"]
    if data["kind"] != "latency" or not fits or not rows:
        return None
    x = Axis("megapixels", *span([r["metrics"]["pixels"] / 1e6 for r in rows], log=True), log=True)
    y = Axis(unit, *span([row["metrics"][metric] for row in rows], log=True), log=True)
    chart = Chart(title, x, y)
    for index, fit in enumerate(fits):
        color = COLORS[index % len(COLORS)]
        keys = ("model", "engine", "device", "threads")
        own = [r for r in rows if all(r["labels"][k] == fit["labels"][k] for k in keys)]
        for row in own:
            chart.dot(row["metrics"]["pixels"] / 1e6, row["metrics"][metric], color)
        chart.name(color, f"{fit['labels']['model']}, {_runs(fit)}")
        names = {"total_p50_ms": ("fixed_ms", "per_megapixel_ms")}
        fixed, slope = names.get(metric, ("fixed_mib", "per_megapixel_mib"))
        if slope in fit["metrics"]:
            # A straight law bends in a logarithmic plot, so it is drawn in small steps.
            steps = [x.low * (x.high / x.low) ** (i / 60) for i in range(61)]
            line = [(v, fit["metrics"][fixed] + fit["metrics"][slope] * v) for v in steps]
            chart.line([(v, t) for v, t in line if y.low < t < y.high], color, dashed=True)
    return chart.render()


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
    chart = Chart("Threads", Axis("threads", 0.9, most + 0.2), Axis("times faster", 0, most * 1.1))
    chart.line([(1, 1), (most, most)], "#999", dashed=True)
    for index, ((model, size), times) in enumerate(list(groups.items())[: len(COLORS)]):
        points = [(n, times[1] / t) for n, t in sorted(times.items())]
        color = COLORS[index]
        chart.line(points, color)
        for x, y in points:
            chart.dot(x, y, color)
        px = chart.at(*points[0])[0]
        chart.text(px + 20, TOP + 20 + 17 * index, f"{model} {size}", "start", 12)
        chart.parts.append(
            f"<rect x='{px + 4:.1f}' y='{TOP + 10 + 17 * index}' width='11' height='11' "
            f"fill='{color}'/>"
        )
    return chart.render()


def pruned(data: Document) -> str | None:
    """Sizes of a pruned network: time against objective, down and left is better."""
    if data["kind"] != "pruning":
        return None
    rows, settings = data["rows"], data["settings"]
    limit = float(settings["most_ratio"])
    points = {
        row["labels"]["model"]: (row["metrics"]["total_p50_ms"], row["metrics"]["objective_ratio"])
        for row in rows
    }
    ratios = [limit, *(ratio for _, ratio in points.values())]
    room = 0.1 * (max(ratios) - min(ratios))
    clock = "ms of processor time" if settings.get("clock") == "processor" else "ms"
    x = Axis(f"{clock} per picture of {settings['size']}", *span([ms for ms, _ in points.values()]))
    y = Axis("objective, times the source's", min(ratios) - room, max(ratios) + room)
    chart = Chart(f"Pruned, {settings['steps']} steps of distillation each", x, y)
    chart.line([(x.low, limit), (x.high, limit)], COLORS[1], dashed=True)
    chart.name(COLORS[1], f"{limit:.2f} times: allowed")
    front = sorted(points[row["labels"]["model"]] for row in rows if row["metrics"]["on_front"])
    chart.line(front, COLORS[0])
    for row in rows:
        name = row["labels"]["model"]
        chart.dot(*points[name], COLORS[0 if row["metrics"]["on_front"] else 6], name)
    return chart.render()


PLOTS: dict[str, Callable[..., str | None]] = {
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
    found: dict[str, Any] = {name: plot(data) for name, plot in PLOTS.items()}
    found["pareto"] = pareto(data, quality)
    return {name: svg for name, svg in found.items() if svg is not None}
