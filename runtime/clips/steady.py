"""One frame after the other through a model and a stabilizer, without a look ahead."""

from typing import Protocol

from ..frame import Image
from ..meter import Meter
from ..stabilizers import Stabilizer
from ..state import State, nest, part


class Painter(Protocol):
    """What paints frames: a `StyleSession` or a `Stylizer`."""

    @property
    def remembers(self) -> bool:
        """Whether a picture depends on those before it."""
        ...

    @property
    def begins_scene(self) -> bool:
        """Whether the last picture began a scene by itself."""
        ...

    def stylize(self, image: Image) -> Image:
        """Paint one picture."""
        ...

    def reset(self) -> None:
        """Forget the pictures before."""
        ...

    def state(self) -> State | None:
        """What the pictures before left; None if that cannot be told."""
        ...

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        ...


class SteadyPainter:
    """Paints the frames of one stream; begins with nothing left of what the session did before.

    Attributes:
        begins: whether the last frame needs nothing of those before it: a run that is to go on
            behind it may begin there.
    """

    def __init__(
        self, session: Painter, stabilizer: Stabilizer | None, meter: Meter | None = None
    ) -> None:
        """For one stream.

        Args:
            session: what paints.
            stabilizer: a fresh one, or None for none.
            meter: gets the stages style and stabilize.
        """
        self.begins = True
        self._session, self._stabilizer = session, stabilizer
        self._meter = meter or Meter()
        self._begun = False
        session.reset()

    def state(self) -> State | None:
        """All that it remembers between two frames; None if that cannot be told."""
        found = self._session.state()
        if found is None:
            return None
        steady = {} if self._stabilizer is None else self._stabilizer.state()
        return nest("painter", found) | nest("stabilizer", steady)

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        self._session.resume(part("painter", state))
        if self._stabilizer is not None:
            self._stabilizer.resume(part("stabilizer", state))
        self._begun = True

    def paint(self, image: Image) -> Image:
        """The next frame, painted and steady."""
        stabilizer, session, meter = self._stabilizer, self._session, self._meter
        if stabilizer is None:
            with meter("style"):
                shown = session.stylize(image)
            self.begins = session.begins_scene
            return shown
        with meter("stabilize"):
            given, cut = prepare_frame(image, stabilizer, begun=self._begun)
            if cut:
                session.reset()
            self.begins = cut or not self._begun
            self._begun = True
        with meter("style"):
            styled = session.stylize(given)
        with meter("stabilize"):
            return stabilizer.step(image, styled)


def prepare_frame(image: Image, stabilizer: Stabilizer, *, begun: bool) -> tuple[Image, bool]:
    """What the network is given of a frame, and whether a cut is before it.

    Args:
        image: the frame.
        stabilizer: of its stream.
        begun: whether there were frames before it.
    """
    given = stabilizer.prepare(image)
    if not (stabilizer.cut and begun):
        return given, False
    # Begin the shot with nothing left of the past, not even counters: a resumed run begins here
    # with a new stabilizer and must paint the same.
    stabilizer.reset()
    return stabilizer.prepare(image), True
