"""The menu of the right mouse button: every style and switch, drawn into the picture.

OpenCV's windows have no menus of their own; this one is a list of rows at the place of the click. A
row is an action, as a key is; the row under the mouse is bright; a click anywhere else closes it,
and so does any key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...frame import Image
from ...keys import KEYS
from ..controls import Settings
from ..overlay import AMBER, GRAY, WHITE, line_px, panel, text_width, write

# Actions that only keys and sliders are good for, and those the styles' own rows stand for.
LEFT_OUT = ("next", "previous", "stronger", "weaker", "more", "less", "beside", "help")
# Strengths to choose from.
STRENGTHS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what it says, what it does, whether that is so now."""

    text: str
    action: str
    chosen: bool = False


def rows(settings: Settings, styles: Sequence[str], recording: bool) -> list[Row]:
    """What can be chosen now.

    Args:
        settings: the state of the controls.
        styles: their names.
        recording: whether one runs.
    """
    found = [
        Row(f"{number}  {name.replace('_', ' ')}", f"style {number}", settings.style == number - 1)
        for number, name in enumerate(styles, 1)
    ]
    found += [
        Row(f"strength {share:.0%}", f"strength {share:g}", settings.strength == share)
        for share in STRENGTHS
    ]
    for key in KEYS:
        if key.action not in LEFT_OUT and not key.action.startswith("style "):
            field = "frozen" if key.action == "freeze" else key.action
            chosen = recording if field == "record" else getattr(settings, field, False) is True
            found.append(Row(f"{key.keys[0]}  {key.text}", key.action, chosen))
    return found


class Menu:
    """An open menu; closed while `place` is None.

    Attributes:
        place: (x, y) of its upper left corner in pixels of the picture.
        pointer: (x, y) of the mouse.
    """

    def __init__(self) -> None:
        self.place: tuple[int, int] | None = None
        self.pointer = (-1, -1)
        self._boxes: list[tuple[int, int, int, int, str]] = []

    def open(self, x: int, y: int) -> None:
        """Open it there."""
        self.place = self.pointer = (x, y)
        self._boxes = []

    def close(self) -> bool:
        """Close it; says whether it was open."""
        before, self.place, self._boxes = self.place, None, []
        return before is not None

    def click(self, x: int, y: int) -> str | None:
        """The action of the row at this place; closes the menu."""
        boxes, self.place, self._boxes = self._boxes, None, []
        for left, top, right, bottom, action in boxes:
            if left <= x < right and top <= y < bottom:
                return action
        return None

    def draw(self, image: Image, entries: Sequence[Row]) -> None:
        """Write the rows into the picture, in place, in as many columns as they need."""
        if self.place is None:
            return
        line = line_px(image)
        fit = max(1, image.shape[0] // line - 1)
        columns = [entries[start : start + fit] for start in range(0, len(entries), fit)]
        widths = [max(text_width(row.text, line) for row in part) + line for part in columns]
        high = round(line * (max(len(part) for part in columns) + 0.5))
        # Inside the picture, wherever the click was.
        left = max(0, min(self.place[0], image.shape[1] - sum(widths)))
        top = max(0, min(self.place[1], image.shape[0] - high))
        self._boxes = []
        for part, wide in zip(columns, widths, strict=True):
            box = panel(image, left, top, wide, high)
            for number, row in enumerate(part):
                upper = top + number * line
                self._boxes.append((left, upper, left + wide, upper + line, row.action))
                over = left <= self.pointer[0] < left + wide
                over = over and upper <= self.pointer[1] < upper + line
                color = AMBER if row.chosen else WHITE if over else GRAY
                write(box, row.text, line // 2, (number + 1) * line - line // 5, line, color)
            left += wide
