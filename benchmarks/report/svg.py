"""Charts as SVG text, drawn with nothing but string formatting, so that a report needs no plotting
library on a phone or a board."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

# Okabe and Ito's palette (2008): told apart with every kind of color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#8C6D1F")
FONT = "font-family='Helvetica, Arial, sans-serif'"
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 44, 52
# Average width of a character of this font, in parts of its size: only used to make room.
LETTER = 0.58


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its label, whether it is logarithmic, and the range it must show."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Position from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values inside the range: 1, 2, 5 times powers of ten."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            values = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
            if last - first > 3:
                values = [10.0**e for e in range(first, last + 1)]
        else:
            rough = (self.high - self.low) / 6
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
            start = math.ceil(self.low / step - 1e-9)
            count = math.floor((self.high - self.low) / step + 1e-9) + 1
            values = [(start + i) * step for i in range(count)]
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return [v for v in values if self.low - slack <= v <= self.high + slack]


def span(values: Sequence[float], log: bool = False) -> tuple[float, float]:
    """A range that holds the values with a margin; from zero on a linear axis."""
    if log:
        return min(values) / 1.3, max(values) * 1.3
    return min(0.0, min(values)), max(values) * 1.08 or 1.0


@dataclass(slots=True)
class Chart:
    """A chart of one x and one y axis. Draw on it, then `render`."""

    title: str
    x: Axis
    y: Axis
    height: int = HEIGHT
    left: int = LEFT
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel position of a point."""
        across = WIDTH - self.left - RIGHT
        up = self.height - TOP - BOTTOM
        return self.left + across * self.x.place(x), TOP + up * (1 - self.y.place(y))

    def line(self, points: Sequence[tuple[float, float]], color: str, dashed=False) -> None:
        """A polyline."""
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (self.at(*p) for p in points))
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self.parts.append(
            f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='2'{dash}/>"
        )

    def dot(self, x: float, y: float, color: str, label: str = "") -> None:
        """A point, with its name beside it."""
        px, py = self.at(x, y)
        self.parts.append(f"<circle cx='{px:.1f}' cy='{py:.1f}' r='4.5' fill='{color}'/>")
        if label:
            late = px + 10 + len(label) * 12 * LETTER > WIDTH - RIGHT
            self.text(px - 9 if late else px + 9, py + 4, label, "end" if late else "start")

    def box(self, low: tuple[float, float], high: tuple[float, float], color: str) -> None:
        """A filled rectangle between two corners in data units."""
        (ax, ay), (bx, by) = self.at(*low), self.at(*high)
        self.parts.append(
            f"<rect x='{min(ax, bx):.1f}' y='{min(ay, by):.1f}' width='{abs(bx - ax):.1f}' "
            f"height='{abs(by - ay):.1f}' fill='{color}'/>"
        )

    def text(self, px: float, py: float, words: str, anchor="middle", size=12, turn=0) -> None:
        """Words at a pixel position."""
        spin = f" transform='rotate({turn} {px:.1f} {py:.1f})'" if turn else ""
        self.parts.append(
            f"<text x='{px:.1f}' y='{py:.1f}' text-anchor='{anchor}' font-size='{size}' "
            f"fill='#222'{spin}>{escape(words)}</text>"
        )

    def name(self, color: str, words: str) -> None:
        """An entry of the legend."""
        if (color, words) not in self.legend:
            self.legend.append((color, words))

    def render(self, x_ticks: bool = True, y_ticks: bool = True) -> str:
        """The whole picture."""
        drawn, self.parts = self.parts, []
        self._frame(x_ticks, y_ticks)
        frame, self.parts = self.parts, []
        self._legend()
        body = "\n".join([*frame, *drawn, *self.parts])
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{self.height}' "
            f"viewBox='0 0 {WIDTH} {self.height}' {FONT}>\n"
            f"<rect width='100%' height='100%' fill='white'/>\n{body}\n</svg>\n"
        )

    def _frame(self, x_ticks: bool, y_ticks: bool) -> None:
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        self.text(18, 24, self.title, "start", 15)
        for value in self.x.ticks() if x_ticks else []:
            px = self.at(value, self.y.low)[0]
            self.parts.append(
                f"<line x1='{px:.1f}' y1='{TOP}' x2='{px:.1f}' y2='{bottom}' stroke='#e4e4e4'/>"
            )
            self.text(px, bottom + 18, f"{value:g}")
        for value in self.y.ticks() if y_ticks else []:
            py = self.at(self.x.low, value)[1]
            self.parts.append(
                f"<line x1='{self.left}' y1='{py:.1f}' x2='{right}' y2='{py:.1f}' "
                "stroke='#e4e4e4'/>"
            )
            self.text(self.left - 8, py + 4, f"{value:g}", "end")
        self.parts.append(
            f"<path d='M{self.left} {TOP} V{bottom} H{right}' fill='none' stroke='#888'/>"
        )
        self.text((self.left + right) / 2, self.height - 12, self.x.label, size=13)
        if self.y.label:
            self.text(18, (TOP + bottom) / 2, self.y.label, size=13, turn=-90)

    def _legend(self) -> None:
        px = WIDTH - RIGHT - sum(28 + len(words) * 12 * LETTER for _, words in self.legend)
        for color, words in self.legend:
            self.parts.append(
                f"<rect x='{px:.1f}' y='{TOP - 15}' width='11' height='11' fill='{color}'/>"
            )
            self.text(px + 16, TOP - 5, words, "start")
            px += 28 + len(words) * 12 * LETTER
