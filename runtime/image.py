"""python -m runtime.image --model starry.onnx --input photo.jpg --output painted.png

Paint pictures: files, folders and patterns ("photos/*.jpg"). Orientation is applied, alpha,
16 bits, color profiles, metadata and animations are kept.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from . import cli
from .errors import DONE
from .meter import Meter


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from .look import add_look_flags

    parser = argparse.ArgumentParser(
        prog="python -m runtime.image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_common_flags(parser)
    parser.add_argument("--input", required=True, metavar="FILE", help="picture")
    parser.add_argument("--output", required=True, metavar="FILE", help="result")
    add_look_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Paint one file."""
    from . import picture_files
    from .look import open_look
    from .pictures import Album
    from .stills import paint

    output = cli.check_output(Path(args.output), overwrite=args.overwrite)
    picture_files.format_of(output)
    meter, start = Meter(), time.perf_counter()
    with open_look(args) as look, Album(Path(args.input)) as album:
        painted = [paint(picture, look, meter) for picture in album]
        picture_files.write(output, painted, loop=album.loop, animated=album.num_frames > 1)
        seconds = time.perf_counter() - start
        height, width = painted[0].size
        result: dict[str, Any] = {
            "frames_in": album.num_frames,
            "frames_out": len(painted),
            "width": width,
            "height": height,
            "fps": round(len(painted) / seconds, 3),
            "stages_ms": meter.summary()["stages_ms"],
            "engine": look.engine,
            "device": look.device,
            "model": look.label,
            "model_sha256": look.digest,
        }
    if args.json:
        cli.print_json(result)
    cli.say(f"{output}  {width}x{height}  {seconds:.2f} s", quiet=args.quiet)
    return DONE


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    return cli.run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
