"""The live pipeline: capture | style | stabilize | show, a thread each, one frame between two.

Between capture and style, and before the screen, stands a newest-frame slot: what comes too late is
dropped there, and nothing ever queues. Between style and stabilize nothing is dropped: what the
network has made was dear, and every second frame may be one that the stabilizer warps without
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

from ..errors import StyleError
from ..frame import Image
from ..input_noise.scene import SceneNoise
from ..meter import Meter
from ..pictures.buffers import Pool
from ..regions import Region
from ..regions.matte import Matte
from .capture import Capture, Captured
from .controls import Settings
from .cores import num_cores
from .ladder import Choice
from .layers.layer import Layer, Make
from .layers.parts import Parts
from .slot import Closed, Slot
from .styles import Active, Key, Mixture, Styles

# How long `close` waits for a thread: a slow network may need seconds for its last frame.
JOIN_S = 10.0


def open_matte() -> Matte:
    """The bundled network that finds people."""
    from ..regions.segmenter import Segmenter

    return Matte(Segmenter())


@dataclass(slots=True)
class Beside:
    """The painting of the part that the style leaves out.

    Attributes:
        active: its style.
        changed: the frame before had another.
        styled, painted: as those of `LiveFrame`.
    """

    active: Active
    changed: bool
    styled: Image | None = None
    painted: Image | None = None


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
        region: where the style goes.
        beside: what is painted in the rest, None for nothing.
        mask: (H, W) float32 in 0..1, where the style is seen; None for everywhere.
        stages_ms: how long each stage took for it.
        work_ms: of this, how long its thread had a processor.
        given: `work` as the network saw it, with input noise; None until then.
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
    region: Region = "all"
    beside: Beside | None = None
    mask: np.ndarray | None = None
    stages_ms: dict[str, float] = field(default_factory=dict[str, float])
    work_ms: dict[str, float] = field(default_factory=dict[str, float])
    given: Image | None = None


class LivePipeline:
    """Paints what `capture` delivers.

    Attributes:
        output: slot from which finished frames are shown.
        propagated: frames for which the stabilizer replaced the network.
        held: frames it could not warp (scene cut); the last picture simply stays.
    """

    def __init__(
        self,
        capture: Capture,
        styles: Styles,
        make_stabilizer: Make,
        choice: Choice,
        settings: Settings,
        meter: Meter,
        first: Choice | None = None,
        make_matte: Callable[[], Matte] = open_matte,
        fade: float = 0.0,
    ) -> None:
        """Make the threads; nothing runs before `start`.

        Args:
            first: what the very first frame is painted with, instead of `choice`.
            make_stabilizer: a new one, switched on or not, of this stability.
            make_matte: opens what finds people, when it is first needed.
            fade: seconds over which a new style or part comes in.
        """
        self._plan = (settings, choice)
        self._first = first
        self.output: Slot[LiveFrame] = Slot()
        self.propagated = self.held = 0
        self._cut = False
        self._fade = fade
        self._layer, self._rest = Layer(make_stabilizer), Layer(make_stabilizer)
        self._parts = Parts(make_matte)
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
            settings = self.settings
            self._make_stabilizer(settings.stabilizer, settings.stability).step(picture, picture)

    def _stabilize(self) -> None:
        """One frame from the network to the screen."""
        frame = self._styled.get()
        start = _now()
        frame.painted = self._layered(
            self._layer, frame, frame.stylizer_changed, frame.styled, None
        )
        self._cut = self._cut or (frame.styled is not None and self._layer.cut)
        rest = frame.beside
        if rest is not None:
            rest.painted = self._layered(self._rest, frame, rest.changed, rest.styled, frame.work)
        self._measure(frame, "stabilize", start)
        if frame.painted is None:
            self.held += 1
            return
        start = _now()
        frame.mask = self._parts.mask(
            frame.image, frame.region, frame.taken, self._fade, cut=self._layer.cut
        )
        if frame.mask is not None:
            self._measure(frame, "mask", start)
        self.propagated += frame.styled is None
        self.output.put(frame)
        self._layer.learn()
        self._rest.learn()

    def _layered(
        self,
        layer: Layer,
        frame: LiveFrame,
        changed: bool,
        styled: Image | None,
        before: Image | None,
    ) -> Image | None:
        """The layer's picture of a frame."""
        settings, moment = frame.settings, frame.taken
        if changed:
            layer.begin(settings.stabilizer, settings.stability, moment, self._fade, before)
            if styled is not None:
                return layer.first(frame.work, styled, frame.image, moment)
        # Without prepare(): it has to run between the last step and the network, and style and
        # stabilize could never work at the same time. The network sees the raw frame instead.
        return layer.next(frame.work, styled, frame.image, moment)

    @property
    def fading(self) -> bool:
        """Whether an older style still shows."""
        return self._layer.fading or self._rest.fading

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
        self._rest_key: tuple[object, ...] = ()
        self._spared = True
        self._noise = SceneNoise(0.0)

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
            stylizer_changed=self._changed(settings, active),
            region=settings.seen,
            beside=self._beside(settings, choice, active),
            stages_ms={"decode": captured.decode_ms},
            work_ms={"decode": captured.decode_ms},
        )

    def _beside(self, settings: Settings, choice: Choice, active: Active) -> Beside | None:
        """The style of the rest, the one before until it is open; None for the camera's picture."""
        if settings.seen == "all" or not 0 <= settings.beside < len(self._styles.entries):
            self._rest_key = ()
            self._styles.beside(None)
            return None
        grade = self._styles.entries[active.style].grade(active.key.variant)
        variant = self._styles.first(settings.beside, grade)
        other = self._styles.beside(Key(settings.beside, variant, choice.threads))
        if other is None:
            return None
        key = (settings.stabilizer, settings.stability, *other.file)
        changed, self._rest_key = self._rest_key != key, key
        return Beside(other, changed)

    def spare(self, frame: LiveFrame) -> bool:
        """Whether this frame goes to the stabilizer without the network."""
        new = frame.stylizer_changed or (frame.beside is not None and frame.beside.changed)
        self._spared = frame.choice.every == 2 and not self._spared and not new
        return self._spared

    def paint(self, frame: LiveFrame, cut: bool) -> None:
        """Run the network; after a cut, found by the stabilizer, recurrent models must forget."""
        start = _now()
        mixture = self._mixture(frame.settings, frame.active)
        if frame.given is None:
            frame.given = self._with_noise(frame, cut)
        try:
            frame.styled = self._styled(frame, frame.active, cut, mixture)
        except StyleError as error:
            frame.active = self._styles.give_up(frame.active.key, error)
            self.paint(frame, cut)
            return
        if frame.beside is not None:
            try:
                frame.beside.styled = self._styled(frame, frame.beside.active, cut, None)
            except StyleError as error:
                self._styles.refuse(frame.beside.active.key, error)
                frame.beside = None
        self._measure(frame, "style", start)

    def _styled(
        self, frame: LiveFrame, active: Active, cut: bool, mixture: Mixture | None
    ) -> Image:
        stylizer = active.stylizer
        given = frame.work if frame.given is None else frame.given
        if cut:
            stylizer.reset()
        # The strength is blended in after the stabilizer, which would otherwise warp pieces of the
        # camera's picture along; only a model with a knob of its own gets it here.
        strength = frame.settings.strength if stylizer.card.has_scalar("strength") else 1.0
        if mixture is not None:
            return stylizer.stylize(given, strength=strength, style=mixture)
        return stylizer.stylize(given, strength=strength)

    def _with_noise(self, frame: LiveFrame, cut: bool) -> Image:
        """The frame as the networks see it."""
        if cut:
            self._noise.reset()
        self._noise.amount = frame.settings.noise
        return self._noise.add(frame.work)

    def _mixture(self, settings: Settings, active: Active) -> Mixture | None:
        """The styles that are mixed, unless the wanted one is still being opened."""
        wanted = active.style == settings.style
        return self._styles.mixture(active.style, settings.mix) if wanted else None

    def _changed(self, settings: Settings, active: Active) -> bool:
        """Whether this frame is the first of another style, or of another stabilizer setting. The
        same file with other threads paints the same strokes."""
        mix = settings.mix if self._mixture(settings, active) is not None else 0.0
        key = (
            *(settings.stabilizer, settings.stability),
            *(active.key.style, active.key.variant, mix),
        )
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
