"""python -m benchmarks.hero --model starry.onnx --input clip.mp4 --output docs/images/hero.webp

The moving picture of the README: a clip beside what a model makes of it, as an animated WebP. The
styled half is what `runtime.video` shows with its usual stabilizer; nothing is retouched. Give
--start and --seconds to choose a part, --width for the size of each half, --fps for the rate.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from runtime.cli import command_main, command_parser, parse_fraction, print_text
from runtime.errors import DONE, SourceError
from runtime.frame import Frame, Image
from runtime.outputs import check_output

GAP = 4  # px of white between the halves
QUALITY = 72  # of WebP, 0..100: strokes stay crisp and ten seconds of 320 px stay under 3 MB


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, help="model file or name")
    add("--input", required=True, type=Path, help="the clip")
    add("--output", required=True, type=Path, help=".webp to write")
    add("--start", type=Fraction, default=Fraction(0), help="seconds to skip (default: 0)")
    add("--seconds", type=Fraction, default=Fraction(4), help="length (default: 4)")
    add("--width", type=int, default=400, help="px of each half (default: 400)")
    add("--fps", type=Fraction, default=Fraction(15), help="frames per second (default: 15)")
    add("--stability", type=parse_fraction, default=1.0, help="of the stabilizer (default: 1)")
    add("--overwrite", action="store_true", help="replace an existing file")
    return parser


def thin_out(frames: list[Frame], start: Fraction, seconds: Fraction, fps: Fraction) -> list[int]:
    """Positions of the frames shown at `start`, `start + 1/fps`, ...; each frame at most once.

    Args:
        frames: in order of time.
        start: first time, in seconds.
        seconds: how long.
        fps: rate of the result in frames per second.
    """
    times = [frame.time for frame in frames]
    wanted = [start + n / fps for n in range(int(seconds * fps))]
    shown = [max((n for n, time in enumerate(times) if time <= at), default=0) for at in wanted]
    return [n for n in dict.fromkeys(shown) if times[n] >= start]


def beside(left: Image, right: Image, width: int) -> Image:
    """Two pictures of one size side by side, each scaled to `width`, with a white gap."""
    height = round(left.shape[0] * width / left.shape[1])
    halves = [
        cv2.resize(half, (width, height), interpolation=cv2.INTER_AREA) for half in (left, right)
    ]
    return np.hstack([halves[0], np.full((height, GAP, 3), 255, np.uint8), halves[1]])


def read_part(path: Path, start: Fraction, seconds: Fraction) -> list[Frame]:
    """The frames of a clip that are shown from `start` on for `seconds`."""
    from runtime.sources import open_source

    with open_source(path) as source:
        return [frame for frame in source if start <= frame.time < start + seconds]


def paint(frames: list[Frame], model: str, stability: float) -> list[Frame]:
    """The same frames, painted and stabilized as the video command does it."""
    from runtime import plugins, stabilizers
    from runtime.model.session import open_session

    stabilizer = plugins.load(stabilizers, "best")(stability)
    with open_session(model) as session:
        return list(stabilizers.process(stabilizer, frames, session.stylize, on_cut=session.reset))


def run(args: argparse.Namespace) -> int:
    """Paint the clip and write the animation."""
    check_output(args.output, overwrite=args.overwrite)
    from PIL import Image as Pillow

    frames = read_part(args.input, args.start, args.seconds)
    if not frames:
        raise SourceError(f'"{args.input}" has no frame after {float(args.start):g} s')
    styled = paint(frames, args.model, args.stability)
    pictures = [
        Pillow.fromarray(beside(frames[n].image, styled[n].image, args.width))
        for n in thin_out(frames, args.start, args.seconds, args.fps)
    ]
    partial = args.output.with_name(f".{args.output.stem}.partial{args.output.suffix}")
    pictures[0].save(
        partial,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / args.fps),
        loop=0,
        quality=QUALITY,
        method=4,  # of 0..6: the last two take four times as long for a few percent
    )
    partial.replace(args.output)
    print_text(args.output)
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
