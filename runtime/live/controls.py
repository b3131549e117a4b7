"""What a viewer can change while the picture runs, and what each action does to it.

`Settings` is immutable: threads read one consistent state per frame, only the main thread makes new
ones. Actions with an effect outside (snapshot, record, quit) leave the settings alone; the command
carries them out.
"""

from dataclasses import dataclass, replace

# One press of + or -: ten steps from the plain camera to the full style.
STRENGTH_STEP = 0.1
# The switches: action = field.
_TOGGLES = ("stabilizer", "split", "mirror", "fullscreen", "help", "stats")
EFFECTS = ("snapshot", "record", "quit")


@dataclass(frozen=True, slots=True)
class Settings:
    """The state of the controls.

    Attributes:
        style: index into the list of styles.
        strength: 0 = the camera's picture, 1 = the full style.
        stabilizer: carry texture along the motion instead of letting it flicker.
        split: original in the left half, styled in the right.
        frozen: hold the input picture; style and strength still act on it.
        mirror: flip left and right.
        fullscreen: the window covers the screen.
        stats, help: what is written over the picture.
    """

    style: int = 0
    strength: float = 1.0
    stabilizer: bool = True
    split: bool = False
    frozen: bool = False
    mirror: bool = False
    fullscreen: bool = False
    stats: bool = True
    help: bool = False


def apply(settings: Settings, action: str, num_styles: int) -> Settings:
    """The settings after `action`; the same object if it changes none of them.

    Args:
        action: a word of `keys.ACTIONS`.
        num_styles: how many styles there are; "next" goes round, "style 7" of 3 does nothing.
    """
    if action in ("next", "previous"):
        step = 1 if action == "next" else -1
        return replace(settings, style=(settings.style + step) % num_styles)
    if action.startswith("style "):
        wanted = int(action.split()[1]) - 1
        return replace(settings, style=wanted) if wanted < num_styles else settings
    if action in ("stronger", "weaker"):
        step = STRENGTH_STEP if action == "stronger" else -STRENGTH_STEP
        # Rounded so that ten steps down and up end where they began.
        return replace(settings, strength=round(min(1.0, max(0.0, settings.strength + step)), 3))
    if action == "freeze":
        return replace(settings, frozen=not settings.frozen)
    if action in _TOGGLES:
        return replace(settings, **{action: not getattr(settings, action)})
    return settings
