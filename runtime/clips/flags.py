"""Flags that commands which paint clips share."""

import argparse
from collections.abc import Callable

from .. import cli, plugins, stabilizers
from ..media import encoders

# Files are read ahead, and what comes next is known.
STABILIZER = "best"


def add_painting_flags(parser: argparse.ArgumentParser) -> None:
    """What keeps strokes still, and the size of the pictures."""
    known = plugins.names(stabilizers)
    parser.add_argument(
        "--stabilizer",
        choices=known,
        default=STABILIZER,
        help="keeps strokes still: best works on whole shots, live frame by frame "
        f"(default: {STABILIZER})",
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


def add_encoding_flags(add: Callable[..., object]) -> None:
    """How clips are encoded.

    Args:
        add: `add_argument` of a parser or of a group of its flags.
    """
    add("--codec", choices=tuple(encoders.CODECS), help="default: h264; vp9 for .webm")
    add(
        "--quality",
        type=int,
        metavar="N",
        help="constant quality on the codec's own scale, lower is better (h264: 0..51, default 9)",
    )
    add(
        "--preset",
        choices=encoders.SPEEDS,
        help="effort of the encoder (default: superfast for h264, fast for others)",
    )
    add(
        "--encoder",
        default="software",
        metavar="NAME",
        help="software, hardware (if one really works here), or a name such as h264_nvenc",
    )
