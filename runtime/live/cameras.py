"""The cameras that a viewer can choose from while the picture runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..sources import Source
from .capture import Capture


def _no_camera(_: int) -> Callable[[], Source]:
    raise LookupError("there is no camera to choose")


@dataclass(slots=True)
class Cameras:
    """What can be chosen.

    Attributes:
        names: of the cameras by their number; empty where the source is none, or where the system
            does not list its cameras.
        current: number of the one that is read, -1 for none.
        opener: makes what opens one.
    """

    names: Mapping[int, str] = field(default_factory=dict[int, str])
    current: int = -1
    opener: Callable[[int], Callable[[], Source]] = _no_camera

    def choose(self, number: int, capture: Capture) -> str:
        """Read another one; says which, or why not."""
        if number not in self.names:
            known = ", ".join(map(str, self.names)) or "none"
            return f"no camera {number} to choose here; there are: {known}"
        if number != self.current:
            self.current = number
            capture.switch(self.opener(number))
        return f"camera {number}: {self.names[number]}"
