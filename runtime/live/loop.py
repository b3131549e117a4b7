"""The main thread of a live run: shows frames, obeys keys, steers the rate, feeds the outputs.

Everything a user does arrives here as an action word, from the window, the browser page or a
script, and is applied between two frames.
"""

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ..cli import say
from ..frame import Frame, Image
from ..keys import ESCAPE, action_of
from ..pictures.buffers import Pool
from ..sources import SourceInfo
from .capture import Cameras, Capture
from .compose import Composer
from .controller import Controller
from .controls import Settings, apply, newest
from .cores import num_cores, share_cores
from .gauges import Gauges
from .ladder import Choice
from .outputs import Outputs
from .overlay import Stats, draw_help, draw_marks, draw_messages, draw_stats
from .pipeline import LiveFrame, LivePipeline
from .screen.menu import Menu, rows
from .slot import Closed, Empty
from .styles import Key, Styles

if TYPE_CHECKING:
    from ..sinks.window import WindowSink

# How long the main thread waits for a frame before it looks at keys and messages again.
POLL_S = 0.02
# How often the browser page gets new figures.
PUBLISH_S = 0.25
# How long a message stays on the screen.
MESSAGE_S = 4.0
# Frames warped by the stabilizer are ready at once, those of the network late: the warped one is
# held back until this share of a frame's time has passed since the last one, so that the motion
# does not limp.
EVEN = 0.9
# How long a style stays where only the key says that styles change by themselves.
ROTATE_S = 20.0
# Shown frames after which the files of a style are compared in the background: the start is over.
SETTLED = 30


PARTS = {"all": "everything", "person": "people alone", "background": "the background alone"}
MIXES_WITH_NONE = "this style mixes with no other: --model many knows sixteen that do"


class Rotation:
    """Changes the style by itself.

    Args:
        seconds: how long each style stays; 0 leaves it off until it is switched on.
    """

    def __init__(self, seconds: float) -> None:
        self.on = seconds > 0
        self._seconds = seconds or ROTATE_S
        self._style, self._since = -1, 0.0

    def toggle(self) -> str:
        """Switch it on or off; says which."""
        self.on = not self.on
        self._style = -1
        return f"a new style every {self._seconds:g} s" if self.on else "this style stays"

    def due(self, now: float, style: int) -> bool:
        """Whether the style has been there long enough.

        Args:
            now: when the picture was taken, in seconds.
            style: the one that is shown; another one than before counts anew.
        """
        if style != self._style:
            self._style, self._since = style, now
        if not self.on or now - self._since < self._seconds:
            return False
        self._since = now
        return True


@dataclass(frozen=True, slots=True)
class Parts:
    """What a live run is made of; put together by the command.

    Attributes:
        capture, styles, pipeline: running.
        info: of the source.
        gauges: of the run.
        outputs: where the frames go.
        actions: what the user asks for, from any thread.
        controller: None when the size is fixed.
        rungs: makes a new ladder for (files worth choosing among, whether frames can be warped).
        cameras: what `camera N` chooses from.
        later: what can wait until the first frame is on the screen.
        script: (frame, action), sorted.
        frames, seconds: when to stop, None for never.
        rotate: seconds after which the next style comes by itself, 0 for never.
        mirror_screen_only: a mirrored picture is for who looks at it, not for the outputs.
        target_fps: 0 for none.
        quiet: no human text.
    """

    capture: Capture
    styles: Styles
    pipeline: LivePipeline
    info: SourceInfo
    gauges: Gauges
    outputs: Outputs
    actions: "queue.SimpleQueue[str]"
    controller: Controller | None = None
    rungs: Callable[[list[int], bool], list[Choice]] | None = None
    cameras: Cameras = field(default_factory=Cameras)
    later: Callable[[], None] = lambda: None
    script: Sequence[tuple[int, str]] = ()
    frames: int | None = None
    seconds: float | None = None
    rotate: float = 0.0
    mirror_screen_only: bool = False
    target_fps: float = 0.0
    quiet: bool = False


class Show:
    """One live run, until it is over."""

    def __init__(self, parts: Parts, settings: Settings, size: tuple[int, int]) -> None:
        """Prepare to show.

        Args:
            parts: see there.
            settings: the controls at the start.
            size: (width, height) of the shown picture.
        """
        self.parts, self.settings = parts, settings
        self.last: LiveFrame | None = None
        self._composer = Composer(*size)
        self._pool = Pool(limit=3)
        self._picture: Image | None = None  # as the outputs get it
        self._seen: Image | None = None  # as it stands on the screen
        self._messages: list[tuple[float, str]] = []
        self._status = self._note = ""
        self._script = list(parts.script)
        self._menu = Menu()
        self._rotation = Rotation(parts.rotate)
        self._done = False
        self._publish_at = 0.0
        self._ahead_of = -1  # the style whose next one has been opened
        self._offered: tuple[object, ...] = ()
        self._threads = parts.pipeline.choice.threads

    def run(self) -> None:
        """Show frames until the source ends, the user stops, or the wished number is reached.

        Raises:
            StyleError: what any stage, source or output raised.
        """
        start = time.perf_counter()
        while not self._done:
            try:
                frame = self.parts.pipeline.output.get(POLL_S)
            except Empty:
                self._idle()
            except Closed:
                return
            else:
                self._show(frame)
                self._steer()
            for output_thread in self.parts.outputs.threads:
                output_thread.check()
            self._act()
            seconds = time.perf_counter() - start
            if self.parts.seconds is not None and seconds >= self.parts.seconds:
                return

    def _show(self, frame: LiveFrame) -> None:
        """One frame to the screen and to all outputs."""
        parts = self.parts
        self._hold_back(frame)
        start, work = time.perf_counter(), time.thread_time()
        seen = picture = self._composer.compose(frame, self.settings)
        if self.settings.mirror and (not parts.mirror_screen_only or self._watched):
            seen = self._composer.mirrored(picture)
            picture = picture if parts.mirror_screen_only else seen
        self.last, self._picture, self._seen = frame, picture, seen
        shown = Frame(picture, frame.time, frame.index)
        for output_thread in parts.outputs.threads:
            output_thread.offer(shown)
        parts.outputs.recorder.offer(shown)
        if parts.outputs.preview is not None:
            parts.outputs.preview.offer(seen)
        if parts.outputs.window is not None:
            self._draw(parts.outputs.window, seen)
        now = time.perf_counter()
        frame.stages_ms["show"] = (now - start) * 1000.0
        frame.work_ms["show"] = (time.thread_time() - work) * 1000.0
        parts.gauges.add(now, (now - frame.taken) * 1000.0, frame.stages_ms, frame.work_ms)
        if parts.gauges.shown == 1:
            parts.later()
        elif parts.gauges.shown == SETTLED:
            parts.styles.survey(self.settings.style)
        self._open_ahead(frame)
        parts.gauges.tick(now, parts.pipeline.dropped)
        self._publish()
        while self._script and self._script[0][0] <= parts.gauges.shown:
            self.parts.actions.put(self._script.pop(0)[1])
        if parts.frames is not None and parts.gauges.shown >= parts.frames:
            self._done = True

    def _publish(self) -> None:
        """Tell the page, a few times a second, what the window's figures would say."""
        parts, now = self.parts, time.perf_counter()
        if parts.outputs.preview is None or now < self._publish_at:
            return
        self._publish_at = now + PUBLISH_S
        parts.outputs.preview.publish(
            *(self._stats(), self.settings, parts.styles.labels),
            mixes=not self._alone(),
            cameras=parts.cameras,
        )

    def _open_ahead(self, frame: LiveFrame) -> None:
        """Open the next style once this one has settled, so that the change to it is at once."""
        styles, key = self.parts.styles, frame.active.key
        if self.parts.gauges.shown < SETTLED or key.style == self._ahead_of:
            return
        self._ahead_of = key.style
        after = (key.style + 1) % len(styles.entries)
        grade = styles.entries[key.style].grade(key.variant)
        if after != key.style:
            styles.ahead(Key(after, styles.first(after, grade), key.threads))

    @property
    def _watched(self) -> bool:
        """Whether somebody may look at the screen."""
        return self.parts.outputs.window is not None or self.parts.outputs.preview is not None

    def _hold_back(self, frame: LiveFrame) -> None:
        if frame.choice.every == 2 and frame.styled is None and self.parts.target_fps:
            due = self.parts.gauges.last + EVEN / self.parts.target_fps
            wait = due - time.perf_counter()
            if 0 < wait < 1 / self.parts.target_fps:
                time.sleep(wait)

    def _draw(self, window: "WindowSink", picture: Image) -> None:
        """Picture, figures and messages into the window; reads its keys."""
        messages = self._current_messages()
        settings = self.settings
        recording = self.parts.outputs.recorder.seconds is not None
        menu = self._menu.place is not None
        if settings.stats or settings.help or messages or menu or settings.frozen or recording:
            canvas = self._pool.take(*picture.shape)
            canvas[:] = picture
            if settings.help:  # instead of the figures, which it would cover in part
                draw_help(canvas)
                draw_marks(canvas, self._stats())
            elif settings.stats and not menu:
                draw_stats(canvas, self._stats())
            else:
                draw_marks(canvas, self._stats())
            draw_messages(canvas, messages)
            if menu:
                self._menu.pointer = window.pointer
                self._menu.draw(canvas, rows(settings, self.parts.styles.labels, recording))
            picture = canvas
        window.write(Frame(picture, Fraction(0), 0))
        self._press(window, window.key)

    def _idle(self) -> None:
        """Nothing new to show: keep the window alive, and say why nothing comes."""
        window = self.parts.outputs.window
        self._notice()
        if self.last is not None:
            self._publish()
        if window is not None:
            if self._seen is not None and self._current_messages():
                self._draw(window, self._seen)
            else:
                self._press(window, window.poll())

    def _press(self, window: "WindowSink", code: int) -> None:
        actions = [action_of(code)]
        if actions[0] is not None and self._menu.close() and code & 0xFF == ESCAPE:
            actions.clear()  # it leaves the menu, not the show
        while window.clicks:
            kind, x, y = window.clicks.pop(0)
            if kind == "right":
                self._menu.open(x, y)
            else:
                actions.append(self._menu.click(x, y))
        for action in actions:
            if action is not None:
                self.parts.actions.put(action)
        if self._picture is not None and not window.open:
            self._done = True

    def _notice(self) -> None:
        """Turn news from other threads into messages."""
        status, note = self.parts.capture.status, self.parts.styles.note
        if status != self._status:
            self._status = status
            if status:  # stands on the screen until it is over
                say(status, quiet=self.parts.quiet)
            else:
                self.message(f"{self.parts.capture.name} is back")
        if note != self._note:
            self._note = note
            if note:
                self.message(note)
        for text in self.parts.outputs.recorder.news() + self.parts.outputs.snapshots.news():
            self.message(text)

    def message(self, text: str) -> None:
        """Say something on the screen and on stderr."""
        self._messages.append((time.perf_counter() + MESSAGE_S, text))
        say(text, quiet=self.parts.quiet)

    def _current_messages(self) -> list[str]:
        now = time.perf_counter()
        self._messages = [entry for entry in self._messages if entry[0] > now]
        lasting = [self._status] if self._status else []
        return [text for _, text in self._messages[-3:]] + lasting

    def _act(self) -> None:
        """Apply what the user asked for."""
        self._notice()
        actions, left_out = newest(self.parts.actions)
        if left_out:
            self.message(f"{left_out} commands at once are too many")
        for action in actions:
            if action == "quit":
                self._done = True
            elif action == "snapshot" and self._picture is not None:
                self.parts.outputs.snapshots.save(self._picture, self._style_label())
            elif action.partition(" ")[0] == "record":
                running = self.parts.outputs.recorder.seconds is not None
                if action == "record" or running != (action == "record on"):
                    self.parts.outputs.recorder.toggle()
            elif action == "rotate":
                self.message(self._rotation.toggle())
            elif action.partition(" ")[0] == "camera":
                self.message(self.parts.cameras.choose(int(action.split()[1]), self.parts.capture))
            elif action in ("more", "less") and self._alone():
                self.message(MIXES_WITH_NONE)
            before = self.settings
            self.settings = apply(before, action, len(self.parts.styles.entries))
            if self.settings != before:
                self._apply(before)
        if self.last is not None and self._rotation.due(self.last.taken, self.settings.style):
            self.parts.actions.put("next")

    def _alone(self) -> bool:
        return self.parts.styles.partner(self.settings.style) is None

    def _apply(self, before: Settings) -> None:
        pipeline, styles = self.parts.pipeline, self.parts.styles
        choice, style = pipeline.choice, self.settings.style
        if style != before.style:
            # The same grade of the other style, until its own files have been measured.
            grade = styles.entries[before.style].grade(choice.variant)
            choice = replace(choice, variant=styles.first(style, grade))
            styles.survey(style)
            self.message(f"style {style + 1}: {styles.labels[style]}")
        self._tell(before)
        pipeline.set_plan(self.settings, choice)
        window = self.parts.outputs.window
        if window is not None and self.settings.fullscreen != before.fullscreen:
            window.set_fullscreen(self.settings.fullscreen)

    def _tell(self, before: Settings) -> None:
        """Say what cannot be seen from the picture alone."""
        now, labels = self.settings, self.parts.styles.labels
        if now.region != before.region:
            self.message(f"painted: {PARTS[now.region]}")
        if now.beside != before.beside:
            self.message(f"the rest: {labels[now.beside] if now.beside >= 0 else 'as it is'}")
        if now.mix != before.mix and now.mix and not self._alone():
            other = labels[(now.style + 1) % len(labels)]
            self.message(f"{100 * now.mix:.0f} % of {other}")

    def _steer(self) -> None:
        """Let the controller look at the last moments."""
        parts = self.parts
        controller = parts.controller
        if controller is None or self.last is None:
            return
        self._renew_ladder(controller)
        now = time.perf_counter()
        choice = controller.choice
        wanted = Key(self.settings.style, choice.variant, choice.threads)
        if (self.last.choice, self.last.active.key) != (choice, wanted) or parts.pipeline.fading:
            # Frames painted before the last decision, or with the style that is still being
            # replaced, are arriving: judge only new ones. A fade costs more, but not for long.
            parts.gauges.forget_window(now, parts.capture.arrived)
            return
        window = parts.gauges.window(now, parts.capture.arrived)
        if window is not None and not self.settings.frozen and controller.update(window):
            self._obey(controller)

    def _renew_ladder(self, controller: Controller) -> None:
        """Another style or stabilizer offers other choices; so do files once measured."""
        styles, style = self.parts.styles, self.settings.style
        order, costs = styles.order(style), styles.costs.get(style, [])
        offered = (style, tuple(order), tuple(costs), self.settings.stabilizer)
        if self.parts.rungs is None or offered == self._offered:
            return
        before, self._offered = self._offered, offered
        if not before:
            return  # the ladder the controller began with
        if offered[:3] != before[:3]:
            controller.set_costs(costs)
        variant = self.parts.pipeline.choice.variant
        if variant not in order:  # the same grade in another precision
            variant = styles.first(style, styles.entries[style].grade(variant))
        controller.set_rungs(self.parts.rungs(order, self.settings.stabilizer), variant)
        self._obey(controller)

    def _obey(self, controller: Controller) -> None:
        """Let the pipeline do what the controller chose."""
        choice = controller.choice
        self.parts.pipeline.set_plan(self.settings, choice)
        if choice.threads != self._threads:
            self._threads = choice.threads
            share_cores(choice.threads, num_cores())

    def _state(self) -> tuple[str, ...]:
        """What is switched on, in words."""
        now, labels = self.settings, self.parts.styles.labels
        words: list[str] = []
        if now.seen != "all":
            words.append(PARTS[now.region])
            if 0 <= now.beside < len(labels):
                words.append(f"the rest {labels[now.beside]}")
        if now.mix and not self._alone():
            words.append(f"{100 * now.mix:.0f} % {labels[(now.style + 1) % len(labels)]}")
        if now.colors:
            words.append("the camera's colors")
        words += [word for word, on in (("split", now.split), ("mirrored", now.mirror)) if on]
        if self._rotation.on:
            words.append("styles rotate")
        return tuple(words)

    def _style_label(self) -> str:
        return self.parts.styles.labels[self.last.active.style] if self.last else ""

    def _stats(self) -> Stats:
        """The figures as they are now."""
        parts, last = self.parts, self.last
        gauges = parts.gauges
        p50, p95 = gauges.latency()
        if last is None:
            return Stats(messages=tuple(self._current_messages()))
        stylizer = last.active.stylizer
        entry, key = parts.styles.entries[last.active.style], last.active.key
        return Stats(
            fps=gauges.fps(),
            target_fps=parts.target_fps,
            latency_ms=p50,
            latency_p95_ms=p95,
            stages_ms=gauges.stages(),
            style=f"{last.active.style + 1} {entry.name(key.variant)}",
            strength=self.settings.strength,
            size=(parts.info.width, parts.info.height),
            working=(last.choice.width, last.choice.height),
            every=last.choice.every,
            engine=f"{stylizer.engine} {stylizer.device}",
            threads=key.threads if stylizer.device == "cpu" else 0,
            cores=num_cores(),
            stabilizer="on" if self.settings.stabilizer else "off",
            dropped=parts.pipeline.dropped,
            arrived=parts.capture.arrived,
            held=parts.controller.held if parts.controller else True,
            recording=parts.outputs.recorder.seconds,
            frozen=self.settings.frozen,
            state=self._state(),
            messages=tuple(self._current_messages()),
        )
