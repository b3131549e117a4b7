"""The picture of a sweep: milliseconds against objective, as SVG."""

from collections.abc import Collection, Mapping

from ..charts import COLORS, name_point, new_chart, to_svg
from ..verify.report import Report

FRONT, LIMIT, OTHER = COLORS[0], COLORS[1], COLORS[6]


def draw(report: Report) -> str:
    """SVG of a report of `export.prune.sweep.sweep`; filled points are worth their time."""
    after = (
        f", {report['steps']} steps of distillation each" if report["steps"] else ", not trained on"
    )
    title = (
        f"Pruned sizes, {report['target']} {report['precision']} at {report['size']} on "
        f"{report['device']}{after}"
    )
    points = {p["label"]: (p["ms"], p["ratio"]) for p in report["points"]}
    x_label = "milliseconds per picture"
    limit = float(report["most_ratio"])
    return draw_points(title, x_label, points, report["pareto"], report["worth"], limit)


def draw_points(
    title: str,
    x_label: str,
    points: Mapping[str, tuple[float, float]],
    front: Collection[str],
    filled: Collection[str],
    limit: float,
) -> str:
    """SVG of sizes of a network: time against objective, down and left is better.

    Args:
        title: above the chart.
        x_label: the unit of time.
        points: name to (milliseconds, objective relative to the source's).
        front: names on the Pareto front, which a line joins.
        filled: names whose point is filled.
        limit: largest objective that is allowed, a dashed line.
    """
    figure, axes = new_chart(title, x_label, "objective, times the source's")
    axes.axhline(limit, color=LIMIT, linestyle="--", label=f"{limit:.2f} times: allowed")
    axes.plot(*zip(*sorted(points[name] for name in front), strict=True), color=FRONT)
    for name, (x, y) in points.items():
        color = FRONT if name in front else OTHER
        axes.plot(x, y, "o", color=color, fillstyle="full" if name in filled else "none")
        name_point(axes, x, y, name, color)
    axes.margins(0.12)
    axes.legend()
    return to_svg(figure)
