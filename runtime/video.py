"""python -m runtime.video --model starry.onnx --input clip.mp4 --output painted.mp4

Paint clips: files, folders, picture sequences and pipes. Every frame keeps its time; sound,
subtitles, chapters and metadata are carried over; colors keep their meaning. Work is never lost:
Ctrl-C leaves a playable file, and --resume goes on where a run was stopped or killed.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import cli, plugins
from .errors import DONE, FAILED, INTERRUPTED, StyleError
from .meter import Meter


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from . import stabilizers
    from .media import encoders
    from .model.stylizer import add_stylizer_flags

    parser = cli.new_parser("video", __doc__)
    cli.add_common_flags(parser)
    cli.add_path_flags(
        parser,
        'clips, folders, pictures ("frames/*.png"), "-" for standard input, "synthetic"',
        ".mp4 .mov .mkv .webm .gif, a folder for several clips, frames/%%06d.png for "
        'pictures, "-" for standard output, "null" (default: beside the input)',
    )
    known = plugins.names(stabilizers)
    parser.add_argument(
        "--stabilizer",
        choices=known,
        default="best" if "best" in known else "off",
        help="keeps strokes still: best works on whole shots, live frame by frame "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--stability",
        type=cli.parse_fraction,
        default=1.0,
        metavar="0..1",
        help="0 shows the network's frames as they are, 1 is calmest (default: 1)",
    )
    parser.add_argument(
        "--size", type=cli.parse_size, metavar="WxH", help="fit the pictures into this box first"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="clips at once (default 1)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue unfinished outputs, begin the others"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out clips whose output is finished"
    )
    parser.add_argument("--strict", action="store_true", help="refuse damaged input")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--stream", type=int, metavar="N", help="index of the video stream")
    reading.add_argument(
        "--hdr",
        choices=("tonemap", "refuse"),
        default="tonemap",
        help="what to do with high dynamic range (default: tonemap)",
    )
    reading.add_argument(
        "--rate", type=_rate, metavar="FPS", help="of picture sequences, as 25 or 30000/1001"
    )
    reading.add_argument(
        "--allow-network",
        action="store_true",
        help="let --input be an address (https://, rtsp://, srt://)",
    )
    reading.add_argument(
        "--raw", metavar="WxH@FPS:FORMAT", help="what bare frames on standard input look like"
    )
    writing = parser.add_argument_group("writing")
    writing.add_argument(
        "--codec", choices=tuple(encoders.CODECS), help="default: h264; vp9 for .webm"
    )
    writing.add_argument(
        "--quality",
        type=int,
        metavar="N",
        help="constant quality on the codec's own scale, lower is better (h264: 0..51, default 10)",
    )
    writing.add_argument(
        "--preset",
        choices=encoders.SPEEDS,
        default=encoders.PRESET,
        help="effort of the encoder (default: %(default)s)",
    )
    writing.add_argument(
        "--encoder",
        default="software",
        metavar="NAME",
        help="software, hardware (if one really works here), or a name such as h264_nvenc",
    )
    writing.add_argument(
        "--pipe-format",
        choices=("rgb24", "bgr24", "yuv420p", "y4m"),
        default="rgb24",
        help="frames on standard output (default: rgb24)",
    )
    add_stylizer_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Paint all clips with one model; one that fails in a batch is reported, the rest goes on."""
    from .clips import batch as clip_batch
    from .clips import painter
    from .model.stylizer import open_stylizer

    cli.take_paths(args)
    style = "-".join(Path(cli.parse_models(text)[0]).stem for text in args.model)
    jobs = clip_batch.plan(args.input, args.output, style)
    # A run that was killed after its last step is complete: resuming it has nothing to do.
    skip = args.skip_existing or (args.resume and not args.overwrite)
    jobs, skipped = clip_batch.left_to_do(jobs, skip, args.overwrite)
    if skipped:
        cli.say(f"{skipped} finished outputs left alone", quiet=args.quiet)
    with open_stylizer(args) as stylizer, _signals() as stop:
        settings = _settings(args)
        settings = replace(settings, fingerprint=painter.fingerprint(stylizer, settings))
        batch = _Batch(args, stylizer, settings, stop, len(jobs))
        workers = min(args.jobs, len(jobs))
        if workers > 1 and any(port.role == "state" for port in stylizer.card.inputs):
            cli.say("this model remembers frames: one clip at a time", quiet=args.quiet)
            workers = 1
        start = time.perf_counter()
        if workers > 1:
            with (
                cli.Progress(len(jobs), "clips", quiet=args.quiet) as progress,
                ThreadPoolExecutor(workers) as pool,
            ):
                for _ in pool.map(batch.paint, jobs):
                    progress.update()
        else:
            for job in jobs:
                batch.paint(job)
        seconds = time.perf_counter() - start
        if args.json:
            # Standard output may carry the pictures; then the object goes where people look.
            stream = sys.stderr if args.output == "-" else sys.stdout
            with _redirected(stream):
                cli.print_json(batch.summary(stylizer, seconds, skipped))
    if batch.interrupted:
        return INTERRUPTED
    return FAILED if batch.failed else DONE


class _Batch:
    """Clips painted with one stylizer, one after the other or several at once."""

    def __init__(
        self,
        args: argparse.Namespace,
        stylizer: Any,
        settings: Any,
        stop: threading.Event,
        total: int,
    ) -> None:
        self.failed = 0
        self.interrupted = False
        self.outcomes: list[Any] = []
        self._args, self._settings, self._stop, self._total = args, settings, stop, total
        self._stylizer = _Shared(stylizer) if args.jobs > 1 and total > 1 else stylizer
        self._meter = Meter()
        self._lock = threading.Lock()

    def paint(self, job: Any) -> None:
        """Paint one clip; report what went wrong if it is one of several."""
        from .clips import painter

        if self._stop.is_set():
            self.interrupted = True
            return
        progress: list[cli.Progress] = []

        def begin(total: int | None) -> Callable[[], None]:
            progress.append(cli.Progress(total, quiet=self._args.quiet or self._args.jobs > 1))
            return progress[0].update

        try:
            outcome = painter.paint_clip(
                job, self._stylizer, self._settings, self._meter, stop=self._stop, begin=begin
            )
        except StyleError as error:
            if self._total == 1:
                raise
            with self._lock:
                self.failed += 1
            cli.say(f"error: {job.input}: {error}")
            return
        finally:
            for bar in progress:
                bar.close()
        with self._lock:
            self.outcomes.append(outcome)
            self.failed += outcome.failed
            self.interrupted |= outcome.interrupted
        self._tell(outcome)

    def _tell(self, outcome: Any) -> None:
        facts, quiet = outcome.facts, self._args.quiet
        prefix = f"{Path(outcome.job.input).name}: " if self._total > 1 else ""
        for note in outcome.notes:
            cli.say(f"{prefix}{note}", quiet=quiet)
        if outcome.interrupted:
            cli.say(
                f'{prefix}stopped after {facts["frames_out"]} frames; "{outcome.job.output}" plays '
                "up to there; the same command with --resume goes on"
                if facts["frames_out"]
                else f"{prefix}stopped before the first frame"
            )
            return
        cli.say(
            f"{outcome.job.output}  {facts['frames_out']} frames  "
            f"{facts['width']}x{facts['height']}  {facts['fps']:.1f} frames/s",
            quiet=quiet,
        )

    def summary(self, stylizer: Any, seconds: float, skipped: int) -> dict[str, Any]:
        """The object of `--json`: one clip's facts, or totals with a list of clips."""
        facts = [outcome.facts for outcome in self.outcomes]
        common = {
            "stages_ms": _stages(self._meter),
            "engine": stylizer.engine,
            "device": stylizer.device,
            "model": stylizer.label,
            "model_sha256": stylizer.digest,
        }
        if self._total == 1 and facts:
            return {**facts[0], **common}
        frames = sum(clip["frames_out"] - clip["resumed_frames"] for clip in facts)
        return {
            "frames_in": sum(clip["frames_in"] for clip in facts),
            "frames_out": sum(clip["frames_out"] for clip in facts),
            "width": facts[0]["width"] if facts else 0,
            "height": facts[0]["height"] if facts else 0,
            "fps": round(frames / seconds, 3) if seconds else 0.0,
            **common,
            "failed": self.failed,
            "skipped": skipped,
            "clips": facts,
        }


def _stages(meter: Meter) -> dict[str, Any]:
    """Stage times with all four stages present, as the contract of `--json` says."""
    stages = meter.summary()["stages_ms"]
    empty = {"p50": 0.0, "p95": 0.0, "p99": 0.0, "count": 0}
    return {name: stages.get(name, empty) for name in ("decode", "style", "stabilize", "encode")}


class _Shared:
    """A stylizer used by several clips at once: one picture at a time goes through the model."""

    def __init__(self, stylizer: Any) -> None:
        self._stylizer, self._lock = stylizer, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stylizer, name)

    def stylize(self, image: Any, **conditions: Any) -> Any:
        with self._lock:
            return self._stylizer.stylize(image, **conditions)


def _settings(args: argparse.Namespace) -> Any:
    from .clips.painter import Settings

    return Settings(
        source={
            "stream": args.stream,
            "strict": args.strict,
            "hdr": args.hdr,
            "raw": args.raw,
            "rate": args.rate,
            "allow_network": args.allow_network,
        },
        sink={
            "codec": args.codec,
            "quality": args.quality,
            "preset": args.preset,
            "encoder": args.encoder,
            "pipe_format": args.pipe_format,
        },
        stabilizer=args.stabilizer,
        stability=args.stability,
        box=args.size,
        overwrite=args.overwrite,
        resume=args.resume,
    )


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def handle(number: int, _: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _redirected(stream: Any) -> Iterator[None]:
    before, sys.stdout = sys.stdout, stream
    try:
        yield
    finally:
        sys.stdout = before


def _rate(text: str) -> Any:
    from fractions import Fraction

    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no frame rate, write 25 or 30000/1001')
    return value


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    return cli.run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
