"""Puts a live run together from the flags of `runtime.webcam`: source, styles, rate, outputs."""

import argparse
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from . import cli, stabilizers, store, zoo
from .capture import Capture
from .controller import Choice, Controller
from .controls import Settings
from .errors import StyleError
from .gauges import Gauges
from .live import LivePipeline
from .look import Look, open_look
from .meter import Meter
from .outlets import BEHIND, Outlet
from .pacing import Paced
from .plugins import load
from .recorder import Recorder, live_clip
from .show import Parts, Show, make_rungs
from .sinks import open_sink
from .snapshots import Snapshots
from .sources import Source, SourceInfo, open_source
from .styles import Entry, Styles

# Held when neither --target-fps nor the source names a rate.
DEFAULT_FPS = 30.0


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run ready to be shown.

    Attributes:
        show: call its `run`.
        meter: stage times and latencies.
        look: the first style.
        size: (width, height) of the shown picture.
    """

    show: Show
    meter: Meter
    look: Look
    size: tuple[int, int]


def open_run(
    args: argparse.Namespace,
    script: list[tuple[int, str]],
    stack: contextlib.ExitStack,
    began: float,
) -> LiveRun:
    """Open everything a live run needs.

    Args:
        args: the flags of `runtime.webcam`.
        script: (frame, action) from `--keys`.
        stack: gets what must be closed; closing it stops the threads first, then finishes files.
        began: `time.perf_counter` seconds at which the command started.

    Raises:
        StyleError: a model, the source or an output cannot be opened.
    """
    meter = Meter()
    capture = Capture(_opener(args), meter)
    stack.callback(capture.close)
    capture.start()
    # The source opens in its own thread while the model is loaded in this one.
    styles = _styles(args)
    stack.callback(styles.close)
    look = styles.open_first()
    for line in [*look.notes, f"{look.label}: {look.engine} on {look.device}{_why(args, look)}"]:
        cli.say(line, quiet=args.quiet)
    info = capture.wait_info()
    size = _fitted(info, args.size)
    settings = Settings(
        strength=args.strength,
        stabilizer=args.stabilizer != "off",
        split=args.split,
        frozen=args.freeze,
        mirror=args.mirror,
        fullscreen=args.fullscreen,
        stats=not args.no_stats,
    )
    target, controller, rungs, choice = _plan(args, info, size, look.card.multiple_of, settings)
    pipeline = LivePipeline(capture, styles, _stabilizer_maker(args), choice, settings, meter)
    parts = Parts(
        capture,
        styles,
        pipeline,
        info,
        Gauges(meter, began),
        _recorder(args, size, info, target, meter),
        Snapshots(Path(args.snapshots)),
        controller,
        rungs,
        script=script,
        frames=args.frames,
        seconds=args.seconds,
        target_fps=target,
        quiet=args.quiet,
    )
    stack.callback(parts.snapshots.close)
    _at_the_end(stack, parts.recorder.close)
    if args.record:
        parts.recorder.start()
    show = Show(parts, settings, size)
    _add_outputs(args, show, size, stack)
    styles.survey(0)
    pipeline.start()
    stack.callback(pipeline.close)
    return LiveRun(show, meter, look, size)


def _at_the_end(stack: contextlib.ExitStack, close: Callable[[], None]) -> None:
    """Close with the run; when it ends by an error, that one is told, not what followed from it."""

    def leave(_: object, error: BaseException | None, __: object) -> bool:
        try:
            close()
        except StyleError:
            if error is None:
                raise
        return False

    stack.push(leave)


def _opener(args: argparse.Namespace) -> Callable[[], Source]:
    """What opens the source: cameras as they are, clips played by the clock and looped."""
    target = args.target_fps or None
    wishes: dict[str, Any] = {"size": args.size, "live": True}
    if args.source.partition(":")[0] in ("camera", "synthetic"):
        wishes["rate"] = Fraction(target).limit_denominator(1001) if target else None

    def open_it() -> Any:
        source = open_source(args.source, **wishes)
        if source.info.live:
            return source
        first: list[Any] = [source]

        def again() -> Any:
            return first.pop() if first else open_source(args.source, **wishes)

        return Paced(again, loop=not args.once)

    return open_it


def _styles(args: argparse.Namespace) -> Styles:
    """The list of styles: the models given, or, after a single one, those beside it."""

    def entry(models: list[str], label: str) -> Entry:
        one = argparse.Namespace(**{**vars(args), "model": models, "quiet": True})
        return Entry(label, lambda: open_look(one, threads))

    threads = args.threads or spare_core()
    given = [cli.parse_models(text) for text in args.model]
    if any(text != name for text, (name, _) in zip(args.model, given, strict=True)):
        return Styles([[entry(args.model, " + ".join(args.model))]])  # weights: one mixed style
    paths = [store.resolve(name) for name, _ in given]
    if len(paths) == 1 and not args.style:
        paths += zoo.neighbors_of(paths[0])
    entries = []
    for path in paths:
        variants = [path] if args.working_size else [path, *zoo.variants_of(path)]
        entries.append([entry([str(one)], one.stem) for one in variants])
    return Styles(entries)


def _fitted(info: SourceInfo, box: tuple[int, int] | None) -> tuple[int, int]:
    """The source's shape inside `box` (width, height): nothing is stretched."""
    if box is None:
        return info.width, info.height
    scale = min(box[0] / info.width, box[1] / info.height)
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def _why(args: argparse.Namespace, look: Look) -> str:
    """Why `--device auto` took the CPU, where the engine itself has not said so."""
    if args.device != "auto" or look.device != "cpu" or any("GPU" in note for note in look.notes):
        return ""
    return " (this ONNX Runtime is the one without GPU support)"


def spare_core() -> int:
    """Threads for the engine: all cores but one, which capture, stabilizer and screen need. An
    engine that spins on every core waits for its own starved threads: 35.6 ms a frame instead of
    13.3 with one thread, where the second core was busy."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, cores - 1)


def _plan(
    args: argparse.Namespace,
    info: SourceInfo,
    size: tuple[int, int],
    multiple_of: int,
    settings: Settings,
) -> tuple[float, Any, Any, Any]:
    """Target rate, controller, ladders and the first choice."""
    if args.working_size:
        return 0.0, None, None, Choice(*_fitted(info, args.working_size))
    if args.target_fps == 0.0:
        return 0.0, None, None, Choice(*size)
    target = args.target_fps or float(info.rate or DEFAULT_FPS)
    # A picture shown larger than it was taken is not painted larger: there is nothing to gain.
    largest = min(size, (info.width, info.height))
    rungs = make_rungs(*largest, multiple_of)
    controller = Controller(target, rungs(1, settings.stabilizer and args.stability > 0))
    return target, controller, rungs, controller.choice


def _stabilizer_maker(args: argparse.Namespace) -> Callable[[bool], Any]:
    on = load(stabilizers, args.stabilizer if args.stabilizer != "off" else "live")
    off = load(stabilizers, "off")
    return lambda wanted: on(args.stability) if wanted else off()


def _recorder(
    args: argparse.Namespace, size: tuple[int, int], info: SourceInfo, target: float, meter: Any
) -> Any:
    path = Path(args.record) if args.record else Path("impasto-recording.mp4")

    def timer(milliseconds: float) -> None:
        meter.add("encode", milliseconds)

    def open_file(path: Path) -> Any:
        return _open_sink(str(path), args, size, info, target)

    return Recorder(path, open_file, timer)


def _open_sink(
    spec: str, args: argparse.Namespace, size: tuple[int, int], info: SourceInfo, target: float
) -> Any:
    rate = Fraction(target or DEFAULT_FPS).limit_denominator(1001)
    facts = replace(info, width=size[0], height=size[1], rate=rate, num_frames=None, live=True)
    options: dict[str, Any] = {"overwrite": args.overwrite, "pipe_format": args.pipe_format}
    if not spec.startswith(("-", "pipe:", "virtualcam")):
        # The fastest preset: 4.8 ms per 1280x720 frame on one core where "veryfast" takes 13.3.
        options |= {"clip": live_clip(), "preset": "ultrafast"}
    return open_sink(spec, facts, **options)


def _add_outputs(
    args: argparse.Namespace, show: Show, size: tuple[int, int], stack: contextlib.ExitStack
) -> None:
    """Window, page, virtual camera and everything of --output."""
    parts = show.parts
    specs = list(args.output)
    if args.virtual_camera is not None:
        specs.append(f"virtualcam:{args.virtual_camera}" if args.virtual_camera else "virtualcam")
    outlets = []
    for spec in specs:
        live = spec.startswith(("-", "pipe:", "virtualcam"))
        outlet = Outlet(
            spec,
            lambda spec=spec: _open_sink(spec, args, size, parts.info, parts.target_fps),
            behind=1 if live else BEHIND,
        )
        _at_the_end(stack, outlet.close)
        outlets.append(outlet)
    for outlet in outlets:
        outlet.wait_open()
    parts.outlets = outlets
    if args.serve:
        from .serve import Preview

        parts.preview = stack.enter_context(Preview(args.serve, show.actions, args.token))
        cli.say(f"open {parts.preview.url} in a browser", quiet=args.quiet)
    if not args.headless:
        from .sinks.window import WindowSink

        parts.window = stack.enter_context(
            WindowSink("window:Impasto", parts.info, fullscreen=args.fullscreen)
        )
