"""What a killed run leaves, so that no more than two seconds of it are painted twice.

Closed segments (`runtime.media.journal`) hold what is finished. Between the last of them and the
moment of a crash lie frames that were painted and wait for a stabilizer, or for an encoder that
knows no half segments. Beside the segments lie, therefore:

    frames.0.1280x720.painted    frames as layer 0 painted them, in slots (`kept_frames`)
    000001234.0.painted          what the model of layer 0 remembered behind frame 1234
    000001200.state              what models, stabilizers and masks remembered before frame 1200

A resumed run begins at the last state before the first frame that is missing, or where its shot
begins, takes the painted frames as long as there are any, and paints on. What lies before the
segments' end is removed on the way: never more is kept than an open segment, two parts of a shot
(`stabilizers.best.MAX_CHUNK`) and a handful of states. Files have checksums and are not brought to
the disk by force, because the system outlives a process that is killed; after a power cut the
segments are there, and those of these files that are whole.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from ..frame import Image
from ..media.journal import PAINTED, STATE
from ..sinks import Restart, Sink
from ..state import State, load, nest, part, save
from .kept_frames import KeptFrames
from .stages import START, Shots
from .steady import Painter

# Seconds and frames between two states at least, and seconds between two of what a model remembers.
EVERY_S, EVERY_FRAMES, SESSION_S = 1.5, 60, 1.0
# Seconds after which it is looked what can be removed.
TIDY_S = 1.0
# Frames that are painted faster are not kept: all that wait (see above, some 300) are painted anew
# in two seconds.
WORTH_S = 0.006
# Pictures that wait to be written; more are left out, so that a slow disk holds nobody up.
MOST_WAITING = 8
# Changes with what is in the files.
FORMAT = 1


class Remembering(Protocol):
    """Something whose next answer depends on those before."""

    def reset(self) -> None:
        """Forget the past."""
        ...

    def state(self) -> State | None:
        """What is remembered; None if that cannot be told."""
        ...

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run begins.

    Attributes:
        frame: index of the first frame that is painted.
        behind: the frame behind which its source begins.
        state: of all layers before that frame; None where a shot begins.
    """

    frame: int = 0
    behind: Restart = START
    state: State | None = None


class Checkpoints:
    """Those of one run.

    Args:
        folder: where the files lie.
        sink: says how many frames are in closed segments, and where their shot begins.
        context: frames before the first one that a source must deliver as well.
        layers: number of paintings of each frame.
        beside: what else remembers frames (a matte).
        pictures: see below.

    Attributes:
        pictures: whether painted pictures are kept: more than many disks of a network can take.
        beginning: where the run begins.
        taken: pictures that an earlier run had painted.
    """

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        *,
        context: int = 0,
        layers: int = 1,
        beside: Sequence[Remembering] = (),
        pictures: bool = True,
    ) -> None:
        self.pictures = pictures
        self._folder, self._sink, self._context = folder, sink, context
        self._layers, self._beside = layers, beside
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._room = threading.Semaphore(MOST_WAITING)
        self._frames = KeptFrames(folder)
        self._broken = False
        # Of the state that is being put together: its frame, and what the layers said so far.
        self._frame, self._states = 0, list[State]()
        self.taken = 0
        self.beginning = self._find()
        # First frames of the states on disk, ascending.
        self._places = [self.beginning.frame]
        self._written = self._tidied = time.perf_counter()
        if self.beginning.state is not None:
            for number, thing in enumerate(beside):
                thing.resume(part(f"beside{number}", self.beginning.state))

    def _find(self) -> Beginning:
        frames, restart = self._sink.frames, self._sink.repaint_behind
        if restart is None:
            found = Beginning(frames, self._sink.resumed or START)
        elif restart[0] < 0:
            found = Beginning()
        else:
            found = Beginning(restart[0] + 1 + self._context, restart)
        for path in sorted(self._folder.glob(f"*{STATE}"), reverse=True):
            number = _number(path) or 0
            if not found.frame < number <= frames:
                continue
            state = load(path)
            if state is not None and int(state.get("format", 0)) == FORMAT:
                above, below = (int(n) for n in str(state["time"]).split("/"))
                behind = (int(state["behind"]), Fraction(above, below))
                return Beginning(number, behind, state)
        return found

    def layer(self, number: int) -> State | None:
        """What a layer remembered before the first frame."""
        state = self.beginning.state
        return None if state is None else part(f"layer{number}", state)

    def keeping(self, number: int, painter: Painter) -> "KeptPainter":
        """The painter of a layer, whose pictures are kept, and taken from where they were kept."""
        return KeptPainter(self, number, painter)

    def offer(
        self, number: int, frame: int, shots: Shots, state: Callable[[], State | None]
    ) -> None:
        """A layer could go on from here.

        Args:
            number: of the layer; the first one comes first.
            frame: index of the frame that comes next.
            shots: knows the frames before.
            state: gives what the layer remembers; called if it is wanted.
        """
        if number == 0:
            self._frame, self._states = frame, []
            early = frame - self._places[-1] < EVERY_FRAMES
            if early or time.perf_counter() - self._written < EVERY_S or self._broken:
                self._frame = -1
        if self._frame != frame:
            return
        found = state()
        if found is None:
            self._frame = -1
            return
        self._states.append(nest(f"layer{number}", found))
        if len(self._states) == self._layers:
            self._write(frame, shots)

    def _write(self, frame: int, shots: Shots) -> None:
        place = shots.place_before(frame - self._context)
        if place is None:
            return
        index, moment = place
        whole = {
            "format": np.array(FORMAT),
            "behind": np.array(index),
            "time": np.array(f"{moment.numerator}/{moment.denominator}"),
        }
        for state in self._states:
            whole |= state
        for number, thing in enumerate(self._beside):
            whole |= nest(f"beside{number}", thing.state() or {})
        self._written = time.perf_counter()
        path = self._folder / f"{frame:09}{STATE}"
        self._submit(lambda: save(path, whole))
        self._places.append(frame)

    def tidy(self, shots: Shots) -> None:
        """Remove what no resumed run needs; called with every frame."""
        now = time.perf_counter()
        if now - self._tidied < TIDY_S:
            return
        self._tidied, saved = now, self._sink.saved
        if shots.matter:
            # What the journal says of a segment is where the shot of its last frame begins.
            places = [place for place in self._places if place <= saved]
            lowest = max(
                [*places, *(first for first in shots.openings if first < saved)], default=0
            )
        else:
            lowest = saved
        self._pool.submit(self._remove, lowest)

    def _remove(self, lowest: int) -> None:
        with suppress(OSError):
            for path in self._folder.iterdir():
                number = _number(path)
                if path.suffix in (PAINTED, STATE) and number is not None and number < lowest:
                    path.unlink()
        self._frames.forget(lowest)

    def keep(
        self, number: int, frame: int, picture: Image, *, begins: bool, told: State | None
    ) -> None:
        """Write a painted frame in another thread, unless too many wait.

        Args:
            number: of the layer.
            frame: its index.
            picture: as it was painted.
            begins: whether a scene begins there.
            told: what the painter remembers behind it, None if it was not asked.
        """

        def write() -> None:
            if told is not None:
                save(self._told(number, frame), told)
            self._frames.put(number, frame, picture, begins=begins)

        self._submit(write)

    def _submit(self, write: Callable[[], None]) -> None:
        """Write in another thread, unless too many wait."""
        if not self._broken and self._room.acquire(blocking=False):
            self._pool.submit(self._attempt, write)

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError:
            # The segments need the room more, and say what is wrong.
            self._broken = True
            self._remove(1 << 62)
            self._frames.remove()
        finally:
            self._room.release()

    def kept(self, number: int, remembers: bool) -> list[int]:
        """The frames of a layer that need not be painted: one after the other, from the first one
        on; if the model remembers pictures, up to one behind which it can go on."""
        first, count, told = self.beginning.frame, 0, 0
        while self._frames.has(number, first + count):
            if remembers and self.take(number, first + count) is None:
                break
            count += 1
            told = count if remembers and self.told(number, first + count - 1) else told
        return list(range(first, first + (told if remembers else count)))

    def take(self, number: int, frame: int) -> tuple[Image, bool] | None:
        """A frame of a layer, and whether a scene begins there; None if it was not kept whole."""
        return self._frames.take(number, frame)

    def told(self, number: int, frame: int) -> State:
        """What the painter of a layer remembered behind a frame; nothing if that was not kept."""
        return load(self._told(number, frame)) or {}

    def _told(self, number: int, frame: int) -> Path:
        return self._folder / f"{frame:09}.{number}{PAINTED}"

    def close(self) -> None:
        """Wait until everything is written."""
        self._pool.shutdown()
        self._frames.close()


class KeptPainter(Painter):
    """A painter whose pictures outlive the process; made by `Checkpoints.keeping`."""

    def __init__(self, checkpoints: Checkpoints, number: int, painter: Painter) -> None:
        self._checkpoints, self._number, self._painter = checkpoints, number, painter
        self._frame = checkpoints.beginning.frame
        self._kept = checkpoints.kept(number, painter.remembers)[::-1]
        # Of the last picture, while they last; and what the painter remembered behind it.
        self._begins: bool | None = None
        self._state: State | None = None
        self._told = time.perf_counter()

    @property
    def remembers(self) -> bool:
        """As of the painter."""
        return self._painter.remembers

    @property
    def begins_scene(self) -> bool:
        """As of the painter, at the time."""
        return self._painter.begins_scene if self._begins is None else self._begins

    def reset(self) -> None:
        """As of the painter."""
        self._state = None
        self._painter.reset()

    def state(self) -> State | None:
        """As of the painter; None as long as it is behind."""
        return self._painter.state() if self._begins is None or not self.remembers else None

    def resume(self, state: State) -> None:
        """As of the painter."""
        self._painter.resume(state)

    def stylize(self, image: Image) -> Image:
        """The next picture."""
        frame = self._frame
        self._frame += 1
        picture = self._take(image)
        if picture is not None:
            return picture
        self._begins = None
        if self._state is not None:
            self._painter.resume(self._state)
            self._state = None
        begun = time.perf_counter()
        picture = self._painter.stylize(image)
        if self._checkpoints.pictures and time.perf_counter() - begun >= WORTH_S:
            self._keep(frame, picture)
        return picture

    def _take(self, image: Image) -> Image | None:
        """The picture that was kept; None if there is none, and from then on."""
        if not self._kept:
            return None
        frame = self._kept.pop()
        found = self._checkpoints.take(self._number, frame)
        if found is None or found[0].shape != image.shape:
            self._kept.clear()
            return None
        self._state = self._checkpoints.told(self._number, frame) or self._state
        picture, self._begins = found
        self._checkpoints.taken += 1
        return picture

    def _keep(self, frame: int, picture: Image) -> None:
        told: State | None = None
        if self._painter.remembers and time.perf_counter() - self._told >= SESSION_S:
            told = self._painter.state()
            if told is None:
                return
            self._told = time.perf_counter()
        begins = self._painter.begins_scene
        self._checkpoints.keep(self._number, frame, picture, begins=begins, told=told)


def _number(path: Path) -> int | None:
    """The frame in a file's name, None if there is none."""
    head = path.name.partition(".")[0]
    return int(head) if head.isdecimal() else None
