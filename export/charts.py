"""Charts by matplotlib, as SVG text in which words stay words."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (2008): told apart with every kind of color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#8C6D1F")
# Inches: 720 px wide at the 100 px an inch that browsers show.
WIDTH, HEIGHT = 7.2, 4.2


def new_chart(
    title: str, x_label: str, y_label: str = "", height: float = HEIGHT
) -> "tuple[Figure, Axes]":
    """An empty chart.

    Args:
        title: above it.
        x_label: below it.
        y_label: at its left.
        height: in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def name_point(axes: "Axes", x: float, y: float, name: str, color: str = "#222222") -> None:
    """A name beside a point."""
    axes.annotate(name, (x, y), (6, 5), textcoords="offset points", color=color, fontsize=8)


def to_svg(figure: "Figure") -> str:
    """The chart as SVG, the same text for the same chart."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "impasto"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :]  # without the prolog, so that it can stand inside a page
