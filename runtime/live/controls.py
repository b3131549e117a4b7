"""What a viewer can change while the picture runs, and what each action does to it.

`Settings` is immutable: threads read one consistent state per frame, only the main thread makes new
ones. Actions with an effect outside (snapshot, record, quit) leave the settings alone; the command
carries them out.
"""

import queue
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from .. import input_noise
from ..keys import LEVELS
from ..model.stylizer import COLOR_MODES
from ..regions import REGIONS, Region

# One press of + or -: ten steps from the plain camera to the full style.
STRENGTH_STEP = 0.1
# The switches: action = field.
_TOGGLES = ("stabilizer", "split", "mirror", "fullscreen", "help", "stats")
_FIELDS = {**{name: name for name in _TOGGLES}, "freeze": "frozen"}
_STEPS = {
    "stronger": ("strength", STRENGTH_STEP),
    "weaker": ("strength", -STRENGTH_STEP),
    "more": ("mix", STRENGTH_STEP),
    "less": ("mix", -STRENGTH_STEP),
}
# Commands that are carried out before one picture: a fader sends a thousand a second, of which some
# thirty come between two pictures. Of the others one for a picture is enough.
MOST_ACTIONS = 100
ONCE = ("snapshot", "record", "camera")
Choice = TypeVar("Choice")
EFFECTS = ("snapshot", "record", "quit")


@dataclass(frozen=True, slots=True)
class Settings:
    """The state of the controls.

    Attributes:
        style: index into the list of styles.
        strength: 0 = the camera's picture, 1 = the full style.
        mix: share of the next style in the list, 0..1, where one model paints both.
        colors: how the camera's own colors are kept, as `runtime.model.stylizer.Effects.keep_color`
            says; "" for the style's.
        region: the part of the picture that the style paints.
        beside: index of the style that paints the rest, -1 for none.
        stabilizer: carry texture along the motion instead of letting it flicker.
        stability: of the stabilizer, 0..1.
        noise: amount of input noise in flat areas, 0..1.
        split: original on the left, styled on the right.
        divider: where they meet, 0..1 from the left.
        frozen: hold the input picture; style and strength still act on it.
        mirror: flip left and right.
        fullscreen: the window covers the screen.
        stats, help: what is written over the picture.
    """

    style: int = 0
    strength: float = 1.0
    mix: float = 0.0
    colors: str = ""
    region: Region = "all"
    beside: int = -1
    stabilizer: bool = True
    stability: float = 1.0
    noise: float = 0.0
    split: bool = False
    divider: float = 0.5
    frozen: bool = False
    mirror: bool = False
    fullscreen: bool = False
    stats: bool = True
    help: bool = False

    @property
    def seen(self) -> Region:
        """Where the style is seen: everywhere if it paints the rest as well."""
        return "all" if self.beside == self.style else self.region


def apply(settings: Settings, action: str, num_styles: int) -> Settings:
    """The settings after `action`; the same object if it changes none of them.

    Args:
        action: as `keys.action_named` gives it.
        num_styles: how many styles there are; "next" goes round, "style 7" of 3 does nothing.
    """
    word, _, value = action.partition(" ")
    if action in ("next", "previous"):
        step = 1 if action == "next" else -1
        return replace(settings, style=(settings.style + step) % num_styles, mix=0.0)
    if word == "style":
        wanted = int(value) - 1
        return replace(settings, style=wanted, mix=0.0) if wanted < num_styles else settings
    if word == "part":
        region = next((one for one in REGIONS if one == value), _after(settings.region, REGIONS))
        return replace(settings, region=region)
    if word == "colors":
        kept = ("", *COLOR_MODES)
        after = "" if value == "style" else value or _after(settings.colors, kept)
        return replace(settings, colors=after)
    if word == "beside":
        # Round through the styles; behind the last one comes none.
        wanted = int(value) - 1 if value else (settings.beside + 2) % (num_styles + 1) - 1
        return replace(settings, beside=wanted) if wanted < num_styles else settings
    if action in _STEPS:
        name, step = _STEPS[action]
        # Rounded so that ten steps down and up end where they began.
        level = round(min(1.0, max(0.0, getattr(settings, name) + step)), 3)
        return replace(settings, **{name: level})
    if action == "noise":
        return replace(settings, noise=0.0 if settings.noise else input_noise.USUAL)
    if word in LEVELS and value:
        return replace(settings, **{word: float(value)})
    if word in _FIELDS:
        name = _FIELDS[word]
        return replace(settings, **{name: value == "on" if value else not getattr(settings, name)})
    return settings


def _after(value: Choice, choices: Sequence[Choice]) -> Choice:
    """The next of the choices, round and round."""
    return choices[(choices.index(value) + 1) % len(choices)]


def newest(actions: queue.SimpleQueue[str]) -> tuple[list[str], int]:
    """What is done before the next picture: a flood of commands (a desk gone wild, a stranger) must
    not keep it waiting.

    Args:
        actions: emptied.

    Returns:
        the newest of them in order, of those about one picture the last of each kind; and how many
        were left out because there were too many. "quit" is never left out.
    """
    found = [actions.get() for _ in range(actions.qsize())]
    early, late = found[:-MOST_ACTIONS], found[-MOST_ACTIONS:]
    last = {action.partition(" ")[0]: index for index, action in enumerate(late)}
    kept = [a for n, a in enumerate(late) if n == last[w := a.partition(" ")[0]] or w not in ONCE]
    return ["quit"] * ("quit" in early) + kept, len(early)
