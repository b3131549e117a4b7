"""Stabilizers: what keeps the paint still between two frames, whatever the model.

A stabilizer never needs to know the model: it sees the raw frame and the stylized one. One file is
one stabilizer (`runtime.plugins.names` / `load` list and load them), each with one user control,
`--stability 0..1`.

Streams (webcam; files too) use the frame protocol, one frame at a time, in this order::

    stabilizer = plugins.load(stabilizers, "live")(strength)
    for frame in source:
        given = stabilizer.prepare(frame.image)      # once per frame, before the network
        if stabilizer.cut:                           # scene cut or new size found by prepare()
            session.reset()                          # (only matters to recurrent models)
        styled = session.stylize(given)
        shown = stabilizer.step(frame.image, styled)

A network that cannot keep up: show `skip(image)` for the frames it did not see. A result that comes
back late, after newer frames were skipped, is still welcome: `step(its_image, styled)` and then
`skip(newest_image)`: frames are only pictures to a stabilizer, going back by one is a small motion.

Files use whole shots when the stabilizer is a `ShotStabilizer` (`best` is)::

    for frame in process(stabilizer, source, session.stylize, on_cut=session.reset):
        sink.write(frame)

`process` takes any iterable of `Frame` (consumed once, in order, from the calling thread) and is a
generator of exactly as many `Frame`s in the same order, each with the time and index of its input
and the stabilized picture. It reads ahead one chunk of a shot (at most `best.MAX_CHUNK` frames that
take about `best.MEMORY_BYTES`), so output comes in bursts; memory is bounded however long the clip
is. `stylize` is called once per frame, in order. `on_cut` is called before the first frame of each
new shot but the first. Close the generator (or let `for` end) to free it; an error raised by
`frames` or `stylize` passes through unchanged, and both are called in the calling thread. Motion
and drawing may be shared among threads (`_team`), whose number changes no byte; they end with the
shot.

Its two halves may run in two threads, as `runtime.clips` lets them: `paint` reads, calls `stylize`
and `on_cut`, and yields what it painted; each of these is `shown`, given the one before it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from ..frame import Frame, Image
from ..state import State


class Stabilizer(Protocol):
    """What every stabilizer offers; images are (H, W, 3) uint8 RGB and are never written to."""

    cut: bool  # True when the last prepare() (or step() without one) started from nothing

    def __init__(self, strength: float = 1.0):
        """Take the one user control: 0 shows the network's frames as they are, 1 is calmest."""
        ...

    def prepare(self, image: Image) -> Image:
        """Return the frame to give to the network: `image` with its sensor noise reduced."""
        ...

    def step(self, image: Image, styled: Image) -> Image:
        """Return the stabilized output for this frame; `image` is the raw input frame."""
        ...

    def skip(self, image: Image) -> Image | None:
        """Return the last output warped to `image`; None when there is none."""
        ...

    def reset(self) -> None:
        """Forget the past (seek, style change); cuts and new sizes are found without it."""
        ...

    def state(self) -> State:
        """All that is remembered between two frames, for `resume` of another one."""
        ...

    def resume(self, state: State) -> None:
        """Go on where another one was: the next frame comes out as it would have there."""
        ...


class PaintedShot(Protocol):
    """A shot, or a part of one, that was painted and is not stabilized yet.

    Attributes:
        count: of frames.
    """

    count: int

    def shown(self, before: "PaintedShot | None") -> Iterator[Frame]:
        """The stabilized frames, once; `before` is what was shown last, None at the beginning."""
        ...

    def state(self) -> State:
        """Once it was shown: what the part behind it needs of it; see `ShotStabilizer.paint`."""
        ...


@runtime_checkable
class ShotStabilizer(Protocol):
    """What stabilizers offer that work on whole shots of files.

    Attributes:
        context: frames before a shot, and behind it, without which its beginning and its end are
            not found as in the whole clip.
    """

    context: int

    def shots(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
        """Each frame with whether `paint` lets a shot begin there; nothing is painted."""
        ...

    def part(self, height: int, width: int) -> int:
        """Frames of this size after which a shot goes on as another part. What is shown of a part
        follows from it, and from nothing but the paint of the part before."""
        ...

    def paint(
        self,
        frames: Iterable[Frame],
        stylize: Callable[[Image], Image],
        *,
        on_cut: Callable[[], object] | None = None,
        start: int = 0,
        until: int | None = None,
        before: State | None = None,
    ) -> Iterator[PaintedShot]:
        """Yield shots, or parts of them, painted; as said above. A part begins with the frame of
        index `start`, and one ends before that of index `until`: frames before and behind only tell
        where cuts are. It goes on a shot if `before`, the `PaintedShot.state` of the part before
        it, is given."""
        ...


def process(
    stabilizer: ShotStabilizer,
    frames: Iterable[Frame],
    stylize: Callable[[Image], Image],
    *,
    on_cut: Callable[[], object] | None = None,
) -> Iterator[Frame]:
    """Every frame with its stabilized picture, all in this thread; as said above."""
    before: PaintedShot | None = None
    for shot in stabilizer.paint(frames, stylize, on_cut=on_cut):
        yield from shot.shown(before)
        before = shot
