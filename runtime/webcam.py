"""python -m runtime.webcam --model starry.onnx

Paint a camera live, in a window, or in the browser where none can open; h shows the keys. Other
sources: --source clip.mp4 (looped), --source photos/, --source synthetic, --source rtsp://address.
Without a screen: --headless --frames 300, --serve 127.0.0.1:8080 (in the browser), --record
out.mp4, --virtual-camera, --output - (raw frames on stdout); several at once.
"""

import argparse
import contextlib
import signal
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import cli
from .errors import DONE, INTERRUPTED, EngineUnavailable, UsageError
from .fields import is_whole
from .invocation import command
from .keys import help_lines, parse_script
from .outputs import check_output

if TYPE_CHECKING:
    from .live.options import LiveOptions

# Rates a user may ask for; the upper end is that of the fastest ordinary cameras.
MIN_FPS, MAX_FPS = 1.0, 240.0
# Where the picture is shown if no window can open; port 0 is any free one.
PREVIEW = "127.0.0.1:0"


# Of an engine; more than any machine has processors.
MOST_THREADS = 4096


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from .model.flags import add_stylizer_flags
    from .regions.options import add_region_flags

    parser = cli.new_parser("webcam", __doc__)
    parser.epilog = "keys:\n  " + "\n  ".join(help_lines()).replace("%", "%%")
    cli.add_common_flags(parser)
    cli.add_signing_flags(parser)
    parser.add_argument("--threads", type=_threads, metavar="N", help="of the engine")
    source = parser.add_argument_group("source")
    source.add_argument(
        "--source",
        default="camera:0",
        metavar="SPEC",
        help="camera:N, a video, a folder of pictures, synthetic, rtsp:// or http:// "
        "(default: camera:0)",
    )
    source.add_argument(
        "--size", type=cli.parse_size, metavar="WxH", help="asked of the camera, and shown"
    )
    source.add_argument(
        "--allow-network",
        action="store_true",
        help="let --source and --output be addresses, and --osc listen to others",
    )
    source.add_argument("--once", action="store_true", help="stop at the end of a clip")
    _add_rate_flags(parser.add_argument_group("rate"))
    _add_output_flags(parser.add_argument_group("outputs"))
    _add_control_flags(parser.add_argument_group("controls at the start"))
    add_stylizer_flags(parser)
    add_region_flags(parser)
    return parser


def _add_rate_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target-fps",
        type=_target,
        metavar="N|off",
        help="rate to hold by choosing the working size (default: the source's); off keeps the "
        "source's size",
    )
    group.add_argument(
        "--working-size", type=cli.parse_size, metavar="WxH", help="fix the network's size instead"
    )
    group.add_argument(
        "--smallest",
        type=_count,
        metavar="PIXELS",
        help="shorter side of the smallest working size (default: 256)",
    )
    group.add_argument("--frames", type=_count, metavar="N", help="stop after N shown frames")
    group.add_argument("--seconds", type=_seconds, metavar="S", help="stop after S seconds")


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--headless", action="store_true", help="no window")
    group.add_argument(
        "--position",
        type=_position,
        metavar="X,Y",
        help="where the window opens, in pixels of the desktop: 1920,0 is a second screen",
    )
    group.add_argument(
        "--record", metavar="FILE", help="video file; the r key stops and starts again"
    )
    group.add_argument(
        "--virtual-camera",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="a camera for Zoom, Teams, OBS, browsers",
    )
    group.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="SPEC",
        help="further outputs: - (raw RGB on stdout), a video file, a folder for pictures",
    )
    group.add_argument("--pipe-format", default="rgb24", metavar="FORMAT", help="of --output -")
    group.add_argument(
        "--serve", metavar="HOST:PORT", help="a page with picture and controls: 127.0.0.1:8080"
    )
    cli.add_server_flags(group)
    group.add_argument(
        "--snapshots",
        default=".",
        metavar="DIR",
        help="where the c key saves, and the r key without --record (default: here)",
    )


def _add_control_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--stabilizer",
        choices=("live", "off"),
        default="live",
        help="warp the texture along the motion (default: live)",
    )
    group.add_argument(
        "--stability", type=cli.parse_fraction, default=1.0, metavar="0..1", help="default: 1"
    )
    cli.add_scene_noise_flag(group)
    for name, text in (
        ("split", "original left, styled right"),
        ("freeze", "hold the first picture"),
        ("fullscreen", "cover the screen"),
    ):
        group.add_argument(f"--{name}", action="store_true", help=text)
    group.add_argument(
        "--style-list", action="store_true", help="print the styles that the keys reach, and stop"
    )
    group.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="flip left and right, everywhere (default: a camera, on the screen alone)",
    )
    group.add_argument(
        "--fade",
        type=_duration,
        default=0.5,
        metavar="S",
        help="time in which a new style comes in; 0 is at once (default: 0.5)",
    )
    group.add_argument(
        "--rotate", type=_duration, default=0.0, metavar="S", help="next style after this time: 20s"
    )
    group.add_argument("--no-stats", action="store_true", help="no figures over the picture")
    group.add_argument(
        "--osc", metavar="HOST:PORT", help="listen for OSC messages: 9000 or 127.0.0.1:9000"
    )
    group.add_argument(
        "--midi", nargs="?", const="", metavar="DEVICE", help="listen to a MIDI desk"
    )
    group.add_argument(
        "--keys",
        default="",
        metavar="SCRIPT",
        help='keys pressed at given frames: "30:n 60:space 90:style-2 120:q"',
    )


def run(args: argparse.Namespace) -> int:
    """Show until the source ends or the user stops."""
    began = time.perf_counter()
    if args.style_list:
        return _list_styles(live_options(args))
    _check(args)
    options = live_options(args)
    from .live.report import report, summary
    from .live.setup import open_run

    interrupted = False
    # At the end of the block threads have stopped and files are finished.
    with contextlib.ExitStack() as stack, _terminate_as_interrupt():
        live = open_run(options, stack, began)
        try:
            live.show.run()
        except KeyboardInterrupt:
            interrupted = True
    result = report(live)
    if args.json:
        cli.print_json(result)
    cli.say(summary(result), quiet=args.quiet)
    return INTERRUPTED if interrupted else DONE


def _list_styles(options: "LiveOptions") -> int:
    """Print the styles that the keys will reach, and where one paints another's part."""
    from .live.setup import list_styles

    for number, entry in enumerate(list_styles(options), 1):
        grades = ", ".join(dict.fromkeys(variant.grade for variant in entry.variants))
        cli.print_text(f"{number:>3}  {entry.label:<28} {grades}".rstrip())
    return DONE


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot work together, before anything is opened."""
    if args.json and any(output in ("-", "pipe:", "pipe:1") for output in args.output):
        raise UsageError("--json and --output - both want standard output; use one of them")
    if args.working_size and args.target_fps:
        raise UsageError("--working-size fixes what --target-fps would choose; use one of them")
    if not args.headless:
        _show_somewhere(args)
    if args.record:
        check_output(Path(args.record), overwrite=args.overwrite)


def live_options(args: argparse.Namespace) -> "LiveOptions":
    """What the flags of this command say."""
    from .live.ladder import SMALLEST_PX
    from .live.options import LiveOptions
    from .model.flags import stylize_options
    from .regions.options import take_models

    region, beside = take_models(args)
    if beside:
        args.model.insert(1, beside)
    style = replace(stylize_options(args), threads=args.threads)
    names = [name for name, _ in style.models]
    return LiveOptions(
        style=style,
        mixed=names != args.model,  # weights were given
        region=region,
        beside=bool(beside),
        fade=args.fade,
        rotate=args.rotate,
        smallest=args.smallest or SMALLEST_PX,
        position=args.position,
        source=args.source,
        allow_network=args.allow_network,
        size=args.size,
        once=args.once,
        target_fps=args.target_fps,
        working_size=args.working_size,
        frames=args.frames,
        seconds=args.seconds,
        window=not args.headless,
        record=Path(args.record) if args.record else None,
        virtual_camera=args.virtual_camera,
        outputs=args.output,
        pipe_format=args.pipe_format,
        serve=args.serve,
        token=args.token,
        tls=cli.tls_of(args.tls_cert, args.tls_key),
        osc=args.osc,
        midi=args.midi,
        snapshots=Path(args.snapshots),
        overwrite=args.overwrite,
        provenance=args.provenance,
        signer=cli.signer_of(args),
        stabilizer=args.stabilizer,
        stability=args.stability,
        noise=args.noise,
        split=args.split,
        mirror=args.mirror,
        frozen=args.freeze,
        fullscreen=args.fullscreen,
        stats=not args.no_stats,
        script=parse_script(args.keys) if args.keys else (),
        quiet=args.quiet,
    )


def _show_somewhere(args: argparse.Namespace) -> None:
    """Where no window can open, the browser shows the picture: --serve instead of the window."""
    from .sinks.window import check_windows

    try:
        check_windows()
    except EngineUnavailable as error:
        reason = str(error).partition(";")[0]
        more = f"{command('doctor')} says how to get a window"
        cli.say(f"{reason}: the browser shows the picture instead; {more}", quiet=args.quiet)
        args.headless = True
        args.serve = args.serve or PREVIEW


@contextlib.contextmanager
def _terminate_as_interrupt() -> Generator[None, None, None]:
    """What asks to end ends like Ctrl-C: outputs are closed and playable."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in cli.ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _count(text: str) -> int:
    if not is_whole(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number above 0')
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds above 0')
    return value


def _threads(text: str) -> int:
    number = _count(text)
    if number > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text} is more than {MOST_THREADS}")
    return number


def _duration(text: str) -> float:
    """Read "20s", "0.5" or "2m" as seconds."""
    unit = {"s": 1.0, "m": 60.0}.get(text[-1:], 0.0)
    try:
        value = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is no time, write 20s, 0.5 or 2m')
    return value


def _position(text: str) -> tuple[int, int]:
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no place, write X,Y as in 1920,0') from None
    return x, y


def _target(text: str) -> float:
    if text == "off":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not MIN_FPS <= value <= MAX_FPS:
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a rate from {MIN_FPS:g} to {MAX_FPS:g}, or off'
        )
    return value


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
