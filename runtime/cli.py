"""What all commands share: flags, exit codes, progress, and how a size or a model is written.

A command is a module with `build_parser()`, `run(args) -> int` and
`main = command_main(build_parser, run)`. The first line of its docstring shows how it is called.
"""

import argparse
import atexit
import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TextIO

from . import engines, missing, plugins
from .console import Progress as Progress
from .console import printable
from .errors import DONE, FAILED, INTERRUPTED, UNAVAILABLE, StyleError, UsageError
from .fields import is_whole
from .invocation import VERSION, as_typed, command

if TYPE_CHECKING:
    from .provenance.signing import Signer

# Set by --debug, and by tests: unexpected errors keep their traceback, in other processes as well.
DEBUG = "IMPASTO_DEBUG"
# What commands paint with where no model is named.
DEFAULT_MODEL = "starry"
# Of a size that is asked for: OpenCV's pictures have no more.
MAX_SIDE, MAX_AREA = 2**20, 2**30


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps our line breaks; asks the terminal for its width without `shutil`, which every flag
    would otherwise make argparse import, 2 ms before the first frame."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size().columns
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=max(20, columns - 2))


class _Debug(argparse.Action):
    """A flag that nobody reads: it is for the errors of the whole process."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, *_: object) -> None:
        os.environ[DEBUG] = "1"


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action=_Debug, help="show the traceback of unexpected errors")


class _Printing(argparse.ArgumentParser):
    """Says what is wrong in characters that are safe to print."""

    def error(self, message: str) -> NoReturn:
        """As ever; what was typed may have been pasted."""
        super().error(printable(message))


class Parser(_Printing):
    """Takes paths before, between and after flags: `photo.jpg --model starry painted.png`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # argparse takes what begins with "-" for a flag, unless it looks like a number; a range of
        # values such as -1..1 is none of its numbers.
        self._negative_number_matcher = re.compile(r"^-\d+(\.\.\d+|\.\d*)?$|^-\.\d+$")
        _add_debug(self)

    def parse_args(  # pyright: ignore[reportIncompatibleMethodOverride] it has no overloads
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As ever, but positional arguments may stand anywhere."""
        return self.parse_intermixed_args(args, namespace or argparse.Namespace())


def new_parser(module: str, text: str | None) -> argparse.ArgumentParser:
    """The parser of a command of the runtime: named as the person typed it, with `--version`.

    Args:
        module: name of the command's module: "image".
        text: its docstring, in whose examples the name is put right.
    """
    parser = Parser(
        prog=command(module), description=as_typed(text or ""), formatter_class=HelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"impasto {VERSION}")
    return parser


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of image, video and webcam: model, engine, device, and how to report."""
    parser.add_argument(
        "--model",
        action="append",
        metavar="FILE[:WEIGHT]",
        help="model file or name; repeat with weights to mix (a.onnx:0.6 b.onnx:0.4; default: "
        f"{DEFAULT_MODEL})",
    )
    known = ["auto", "fastest", *plugins.names(engines)]
    parser.add_argument(
        "--engine",
        choices=known,
        default="auto",
        help="auto goes by the file's suffix; fastest measures all that read it, once, and keeps "
        "what came of it (default: auto)",
    )
    parser.add_argument(
        "--device",
        choices=_declared("devices", "auto"),
        default="auto",
        help="auto takes a GPU if one really works; cuda fails if it does not (default: auto)",
    )
    parser.add_argument(
        "--precision-hint",
        choices=_declared("hints"),
        help="let the engine compute faster and less exactly, if it can (default: exact)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    add_provenance_flag(parser)
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    parser.add_argument("--verbose", "-v", action="store_true", help="say more on stderr")


def add_scene_noise_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Input noise of clips and cameras, off unless asked for: `args.noise`."""
    parser.add_argument(
        "--noise",
        type=parse_fraction,
        default=0.0,
        metavar="0..1",
        help="soft input noise where the picture is flat, from which strokes grow in skies and "
        "walls; it follows the camera. 0.15 is good (default: 0)",
    )


def add_provenance_flag(parser: argparse.ArgumentParser) -> None:
    """Outputs say what made them, unless they are told not to: `args.provenance`."""
    parser.add_argument(
        "--no-provenance",
        dest="provenance",
        action="store_false",
        help="do not say in the output that a model made it, and which (default: XMP and tags do)",
    )


def add_signing_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of commands whose files may be signed, beside --no-provenance."""
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="PEM",
        help="sign what the output says of itself (C2PA) with this certificate and those that "
        "vouch for it; needs c2pa-python",
    )
    parser.add_argument(
        "--sign-key", type=Path, metavar="PEM", help="its key, where that is another file"
    )


def signer_of(args: argparse.Namespace) -> "Signer | None":
    """What the flags of `add_signing_flags` say.

    Raises:
        UsageError: a key without a certificate, or nothing to sign; see `Signer`.
        EngineUnavailable: see `Signer`.
    """
    if args.sign is None:
        if args.sign_key is not None:
            raise UsageError("--sign-key needs --sign, the certificate that it is for")
        return None
    if not args.provenance:
        raise UsageError("--sign signs what --no-provenance leaves out; give one of them")
    from .provenance.signing import Signer

    return Signer(args.sign, args.sign_key)


def add_path_flags(parser: argparse.ArgumentParser, inputs: str, output: str) -> None:
    """What to read and what to write, by position (`a.jpg b.png`) or as --input and --output.

    Args:
        parser: of image or video.
        inputs: help text of --input.
        output: help text of --output.
    """
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="INPUT ... OUTPUT",
        help="what to paint and where to, as an alternative to the next two flags; with --output, "
        "or if there is but one, all of them are inputs",
    )
    parser.add_argument("--input", "-i", nargs="+", metavar="FILE", help=inputs)
    parser.add_argument("--output", "-o", metavar="FILE", help=output)


def add_server_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The flags of every server: token and certificate."""
    parser.add_argument(
        "--token",
        metavar="WORD",
        help="password of the page (made up for addresses beyond this machine if not given)",
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="PEM", help="serve https with this certificate"
    )
    parser.add_argument(
        "--tls-key", type=Path, metavar="PEM", help="its key, where that is another file"
    )


def tls_of(certificate: Path | None, key: Path | None) -> tuple[Path, Path | None] | None:
    """What the flags --tls-cert and --tls-key say.

    Raises:
        UsageError: a key without a certificate.
    """
    if key is not None and certificate is None:
        raise UsageError("--tls-key needs --tls-cert, the certificate that it is for")
    return None if certificate is None else (certificate, key)


def take_paths(args: argparse.Namespace) -> None:
    """Turn positional paths into `args.input` and `args.output`.

    Raises:
        UsageError: nothing to read, inputs given in both ways, or several inputs and an output
            that is a file.
    """
    paths, args.paths = args.paths, []
    if args.input and paths:
        raise UsageError(f'inputs stand after --input or without it, not both ("{paths[0]}")')
    if not args.input and not paths:
        raise UsageError("nothing to paint: name an input, and an output after it if you like")
    if paths and args.output is None and len(paths) > 1:
        args.output = paths.pop()
        # A pattern that the shell expanded would name one of the inputs here.
        if len(paths) > 1 and Path(args.output).is_file():
            raise UsageError(
                f'"{args.output}" is a file, and several inputs need a folder as the last word; '
                "or give --output FOLDER"
            )
    args.input = args.input or paths


def _declared(key: str, *first: str) -> list[str]:
    """What any engine declares under this key, each word once."""
    declared = plugins.constants(engines, key).values()
    return list(dict.fromkeys([*first, *(word for words in declared for word in words)]))


def command_parser(text: str | None) -> argparse.ArgumentParser:
    """A parser of a command that its module's docstring describes; the docstring's first line
    begins with the command: "python -m benchmarks.latency --models ..."."""
    words = (text or "").split()
    parser = _Printing(prog=" ".join(words[:3]), description=text, formatter_class=HelpFormatter)
    _add_debug(parser)
    return parser


class Main(Protocol):
    """The entry point of a command."""

    def __call__(self, argv: list[str] | None = None) -> int:
        """Run it with these words, or with those of the command line; the exit code."""
        ...


def command_main(
    build_parser: Callable[[], argparse.ArgumentParser],
    run: Callable[[argparse.Namespace], int],
) -> Main:
    """A command's `main`: takes the words after the command (None: those of the command line),
    returns the exit code."""

    def begin(argv: list[str] | None) -> int:
        args = build_parser().parse_args(argv)
        with missing.raising_at_interrupt():
            return run(args)

    def main(argv: list[str] | None = None) -> int:
        return run_command(lambda: begin(argv))

    return main


def run_command(main: Callable[[], int]) -> int:
    """Run a command; turn errors made for people, and libraries that are not there, into one line
    and the right exit code."""
    _open_standard_streams()
    code = _exit_code(lambda: _interruptible(main))
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    left = missing.was_interrupted() or all(thread.daemon for thread in others)
    if missing.is_command() and ((others and left) or code == INTERRUPTED):
        # Some have not come back, from a model or a camera: Python would end them in the middle of
        # their libraries, which then abort the process. After an interrupt it might wait for
        # ever for one of a library's own, which waits for an import that was broken off. And a
        # second interrupt, while Python clears up, would end it by a signal.
        atexit._run_exitfuncs()  # folders for temporary files are removed
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def _interruptible(main: Callable[[], int]) -> int:
    """An interrupt stays one: a library in the middle of an import turns it into an ImportError,
    for which the command may have failed."""
    try:
        code = main()
    except Exception:
        if missing.was_interrupted():
            raise KeyboardInterrupt from None
        raise
    if missing.was_interrupted() and code not in (DONE, INTERRUPTED):
        raise KeyboardInterrupt
    return code


def _exit_code(main: Callable[[], int]) -> int:
    try:
        return main()
    except StyleError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout went away (`| head`): nothing left to say, and nowhere.
        _close_stdout()
        return FAILED
    except OSError as error:
        # The last resort: what reads and writes has better words of its own.
        place = f' "{error.filename}"' if error.filename is not None else ""
        say(f"error: {error.strerror or error}{place}")
        return FAILED
    except MemoryError:
        say("error: not enough memory; use --size or --tile auto")
        return FAILED
    except Exception as error:
        advice = missing.advice(error) if isinstance(error, ImportError) else None
        if advice is not None:
            say(f"error: {advice}")
            return UNAVAILABLE
        if os.environ.get(DEBUG):
            raise
        say(f"error: {type(error).__name__}: {error}; {_reported(error)}")
        return FAILED


def _open_standard_streams() -> None:
    """Standard streams that were closed lead nowhere. Otherwise the first file that is opened, a
    picture of the user's perhaps, gets the number that libraries write their warnings to."""
    try:
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
    except OSError:
        return  # no more files: what comes next will say so
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] Python's, for closed ones
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def ending_signals() -> list[int]:
    """Signals that ask a command to end: that of `kill`, and that of a terminal that goes away,
    unless the user wants it ignored (nohup)."""
    import signal

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [int(getattr(signal, name)) for name in names]
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def _reported(error: Exception) -> str:
    """Keep the traceback of a fault of ours, and say where."""
    import tempfile
    import traceback

    text = "".join([f"{' '.join(sys.argv)}\n", *traceback.format_exception(error)])
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace",
            prefix="impasto-error-", suffix=".txt", delete=False,
        ) as file:  # fmt: skip
            file.write(text)
    except OSError:
        return "that is a fault of ours (--debug shows where)"
    return f'that is a fault of ours: please report it with "{file.name}" (--debug shows it here)'


def _close_stdout() -> None:
    """Nobody reads it, or it is full: what Python still holds back goes nowhere, silently."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(data: Mapping[str, object], stream: TextIO | None = None) -> None:
    """One JSON object, on one line of stdout or of this stream.

    Raises:
        StyleError: standard output cannot take it (a full disk).
    """
    # JSON leaves one control character as it is.
    _write_out(json.dumps(data).replace("\x7f", "\\u007f"), stream or sys.stdout)


def _write_out(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _close_stdout()
        raise StyleError(f"cannot write to standard output: {error.strerror}") from None


def print_text(text: object) -> None:
    """Lines on stdout, a path perhaps, in characters that are safe to print.

    Raises:
        StyleError: standard output cannot take it (a full disk).
    """
    _write_out(printable(str(text), lines=True), sys.stdout)


def say(text: str, *, quiet: bool = False) -> None:
    """One line of human text on stderr, whatever characters it brings along; silently nothing where
    stderr is closed or full."""
    if not quiet and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(printable(text), file=sys.stderr, flush=True)


def parse_size(text: str) -> tuple[int, int]:
    """Read "1280x720" as (width, height); usable as an argparse type."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if match is None or not all(is_whole(part) and int(part) for part in match.groups()):
        raise argparse.ArgumentTypeError(f'size "{text}" is not WIDTHxHEIGHT, for example 1280x720')
    width, height = int(match[1]), int(match[2])
    if max(width, height) > MAX_SIDE or width * height > MAX_AREA:
        raise argparse.ArgumentTypeError(
            f'size "{text}" is more than {MAX_SIDE} px on a side, or 2^30 px in all'
        )
    return width, height


def parse_fraction(text: str) -> float:
    """A number in 0..1; usable as an argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number from 0 to 1')
    return value


def parse_models(text: str) -> tuple[str, float]:
    """Read "a.onnx:0.6" as ("a.onnx", 0.6); without a weight 1.0. A drive letter is no weight."""
    name, colon, tail = text.rpartition(":")
    try:
        weight = float(tail) if colon else 1.0
    except ValueError:
        return text, 1.0
    if not colon:
        return text, 1.0
    if not name or not 0.0 < weight < float("inf"):
        raise UsageError(f'model "{text}": the weight must be a number above 0, as in a.onnx:0.6')
    return name, weight
