"""The flags of a stylizer, which image, video and webcam share, and the options they mean."""

import argparse
from pathlib import Path

from ..card import CardFacts
from ..cli import DEFAULT_MODEL, parse_fraction, parse_models, parse_size, say
from ..errors import UsageError
from . import loops
from .options import StylizeOptions
from .probe_graph import RANGES
from .stylizer import COLOR_MODES, Stylizer


def add_stylizer_flags(parser: argparse.ArgumentParser) -> None:
    """The effects' flags, and those that describe a model without a card."""
    group = parser.add_argument_group("style")
    group.add_argument(
        "--strength",
        type=parse_fraction,
        default=1.0,
        metavar="0..1",
        help="0 leaves the picture alone, 1 is the full style (default: 1)",
    )
    group.add_argument(
        "--keep-color",
        nargs="?",
        const="luminance",
        default="",
        choices=COLOR_MODES,
        help="keep the picture's own colors: luminance (the default) takes light and dark from "
        "the style, histogram moves the style's colors to the picture's",
    )
    group.add_argument("--mask", metavar="FILE", help="picture: style only where it is white")
    group.add_argument(
        "--style",
        action="append",
        metavar="FILE[:WEIGHT]",
        help="style picture, for models that take one, or the name of a style, for models that "
        "know several; repeat to mix, or write 3:0.5,12:0.5",
    )
    group.add_argument(
        "--style-encoder",
        metavar="FILE",
        help="model that turns a style picture into a code, for models that do not name theirs",
    )
    group.add_argument(
        "--variation",
        type=_whole,
        metavar="N",
        help="which answer, for models that have many: the same number is the same answer",
    )
    group.add_argument(
        "--parameter",
        "--knob",  # its former name
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="a model's own scalar input",
    )
    facts = parser.add_argument_group("models without an Impasto card (replaces what was probed)")
    facts.add_argument("--layout", choices=("NCHW", "NHWC"), help="order of axes")
    ranges = tuple(RANGES)
    facts.add_argument("--range", choices=ranges, help="of the values in and out")
    facts.add_argument("--input-range", choices=ranges, help="of the values in")
    facts.add_argument("--output-range", choices=ranges, help="of the values out")
    facts.add_argument(
        "--mean",
        type=_numbers,
        metavar="M or M,M,M",
        help="of the channels, taken off what is fed, in its range: 0.485,0.456,0.406 of ImageNet "
        "(0..1, red first), 103.94,116.78,123.68 of Caffe (0..255, blue first)",
    )
    facts.add_argument(
        "--std",
        type=_numbers,
        metavar="S or S,S,S",
        help="by which that is divided: 0.229,0.224,0.225 of ImageNet",
    )
    facts.add_argument("--output-name", metavar="NAME", help="output that is the painted picture")
    facts.add_argument("--colors", choices=("RGB", "BGR"), help="order of channels")
    facts.add_argument(
        "--fixed-size", metavar="WxH", type=parse_size, help="the only size the graph accepts"
    )
    facts.add_argument(
        "--probe-timeout",
        type=_seconds,
        default=loops.TIMEOUT_S,
        metavar="S",
        help="for a model to open (on a GPU: one without a card), and for a graph with loops, or "
        "without a card, to answer to a small picture (default: %(default)g)",
    )
    facts.add_argument("--multiple-of", type=int, metavar="N", help="sizes the graph accepts")


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """Painting on a server, in place of --model (`runtime.model.session.open_remote`)."""
    group = parser.add_argument_group("painting on a Triton server (in place of --model)")
    group.add_argument("--server", default="", metavar="grpc://HOST:PORT", help="its address")
    group.add_argument(
        "--server-model",
        metavar="NAME",
        help="model of the server; one that ends in _stream keeps strokes still by itself",
    )


def stylize_options(args: argparse.Namespace) -> StylizeOptions:
    """What the flags of `cli.add_common_flags` and `add_stylizer_flags` say.

    Raises:
        UsageError: a weight or a scalar is no number; a model here and one of a server.
    """
    return StylizeOptions(
        models=_models(args),
        server=getattr(args, "server", ""),
        engine=args.engine,
        device=args.device,
        precision_hint=args.precision_hint,
        strength=args.strength,
        keep_color=args.keep_color,
        mask=Path(args.mask) if args.mask else None,
        styles=[style for text in args.style or () for style in parse_styles(text)],
        style_encoder=args.style_encoder,
        scalars=dict(_scalar(text) for text in args.parameter),
        variation=args.variation,
        facts=_facts(args),
        probe_timeout=args.probe_timeout,
    )


def parse_styles(text: str) -> list[tuple[str, float]]:
    """Read "painting.jpg:0.7" as one style, "3:0.5,12:0.5" as two: names of styles have no suffix,
    and a comma in a file's name is a comma."""
    parts = [parse_models(part) for part in text.split(",") if part]
    if len(parts) > 1 and not any(Path(name).suffix for name, _ in parts):
        return parts
    return [parse_models(text)]


def tell(stylizer: Stylizer, args: argparse.Namespace) -> None:
    """What was found out when the stylizer was opened, on stderr."""
    for note in stylizer.notes:
        say(note, quiet=args.quiet)
    if args.verbose:
        say(f"{stylizer.label}: {stylizer.engine} on {stylizer.device}")


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 0')
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds above 0')
    return value


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 3) or not all(abs(value) < 1e6 for value in found):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number, or three with commas between')
    return found


def _models(args: argparse.Namespace) -> list[tuple[str, float]]:
    server: str = getattr(args, "server", "")
    name: str = getattr(args, "server_model", None) or ""
    if bool(server) != bool(name):
        raise UsageError("--server and --server-model belong together: give both, or --model")
    if server and args.model:
        raise UsageError("give --model, or --server and --server-model (and not both)")
    if server:
        return [(name, 1.0)]
    args.model = args.model or [DEFAULT_MODEL]
    return [parse_models(text) for text in args.model]


def _scalar(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f'--parameter "{text}" is not NAME=NUMBER') from None


def _facts(args: argparse.Namespace) -> CardFacts:
    facts = CardFacts()
    if args.layout is not None:
        facts["layout"] = args.layout
    if args.range is not None:
        facts["range"] = args.range
    if args.input_range is not None:
        facts["input_range"] = args.input_range
    if args.output_range is not None:
        facts["output_range"] = args.output_range
    if args.mean is not None:
        facts["mean"] = args.mean
    if args.std is not None:
        facts["std"] = args.std
    if args.output_name is not None:
        facts["output"] = args.output_name
    if args.colors is not None:
        facts["colors"] = args.colors
    if args.fixed_size is not None:
        width, height = args.fixed_size
        facts["size"] = (height, width)
    if args.multiple_of is not None:
        facts["multiple_of"] = args.multiple_of
    return facts
