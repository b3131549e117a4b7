"""python -m runtime.video --model starry.onnx --input clip.mp4 --output painted.mp4

Paint clips: files, folders, picture sequences and pipes. Every frame keeps its time; sound,
subtitles, chapters and metadata are carried over; colors keep their meaning. Work is never lost:
Ctrl-C leaves a playable file, and --resume goes on where a run was stopped or killed.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import cli
from .console import MODES
from .errors import UsageError

if TYPE_CHECKING:
    from .clips.options import ClipOptions


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from .clips.flags import add_encoding_flags, add_painting_flags
    from .model.flags import add_server_flags, add_stylizer_flags
    from .regions.options import add_region_flags
    from .sources import SIZE_CHANGES
    from .stabilizers._views import LAYOUTS

    parser = cli.new_parser("video", __doc__)
    cli.add_common_flags(parser)
    cli.add_signing_flags(parser)
    cli.add_path_flags(
        parser,
        'clips, folders, pictures ("frames/*.png"), "-" for standard input, "synthetic"',
        ".mp4 .mov .mkv .webm .gif .webp .apng, a folder for several clips, frames/%%06d.png for "
        'pictures, "-" for standard output, "null" (default: beside the input)',
    )
    add_painting_flags(parser)
    parser.set_defaults(stabilizer=None)  # what comes steady from a server needs none
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="clips at once (default 1)"
    )
    parser.add_argument(
        "--progress",
        choices=MODES,
        default="auto",
        help="a bar on a terminal and lines in a log (auto), or one of them; json: one object a "
        "line on stderr",
    )
    parser.add_argument(
        "--recursive", "-r", action="store_true", help="folders with all folders in them"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue unfinished outputs, begin the others"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out clips whose output is finished"
    )
    parser.add_argument(
        "--recover",
        nargs="+",
        action=_Recover,
        metavar="FILE",
        help="put a recording together that was cut off (a kill, a power cut), and stop",
    )
    cli.add_scene_noise_flag(parser)
    parser.add_argument("--seed", type=int, default=0, help="which noise (default: 0)")
    parser.add_argument(
        "--views",
        choices=LAYOUTS,
        default="",
        help="frames hold the left and the right view of a scene (3-D clips): paint both alike",
    )
    parser.add_argument("--strict", action="store_true", help="refuse damaged input")
    parser.add_argument(
        "--verify", action="store_true", help="decode finished files; compare pictures and times"
    )
    part = parser.add_argument_group("a part of a clip")
    part.add_argument(
        "--start", type=_time, metavar="TIME", help="begin here, as 12.5 or 1:02:03.5"
    )
    part.add_argument("--end", type=_time, metavar="TIME", help="end here, on the clip's own clock")
    part.add_argument("--frames", type=int, metavar="N", help="at most so many frames (a preview)")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--stream", type=int, metavar="N", help="index of the video stream")
    reading.add_argument(
        "--hdr",
        choices=("tonemap", "refuse"),
        default="tonemap",
        help="what to do with high dynamic range (default: tonemap)",
    )
    reading.add_argument(
        "--decoder",
        default="software",
        metavar="NAME",
        help="software, hardware (if a device really works here), or a device such as cuda",
    )
    reading.add_argument(
        "--on-size-change",
        choices=SIZE_CHANGES,
        default="scale",
        help="where pictures change their size: scale them to the first, split into one file for "
        "each size, or fail (default: scale)",
    )
    reading.add_argument(
        "--deinterlace",
        choices=("auto", "off"),
        default="auto",
        help="auto makes whole pictures of interlaced ones (default: auto)",
    )
    reading.add_argument(
        "--rate",
        type=_rate,
        metavar="FPS",
        help="of picture sequences and bare streams (.h264), as 25 or 30000/1001",
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
    add_encoding_flags(writing.add_argument)
    writing.add_argument(
        "--pixel-format",
        metavar="NAME",
        help="as yuv444p or yuv420p10 (default: the codec's most played, alpha where it can be)",
    )
    writing.add_argument(
        "--pipe-format",
        choices=("rgb24", "bgr24", "yuv420p", "y4m"),
        default="rgb24",
        help="frames on standard output (default: rgb24)",
    )
    add_server_flags(parser)
    add_stylizer_flags(parser)
    add_region_flags(parser)
    return parser


class _Recover(argparse.Action):
    """Needs no model and no input: done as soon as it is read, as `--version` is."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, _: object, values: Any, __: str | None = None
    ) -> None:
        from .media.recovery import recover

        for name in values:
            result = recover(Path(name))
            cli.say(f"{name}: {result.frames} frames")
        parser.exit()


def run(args: argparse.Namespace) -> int:
    """Paint all clips with one model; one that fails in a batch is reported, the rest goes on."""
    from .clips.batch import left_to_do, plan
    from .clips.runner import paint_clips
    from .model.flags import stylize_options, tell
    from .model.options import open_stylizer
    from .regions.options import regions_of, take_models

    cli.take_paths(args)
    part, beside = take_models(args)
    style = stylize_options(args)
    regions = regions_of(part, beside, style)
    jobs = plan(args.input, args.output, style.name, recursive=args.recursive)
    # A run that was killed after its last step is complete: resuming it has nothing to do.
    skip = args.skip_existing or (args.resume and not args.overwrite)
    skipped = 0
    # Whether a clip that was split is whole is seen from its last part, not from the first.
    if not (args.resume and args.on_size_change == "split"):
        jobs, skipped = left_to_do(jobs, skip, args.overwrite)
    signer = cli.signer_of(args)
    if signer is not None:
        for job in jobs:
            signer.check(job.output, painted=style.strength > 0.0)
    if skipped:
        cli.say(f"{skipped} finished outputs left alone", quiet=args.quiet)
    with ExitStack() as stack:
        stylizers = [stack.enter_context(open_stylizer(style))]
        tell(stylizers[0], args)
        while len(stylizers) < min(args.jobs, len(jobs)):
            stylizers.append(stack.enter_context(open_stylizer(style)))
        stop = stack.enter_context(_signals())
        options = clip_options(args, steady=stylizers[0].steady)
        options = replace(options, regions=regions, signer=signer)
        result = paint_clips(
            jobs, stylizers, options, stop=stop, quiet=args.quiet, progress=args.progress
        )
        if args.json:
            # Standard output may carry the pictures; then the object goes where people look.
            stream = sys.stderr if args.output == "-" else sys.stdout
            cli.print_json(result.summary(stylizers[0], skipped), stream)
    return result.exit_code


def clip_options(args: argparse.Namespace, *, steady: bool = False) -> "ClipOptions":
    """What the flags of this command say about each clip.

    Args:
        args: of this command.
        steady: what paints has stabilized its pictures already.

    Raises:
        UsageError: it has, and a stabilizer was asked for.
    """
    from .clips.excerpt import Span
    from .clips.flags import STABILIZER
    from .clips.options import ClipOptions

    if steady and args.stabilizer not in (None, "off"):
        raise UsageError(
            f"--stabilizer {args.stabilizer}: {args.server_model} keeps strokes still by itself; "
            "leave the flag out, or take the server's model for pictures"
        )

    return ClipOptions(
        source={
            "stream": args.stream,
            "strict": args.strict,
            "hdr": args.hdr,
            "decoder": args.decoder,
            "deinterlace": args.deinterlace,
            "on_size_change": args.on_size_change,
            "raw": args.raw,
            "rate": args.rate,
            "allow_network": args.allow_network,
        },
        sink={
            "codec": args.codec,
            "quality": args.quality,
            "preset": args.preset,
            "encoder": args.encoder,
            "pixel_format": args.pixel_format,
            "pipe_format": args.pipe_format,
            "verify": args.verify,
        },
        span=Span(args.start or Fraction(0), args.end, args.frames),
        stabilizer=args.stabilizer or ("off" if steady else STABILIZER),
        stability=args.stability,
        noise=args.noise,
        seed=args.seed,
        views=args.views,
        size=args.size,
        overwrite=args.overwrite,
        resume=args.resume,
        provenance=args.provenance,
    )


@contextmanager
def _signals() -> Generator[threading.Event, None, None]:
    """An event that Ctrl-C and what else asks to end set; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = [signal.SIGINT, *cli.ending_signals()]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _time(text: str) -> Fraction:
    from .clips.excerpt import parse_time

    try:
        return parse_time(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no time, write seconds (12.5) or 1:02:03.5'
        ) from None


def _rate(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no frame rate, write 25 or 30000/1001')
    return value


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
