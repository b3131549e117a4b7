"""The live pipeline: capture | style | stabilize | show, a thread each, one frame between two.

Between capture and style, and before the screen, stands a newest-frame slot: what comes too late is
dropped there, and nothing ever queues. Between style and stabilize nothing is dropped: what the
network has made was dear, and every second frame may be one that the stabilizer carries without
the network. The style thread waits until its last result was taken *before* it fetches the next
frame, so the frame it fetches is always the newest.

Errors travel downstream through the slots and are raised in the thread that shows.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from ..buffers import Pool
from ..frame import Image
from ..meter import Meter
from ..stabilizers import Stabilizer
from .capture import Capture, Captured
from .controls import Settings
from .cores import num_cores
from .ladder import Choice
from .slot import Closed, Slot
from .styles import Active, Key, Styles

# How long `close` waits for a thread: a slow network may need seconds for its last frame.
JOIN_S = 10.0


@dataclass(slots=True)
class LiveFrame:
    """A frame on its way to the screen.

    Attributes:
        image: as captured, (H, W, 3) uint8 RGB.
        time, index, taken: when it was captured: stream time, number, `time.perf_counter` seconds.
        settings: the controls as they were when it was painted.
        choice: working size and rhythm it was painted with.
        active: the style it was painted with.
        work: `image` at the working size.
        stylizer_changed: the frame before had another style, or the stabilizer was switched.
        styled: the network's answer at the working size; None if the network was spared.
        painted: the stabilizer's answer at the working size; `show` scales it up.
        stages_ms: how long each stage took for it.
        work_ms: of this, how long its thread had a processor.
    """

    image: Image
    time: Fraction
    index: int
    taken: float
    settings: Settings
    choice: Choice
    active: Active
    work: Image
    stylizer_changed: bool = False
    styled: Image | None = None
    painted: Image | None = None
    stages_ms: dict[str, float] = field(default_factory=dict[str, float])
    work_ms: dict[str, float] = field(default_factory=dict[str, float])


class LivePipeline:
    """Paints what `capture` delivers.

    Attributes:
        output: slot from which finished frames are shown.
        carried: frames for which the stabilizer replaced the network.
        held: frames it could not carry (scene cut); the last picture simply stays.
    """

    def __init__(
        self,
        capture: Capture,
        styles: Styles,
        make_stabilizer: Callable[[bool], Stabilizer],
        choice: Choice,
        settings: Settings,
        meter: Meter,
        first: Choice | None = None,
    ) -> None:
        """Make the threads; nothing runs before `start`.

        Args:
            first: what the very first frame is painted with, instead of `choice`.
            make_stabilizer: a new one; the argument says whether it is switched on.
        """
        self._plan = (settings, choice)
        self._first = first
        self.output: Slot[LiveFrame] = Slot()
        self.propagated = self.held = 0
        self._cut = False
        self._stabilizer: Stabilizer | None = None
        self._capture, self._styles, self._meter = capture, styles, meter
        self._make_stabilizer = make_stabilizer
        self._styled: Slot[LiveFrame] = Slot()
        self._painter = _Painter(styles, self._measure)
        self._threads = [
            threading.Thread(target=self._run, args=(first, body, out), name=name, daemon=True)
            for name, first, body, out in (
                ("style", lambda: None, self._style, self._styled),
                ("stabilize", self._warm_up, self._stabilize, self.output),
            )
        ]

    def start(self) -> None:
        """Start to paint."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop all threads; may be called twice. A blocked source does not hold it up."""
        self._capture.close()
        self._styled.close()
        self.output.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(JOIN_S)
        if not any(thread.is_alive() for thread in self._threads):
            self._styles.close()

    def set_plan(self, settings: Settings, choice: Choice) -> None:
        """The controls, and working size, rhythm, variant and threads, for the frames to come. They
        are set as one and read once per frame, because a variant belongs to a style."""
        self._plan = (settings, choice)

    @property
    def settings(self) -> Settings:
        """The controls."""
        return self._plan[0]

    @property
    def choice(self) -> Choice:
        """Working size, rhythm, variant and threads."""
        return self._plan[1]

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were painted or shown."""
        return self._capture.slot.dropped + self.output.dropped

    def _run(
        self, first: Callable[[], None], body: Callable[[], None], out: Slot[LiveFrame]
    ) -> None:
        """Run a stage until its input ends; hand its end or its error to the next one."""
        try:
            first()
            while not out.closed:
                body()
        except Closed:
            out.close()
        except BaseException as error:
            out.close(error)

    def _style(self) -> None:
        """One frame from the camera to the network."""
        self._styled.wait_taken()
        captured = self._capture.slot.get()
        settings, choice = self._plan
        choice, self._first = self._first or choice, None
        frame = self._painter.prepare(captured, settings, choice)
        if not self._painter.spare(frame):
            cut, self._cut = self._cut, False
            self._painter.paint(frame, cut)
        self._styled.put(frame)

    def _warm_up(self) -> None:
        """Load the stabilizer's code and tables while the network paints its first frame; with a
        single core that would only delay it."""
        if num_cores() < 2:
            return
        picture = np.zeros((16, 16, 3), np.uint8)
        with suppress(ValueError):  # it may refuse so small a picture; then it warms up later
            self._make_stabilizer(self.settings.stabilizer).step(picture, picture)

    def _stabilize(self) -> None:
        """One frame from the network to the screen."""
        frame = self._styled.get()
        start = _now()
        if self._stabilizer is None or frame.stylizer_changed:
            # Strokes of another style are no use.
            self._stabilizer = self._make_stabilizer(frame.settings.stabilizer)
            if frame.styled is not None:
                # With no past there is nothing to carry: the first frame is shown as it was
                # painted, and the stabilizer takes it in while it is already on the screen.
                frame.painted = frame.styled
                self._measure(frame, "stabilize", start)
                self.output.put(frame)
                self._stabilizer.step(frame.work, frame.styled)
                return
        if frame.styled is None:
            frame.painted = self._stabilizer.skip(frame.work)
        else:
            # Without prepare(): it has to run between the last step and the network, and style and
            # stabilize could never work at the same time. The network sees the raw frame instead.
            frame.painted = self._stabilizer.step(frame.work, frame.styled)
            self._cut = self._cut or self._stabilizer.cut
        self._measure(frame, "stabilize", start)
        if frame.painted is None:
            self.held += 1
            return
        self.propagated += frame.styled is None
        self.output.put(frame)

    def _measure(self, frame: LiveFrame, stage: str, start: tuple[float, float]) -> None:
        clock, work = _now()
        frame.stages_ms[stage] = (clock - start[0]) * 1000.0
        frame.work_ms[stage] = (work - start[1]) * 1000.0
        self._meter.add(stage, frame.stages_ms[stage])


def _now() -> tuple[float, float]:
    """Seconds of the clock, and of this thread on a processor."""
    return time.perf_counter(), time.thread_time()


class _Painter:
    """What the style thread remembers from frame to frame."""

    def __init__(
        self, styles: Styles, measure: Callable[[LiveFrame, str, tuple[float, float]], None]
    ) -> None:
        self._styles, self._measure = styles, measure
        self._pool = Pool()
        self._frozen: Captured | None = None
        self._key: tuple[object, ...] = ()
        self._spared = True

    def prepare(self, captured: Captured, settings: Settings, choice: Choice) -> LiveFrame:
        """Scale the frame to the working size and gather what it will be painted with."""
        self._styles.select(Key(settings.style, choice.variant, choice.threads))
        active = self._styles.take()
        self._frozen = (self._frozen or captured) if settings.frozen else None
        image = (self._frozen or captured).frame.image
        frame = captured.frame
        return LiveFrame(
            image,
            frame.time,
            frame.index,
            captured.taken,
            settings,
            choice,
            active,
            self._scaled(image, choice),
            self._changed(settings, active),
            stages_ms={"decode": captured.decode_ms},
            work_ms={"decode": captured.decode_ms},
        )

    def spare(self, frame: LiveFrame) -> bool:
        """Whether this frame goes to the stabilizer without the network."""
        self._spared = frame.choice.every == 2 and not self._spared and not frame.stylizer_changed
        return self._spared

    def paint(self, frame: LiveFrame, cut: bool) -> None:
        """Run the network; after a cut, found by the stabilizer, recurrent models must forget."""
        start = _now()
        stylizer = frame.active.stylizer
        if cut:
            stylizer.reset()
        # The strength is blended in after the stabilizer, which would otherwise carry pieces of the
        # camera's picture along; only a model with a knob of its own gets it here.
        strength = frame.settings.strength if stylizer.card.has_scalar("strength") else 1.0
        frame.styled = stylizer.stylize(frame.work, strength=strength)
        self._measure(frame, "style", start)

    def _changed(self, settings: Settings, active: Active) -> bool:
        """Whether this frame is the first of another style, or of another stabilizer setting. The
        same file with other threads paints the same strokes."""
        key = (settings.stabilizer, active.key.style, active.key.variant)
        before, self._key = self._key, key
        if before and before != key:
            active.stylizer.reset()
        return before != key

    def _scaled(self, image: Image, choice: Choice) -> Image:
        if image.shape[:2] == (choice.height, choice.width):
            return image
        # Area averaging: anything cheaper makes edges shimmer, and the strokes with them.
        return cv2.resize(
            image,
            (choice.width, choice.height),
            dst=self._pool.take(choice.height, choice.width, 3),
            interpolation=cv2.INTER_AREA,
        )
