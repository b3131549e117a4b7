"""The run folder's `index.html`: newest contact sheets and every curve, in one file that reloads
itself while the run lasts."""

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from runtime.outputs import replacing
from runtime.pictures.opening import open_picture

SHEETS = 4  # newest contact sheets that are shown; the others stay in the folder
SHEET_PX = 1400  # widest picture embedded
RELOAD_S = 20
POINTS = 400  # of a curve; more would not be seen
WIDTH, HEIGHT, LEFT = 420, 150, 64  # px of a chart, and of its vertical axis' numbers
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}"
    "img{max-width:100%;display:block}figure{margin:0 0 1.5rem}"
    ".curves{display:flex;flex-wrap:wrap;gap:1rem}"
)


class Page:
    """Keeps `index.html` up to date; one of the engine's watchers.

    Args:
        folder: run folder, with `log.jsonl` and `sheet_<step>.png`.
        title: of the run.
        steps: of the whole run.
    """

    def __init__(self, folder: Path, title: str, steps: int) -> None:
        self.folder, self.title, self.steps = folder, title, steps

    def log(self, step: int, means: dict[str, float]) -> None:
        """New figures are in the log."""
        self.write(step)

    def sheet(self, step: int, path: Path) -> None:
        """A new contact sheet is there."""
        self.write(step)

    def write(self, step: int) -> None:
        """Write the page: a temporary file, then a rename, so that a reader never sees half."""
        page = render(self.folder, self.title, step, self.steps)
        with replacing(self.folder / "index.html") as temporary:
            temporary.write_text(page, "utf-8")


def render(folder: Path, title: str, step: int, steps: int) -> str:
    """The whole page as text."""
    reload = "" if step >= steps else f'<meta http-equiv="refresh" content="{RELOAD_S}">'
    lines = read_log(folder / "log.jsonl")
    names = list(dict.fromkeys(name for line in lines for name in line if name != "step"))
    curves = "".join(
        curve(name, [(line["step"], line[name]) for line in lines if name in line])
        for name in sorted(names, key=lambda name: (name != "total", name))
    )
    # A run that was begun anew leaves sheets of later steps behind.
    found = [path for path in folder.glob("sheet_*.png") if sheet_step(path) <= step]
    sheets = sorted(found, key=sheet_step, reverse=True)[:SHEETS]
    pictures = "".join(
        f"<figure><figcaption>step {sheet_step(path)}</figcaption>"
        f'<img alt="{escape(path.name)}" src="{embed(path)}"></figure>'
        for path in sheets
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{reload}'
        f"<title>{escape(title)}, step {step}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>Step {step} of {steps}</p>"
        f'<div class="curves">{curves}</div>{pictures}</html>\n'
    )


def sheet_step(path: Path) -> int:
    """The step in a contact sheet's name."""
    return int(path.stem.removeprefix("sheet_"))


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log by step; a resumed run's lines replace those it does again."""
    if not path.is_file():
        return []
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    kept: list[dict[str, float]] = []
    for line in found:
        while kept and kept[-1]["step"] >= line["step"]:
            kept.pop()
        kept.append(line)
    return kept


def embed(path: Path) -> str:
    """A picture as a data address: JPEG, at most `SHEET_PX` wide."""
    with open_picture(path) as file:
        image = file.convert("RGB")
    if image.width > SHEET_PX:
        height = max(1, round(image.height * SHEET_PX / image.width))
        image = image.resize((SHEET_PX, height), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()


def curve(name: str, points: Sequence[tuple[float, float]]) -> str:
    """One named line over the steps, as inline SVG with its range in numbers."""
    points = points[:: max(1, len(points) // POINTS)]
    first, last = points[0][0], points[-1][0]
    low, high = min(y for _, y in points), max(y for _, y in points)
    across, up = max(1, last - first), (high - low) or 1.0
    drawn = " ".join(
        f"{LEFT + (WIDTH - LEFT - 8) * (x - first) / across:.1f},"
        f"{26 + (HEIGHT - 50) * (1 - (y - low) / up):.1f}"
        for x, y in points
    )

    def text(x: int, y: int, words: str, anchor: str) -> str:
        return f"<text x='{x}' y='{y}' text-anchor='{anchor}'>{escape(words)}</text>"

    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}' "
        "font-size='11' font-family='sans-serif' fill='#222'>"
        f"<polyline points='{drawn}' fill='none' stroke='#0072B2' stroke-width='1.5'/>"
        + text(LEFT, 14, f"{name}: {points[-1][1]:.4g}", "start")
        + text(LEFT - 6, 30, f"{high:.3g}", "end")
        + text(LEFT - 6, HEIGHT - 24, f"{low:.3g}", "end")
        + text(LEFT, HEIGHT - 6, f"{first:g}", "start")
        + text(WIDTH - 8, HEIGHT - 6, f"{last:g}", "end")
        + "</svg>"
    )
