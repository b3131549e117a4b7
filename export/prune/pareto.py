"""The picture of a sweep: milliseconds against objective, as SVG written by hand."""

import math
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

# px of the whole picture and around the plot.
WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 48, 54
# Room beyond the outermost points, as a share of the range.
ROOM = 0.12
TICKS = 5
FRONT, OTHER, LIMIT, TEXT, GRID = "#1f5fa8", "#9a9a9a", "#b5482a", "#222222", "#dddddd"


def draw(report: dict[str, Any]) -> str:
    """SVG of a report of `export.prune.sweep.sweep`."""
    points = report["points"]
    limit = float(report["most_ratio"])
    across = _scale([p["ms"] for p in points], LEFT, WIDTH - RIGHT)
    up = _scale([*(p["ratio"] for p in points), limit], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(across, up),
    ]
    y = up[0](limit)
    parts.append(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{LIMIT}" '
        'stroke-dasharray="5 4"/>'
    )
    parts.append(_text(LEFT + 4, y - 5, f"{limit:.2f} times: allowed", LIMIT))
    by_label = {p["label"]: p for p in points}
    front = [by_label[label] for label in report["pareto"]]
    line = " ".join(f"{across[0](p['ms']):.1f},{up[0](p['ratio']):.1f}" for p in front)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{FRONT}" stroke-width="2"/>')
    for p in points:
        color = FRONT if p["label"] in report["pareto"] else OTHER
        x, y = across[0](p["ms"]), up[0](p["ratio"])
        filled = color if p["label"] in report["worth"] else "white"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{filled}" stroke="{color}" '
            'stroke-width="2"/>'
        )
        parts.append(_text(x + 8, y - 8, p["label"], color))
    after = (
        f", {report['steps']} steps of distillation each" if report["steps"] else ", not trained on"
    )
    title = (
        f"Pruned sizes, {report['target']} {report['precision']} at {report['size']} on "
        f"{report['device']}{after}"
    )
    parts.append(_text(LEFT, 22, title, TEXT))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 14, "milliseconds per picture", TEXT, "middle"))
    turned = f'transform="rotate(-90 18 {HEIGHT / 2})"'
    parts.append(
        f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" fill="{TEXT}" {turned}>'
        "objective, times the source's</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


Scale = tuple[Callable[[float], float], list[float]]


def _scale(values: list[float], start: float, end: float) -> Scale:
    """A linear map onto the picture, and round numbers inside its range."""
    low, high = min(values), max(values)
    room = ROOM * ((high - low) or abs(high) or 1.0)
    low, high = low - room, high + room

    def place(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    return place, _round_numbers(low, high)


def _round_numbers(low: float, high: float) -> list[float]:
    """About `TICKS` multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _axes(across: Scale, up: Scale) -> list[str]:
    parts = []
    for value in across[1]:
        x = across[0](value)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
        )
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{value:g}", TEXT, "middle"))
    for value in up[1]:
        y = up[0](value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        )
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", TEXT, "end"))
    return parts


def _text(x: float, y: float, text: str, color: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">{escape(text)}</text>'
    )
