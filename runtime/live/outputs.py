"""The outputs of a live run: recording, window, browser page, virtual camera, files and pipes."""

import contextlib
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from .. import cli
from ..errors import StyleError
from ..meter import Meter
from ..provenance import Provenance, provenance_of
from ..sinks import Sink, SinkOptions, open_sink
from ..sources import SourceInfo
from .options import LiveOptions
from .output_threads import BEHIND, OutputThread
from .recorder import Recorder, live_clip
from .snapshots import Snapshots
from .styles import Styles

if TYPE_CHECKING:
    from ..sinks.window import WindowSink
    from .web.preview import Preview

# Written into files when no rate is to be held.
DEFAULT_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the shown frames go.

    Attributes:
        recorder, snapshots: for their keys.
        threads: files, pipes and virtual cameras.
        window: None without one.
        preview: the browser page, None without one.
    """

    recorder: Recorder
    snapshots: Snapshots
    threads: Sequence[OutputThread] = ()
    window: "WindowSink | None" = None
    preview: "Preview | None" = None


def open_outputs(
    options: LiveOptions,
    size: tuple[int, int],
    info: SourceInfo,
    target_fps: float,
    meter: Meter,
    actions: "queue.SimpleQueue[str]",
    styles: Styles,
    stack: contextlib.ExitStack,
) -> Outputs:
    """Open all outputs that were asked for.

    Args:
        options: what was asked for.
        size: (width, height) of the shown picture.
        info: of the source.
        target_fps: 0 for none.
        meter: gets the times of encoding.
        actions: where the page's commands go.
        styles: which the page shows and paints with.
        stack: gets what must be closed.

    Raises:
        StyleError: one of them cannot be opened.
    """
    rate = Fraction(target_fps or DEFAULT_FPS).limit_denominator(1001)
    shown = replace(info, width=size[0], height=size[1], rate=rate, num_frames=None, live=True)
    if options.record and not options.overwrite:
        from ..media.recovery import recover_all

        for line in recover_all(options.record):
            cli.say(line, quiet=options.quiet)
    recorded = options.record or options.snapshots / "impasto-recording.mp4"
    if options.signer is not None:
        for name in [str(recorded), *(spec for spec in options.outputs if not _is_live(spec))]:
            options.signer.check(name)
    # Styles change while a recording runs; all that may be in it are named.
    named = [(label, "") for label in styles.labels]
    made = provenance_of(named) if options.provenance else None
    recorder = Recorder(
        recorded,
        lambda path: _open_sink(str(path), options, shown, made),
        lambda milliseconds: meter.add("encode", milliseconds),
    )
    snapshots = Snapshots(options.snapshots, provenance=options.provenance, signer=options.signer)
    _at_the_end(stack, snapshots.close)
    _at_the_end(stack, recorder.close)
    if options.record:
        recorder.start(replacing=options.overwrite)
    threads = _open_threads(options, shown, made, stack)
    preview = window = None
    if options.serve:
        from .web.page_painter import PagePainter
        from .web.preview import Preview

        painter = PagePainter(styles)
        preview = stack.enter_context(
            Preview(options.serve, actions, options.token, options.tls, painter)
        )
        cli.say(f"open {preview.url} in a browser", quiet=options.quiet)
    if options.window:
        from ..sinks.window import WindowSink

        window = stack.enter_context(
            WindowSink(
                *("window:Impasto", info),
                fullscreen=options.fullscreen,
                position=options.position,
            )
        )
    return Outputs(recorder, snapshots, threads, window, preview)


def _open_threads(
    options: LiveOptions,
    shown: SourceInfo,
    made: Provenance | None,
    stack: contextlib.ExitStack,
) -> list[OutputThread]:
    specs = list(options.outputs)
    if options.virtual_camera is not None:
        specs.append(":".join(["virtualcam", options.virtual_camera]).removesuffix(":"))
    threads: list[OutputThread] = []
    for spec in specs:
        thread = OutputThread(
            spec,
            lambda spec=spec: _open_sink(spec, options, shown, made),
            behind=1 if _is_live(spec) else BEHIND,
        )
        _at_the_end(stack, thread.close)
        threads.append(thread)
    for thread in threads:
        thread.wait_open()
    return threads


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


def _open_sink(spec: str, options: LiveOptions, shown: SourceInfo, made: Provenance | None) -> Sink:
    wishes: SinkOptions = {
        "provenance": made,
        "overwrite": options.overwrite,
        "pipe_format": options.pipe_format,
        "allow_network": options.allow_network,
    }
    if not _is_live(spec):
        # The fastest preset: 4.8 ms per 1280x720 frame on one core where "veryfast" takes 13.3.
        wishes |= {"clip": live_clip(), "preset": "ultrafast", "signer": options.signer}
    return open_sink(spec, shown, **wishes)


def _is_live(spec: str) -> bool:
    """Whether who receives the frames wants the newest rather than all."""
    return "://" in spec or spec.startswith(("-", "pipe:", "virtualcam", "ndi"))
