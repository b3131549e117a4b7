"""The outputs of a live run, from the flags of `runtime.webcam`: recording, window, browser page,
virtual camera, and everything of `--output`."""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from .. import cli
from ..errors import StyleError
from ..meter import Meter
from ..sinks import open_sink
from ..sources import SourceInfo
from .loop import Show
from .output_threads import BEHIND, OutputThread
from .recorder import Recorder, live_clip

# Written into files when no rate is to be held.
DEFAULT_FPS = 30.0


def open_recorder(
    args: argparse.Namespace, size: tuple[int, int], info: SourceInfo, target: float, meter: Meter
) -> Recorder:
    """What `--record` and the r key use; nothing is written yet."""
    path = Path(args.record) if args.record else Path("impasto-recording.mp4")

    def timer(milliseconds: float) -> None:
        meter.add("encode", milliseconds)

    def open_file(path: Path) -> Any:
        return _open_sink(str(path), args, size, info, target)

    return Recorder(path, open_file, timer)


def open_outputs(
    args: argparse.Namespace, show: Show, size: tuple[int, int], stack: contextlib.ExitStack
) -> None:
    """Open all outputs that were asked for.

    Args:
        args: the flags.
        show: gets them.
        size: (width, height) of the shown picture.
        stack: gets what must be closed.

    Raises:
        StyleError: one of them cannot be opened.
    """
    parts = show.parts
    stack.callback(parts.snapshots.close)
    _at_the_end(stack, parts.recorder.close)
    if args.record:
        parts.recorder.start()
    specs = list(args.output)
    if args.virtual_camera is not None:
        specs.append(f"virtualcam:{args.virtual_camera}" if args.virtual_camera else "virtualcam")
    output_threads = []
    for spec in specs:
        live = spec.startswith(("-", "pipe:", "virtualcam"))
        output_thread = OutputThread(
            spec,
            lambda spec=spec: _open_sink(spec, args, size, parts.info, parts.target_fps),
            behind=1 if live else BEHIND,
        )
        _at_the_end(stack, output_thread.close)
        output_threads.append(output_thread)
    for output_thread in output_threads:
        output_thread.wait_open()
    parts.output_threads = output_threads
    if args.serve:
        from .web.preview import Preview

        parts.preview = stack.enter_context(Preview(args.serve, show.actions, args.token))
        cli.say(f"open {parts.preview.url} in a browser", quiet=args.quiet)
    if not args.headless:
        from ..sinks.window import WindowSink

        parts.window = stack.enter_context(
            WindowSink("window:Impasto", parts.info, fullscreen=args.fullscreen)
        )


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
