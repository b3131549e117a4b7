"""Figures over the live picture: rate, latency, bars of the stages, model, size, drops, key help.

Everything is drawn into dark panels at the edges; only their pixels are touched, which costs about
half a millisecond at 1280x720.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..frame import Image
from ..keys import help_lines

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, GRAY, GREEN, AMBER, RED = (
    (240, 240, 240),
    (170, 170, 170),
    (110, 205, 120),
    (255, 190, 70),
    (255, 105, 90),
)
# How much of the picture shines through a panel.
SHINE = 0.30
# Text height at a picture of 720 rows; it grows and shrinks with the picture, within limits that
# stay readable and leave room.
LINE_PX, REFERENCE_ROWS = 22, 720
MIN_LINE_PX, MAX_LINE_PX = 12, 44
# A bar as long as the frame's budget (1/target seconds); longer ones are cut off here.
BAR_BUDGETS = 1.5
# A rate this near to the wish looks like it: 24.8 of 25 is no alarm.
HELD = 0.95
NOT_HELD = "the rate is not held"


@dataclass(frozen=True, slots=True)
class Stats:
    """What is shown.

    Attributes:
        fps, target_fps: frames per second on the screen, and those wished for (0 = no wish).
        latency_ms, latency_p95_ms: from capture to display.
        stages_ms: mean busy time per frame of each stage, in pipeline order.
        style: name of the style, with its number.
        strength: 0..1.
        size: (width, height) of the source.
        working: (width, height) at which the network runs.
        every: 1, or 2 when the network sees every second frame.
        engine: "onnxruntime cpu".
        threads, cores: of the network and of the machine; 0 threads where they do not matter.
        stabilizer: "live", "off".
        dropped, arrived: frames.
        held: False when the rate was not held during the last moments.
        recording: seconds recorded so far, or None.
        frozen: the input picture is held.
        state: what is switched on, in words.
        messages: lines for the user (camera lost, snapshot saved), newest last.
    """

    fps: float = 0.0
    target_fps: float = 0.0
    latency_ms: float = 0.0
    latency_p95_ms: float = 0.0
    stages_ms: dict[str, float] = field(default_factory=dict[str, float])
    style: str = ""
    strength: float = 1.0
    size: tuple[int, int] = (0, 0)
    working: tuple[int, int] = (0, 0)
    every: int = 1
    engine: str = ""
    threads: int = 0
    cores: int = 0
    stabilizer: str = ""
    dropped: int = 0
    arrived: int = 0
    held: bool = True
    recording: float | None = None
    frozen: bool = False
    state: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def bottleneck(self) -> str:
        """The stage that takes longest, "" if none was measured."""
        return max(self.stages_ms, key=lambda k: self.stages_ms[k]) if self.stages_ms else ""


def text_lines(stats: Stats) -> list[str]:
    """The figures as text: what the panel, the page and a log line say."""
    wish = f" of {stats.target_fps:g}" if stats.target_fps else ""
    size = f"{stats.working[0]}x{stats.working[1]}"
    if stats.working != stats.size:
        size += f" of {stats.size[0]}x{stats.size[1]}"
    rhythm = ", every 2nd frame" if stats.every == 2 else ""
    engine = stats.engine
    if stats.threads and stats.cores > 1:
        engine += f"   {stats.threads} of {stats.cores} cores"
    share = 100 * stats.dropped / stats.arrived if stats.arrived else 0.0
    lines = [
        f"{stats.fps:.1f}{wish} fps   {stats.latency_ms:.0f} ms (p95 {stats.latency_p95_ms:.0f})",
        f"{stats.style}  {100 * stats.strength:.0f} %   {engine}",
        f"{size}{rhythm}   stabilizer {stats.stabilizer}",
        f"dropped {stats.dropped} ({share:.1f} %)",
    ]
    if stats.state:
        lines.append(", ".join(stats.state))
    if not stats.held and stats.fps < HELD * stats.target_fps:
        lines.append(NOT_HELD)
    return lines


def draw_stats(image: Image, stats: Stats) -> None:
    """Write the figures and stage bars into the top left corner of `image`, in place."""
    line = line_px(image)
    lines = text_lines(stats)
    bars = list(stats.stages_ms.items())
    width = max([text_width(text, line) for text in lines] + [line * 14])
    box = panel(image, 0, 0, width + line, round(line * (len(lines) + len(bars) + 0.8)))
    y = line
    for row, text in enumerate(lines):
        color = WHITE if row == 0 else GRAY
        if row == 0 and stats.target_fps and stats.fps < HELD * stats.target_fps:
            color = AMBER
        write(box, text, line // 2, y, line, RED if text == NOT_HELD else color)
        y += line
    for name, ms in bars:
        _bar(box, name, ms, stats, y, line)
        y += line
    draw_marks(image, stats)


def draw_marks(image: Image, stats: Stats) -> None:
    """REC and HOLD in the top right corner, in place: shown with and without figures."""
    line = line_px(image)
    if stats.recording is not None:
        seconds = int(stats.recording)
        _mark(image, f"REC {seconds // 60}:{seconds % 60:02}", RED, 0, line)
    if stats.frozen:
        _mark(image, "HOLD", AMBER, 0 if stats.recording is None else round(1.6 * line), line)


def draw_messages(image: Image, messages: Sequence[str]) -> None:
    """Write lines along the bottom edge, in place."""
    if not messages:
        return
    line = line_px(image)
    height = round(line * (len(messages) + 0.6))
    box = panel(image, 0, image.shape[0] - height, image.shape[1], height)
    for row, text in enumerate(messages):
        write(box, text, line // 2, line * (row + 1), line, AMBER)


def draw_help(image: Image) -> None:
    """Write the key map over the middle, in place."""
    lines = help_lines()
    line = min(line_px(image), max(6, int(image.shape[0] / (len(lines) + 2))))
    rows = [text.partition("  ") for text in lines]
    width = max(text_width(words.strip(), line) for _, _, words in rows) + 6 * line
    height = round(line * (len(lines) + 1))
    left = max(0, (image.shape[1] - width) // 2)
    top = max(0, (image.shape[0] - height) // 2)
    box = panel(image, left, top, width, height)
    for row, (key, _, words) in enumerate(rows):
        write(box, key, line, line * (row + 1), line, WHITE)
        write(box, words.strip(), line * 5, line * (row + 1), line, GRAY)


def line_px(image: Image) -> int:
    """Height of a line of text on this picture, in pixels."""
    return max(MIN_LINE_PX, min(MAX_LINE_PX, round(LINE_PX * image.shape[0] / REFERENCE_ROWS)))


def _scale(line: int) -> float:
    # Hershey capitals are 21 units high at scale 1; they get 55 % of the line.
    return 0.55 * line / 21.0


def text_width(text: str, line: int) -> int:
    """Of a text in lines of this height, in pixels."""
    return cv2.getTextSize(text, FONT, _scale(line), 1)[0][0]


def write(box: np.ndarray, text: str, x: int, y: int, line: int, color: tuple[int, ...]) -> None:
    """One line of text, its baseline beginning at (x, y), in place."""
    # Hershey fonts know ASCII only; anything else would come out as question marks.
    plain = text.encode("ascii", "replace").decode("ascii")
    thick = 2 if line >= 34 else 1
    cv2.putText(box, plain, (x, y), FONT, _scale(line), color, thick, cv2.LINE_AA)


def panel(image: Image, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A darkened part of the picture, cut at its edges, to draw into."""
    part = image[top : top + height, left : left + width]
    cv2.convertScaleAbs(part, dst=part, alpha=SHINE)
    return part


def _bar(box: np.ndarray, name: str, ms: float, stats: Stats, y: int, line: int) -> None:
    budget = 1000.0 / (stats.target_fps or 30.0)
    start = line * 5
    room = max(1, box.shape[1] - start - line * 5)
    length = round(room * min(BAR_BUDGETS, ms / budget) / BAR_BUDGETS)
    over = ms > budget
    worst = name == stats.bottleneck
    color = RED if over else AMBER if worst else GREEN
    cv2.rectangle(box, (start, y - line // 2), (start + length, y - 1), color, -1)
    limit = start + round(room / BAR_BUDGETS)
    cv2.line(box, (limit, y - line // 2 - 2), (limit, y + 1), GRAY, 1)
    write(box, name, line // 2, y, line, WHITE if worst else GRAY)
    shown = f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"  # as wide, so that nothing is cut off
    write(box, shown, start + room + line // 3, y, line, WHITE if worst else GRAY)


def _mark(image: Image, text: str, color: tuple[int, ...], top: int, line: int) -> None:
    width = text_width(text, line) + 2 * line
    box = panel(image, max(0, image.shape[1] - width), top, width, round(1.6 * line))
    center = (line // 2 + line // 4, round(0.8 * line))
    cv2.circle(box, center, line // 3, color, -1, cv2.LINE_AA)
    write(box, text, line + line // 3, round(1.1 * line), line, WHITE)
