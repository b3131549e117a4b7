"""python -m runtime.image --model starry.onnx --input photo.jpg --output painted.png

Paint pictures: files, folders and patterns ("photos/*.jpg"). Orientation is applied; alpha,
16 bits, color profiles, metadata and animations are kept. Pictures of any size are painted, in
tiles if memory demands it, with the same result.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from . import cli
from .card import JsonObject
from .errors import DONE, FAILED, StyleError, UsageError
from .fields import is_whole
from .meter import Meter
from .pictures.opening import MAX_PIXELS

# More than any machine has.
MOST_GB = 1e6

if TYPE_CHECKING:
    from .model.stylizer import Stylizer
    from .regions.options import Regions
    from .stills.files import PaintedFile
    from .stills.painter import StillPainter
    from .stills.parts import Parts


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from .model.flags import add_stylizer_flags
    from .regions.options import add_region_flags
    from .stills.views import LAYOUTS

    parser = cli.new_parser("image", __doc__)
    cli.add_common_flags(parser)
    cli.add_signing_flags(parser)
    cli.add_path_flags(
        parser,
        'pictures, folders, or patterns such as "photos/*.jpg"',
        "file for one picture, folder for several (default: beside the input, as photo-starry.jpg)",
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out pictures whose output is there"
    )
    parser.add_argument(
        "--size", type=cli.parse_size, metavar="WxH", help="fit into this box first"
    )
    parser.add_argument(
        "--quality",
        type=_quality,
        default=95,
        metavar="1..100",
        help="of JPEG, WebP and AVIF (default: 95)",
    )
    parser.add_argument(
        "--strip", action="store_true", help="leave out EXIF, place, texts; keep the color profile"
    )
    parser.add_argument(
        "--tile",
        default="auto",
        metavar="auto|off|PIXELS",
        help="paint in tiles, exactly as in one piece: when memory demands it, never, or with "
        "this side (default: auto)",
    )
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="GB",
        help="what painting may take (default: 60 %% of the free memory)",
    )
    parser.add_argument(
        "--max-pixels",
        type=_pixels,
        default=MAX_PIXELS,
        metavar="N",
        help="refuse larger pictures before decoding them (default: 2^30)",
    )
    parser.add_argument(
        "--noise",
        "--seeds",  # its former name
        type=cli.parse_fraction,
        metavar="0..1",
        help="soft input noise where the picture is flat, from which strokes grow in skies and "
        "walls (default: 0.15 for models that were trained with noise, else 0)",
    )
    parser.add_argument(
        "--views",
        choices=LAYOUTS,
        default="",
        help="pictures hold the left and the right view of a scene; or pairs: inputs are a left "
        "view and its right one in turn. Paint both alike",
    )
    parser.add_argument("--seed", type=int, default=0, help="which noise (default: 0)")
    add_stylizer_flags(parser)
    add_region_flags(parser)
    return parser


def _quality(text: str) -> int:
    if not is_whole(text) or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 1 to 100')
    return int(text)


def _pixels(text: str) -> int:
    if not is_whole(text) or not 0 < int(text) < 2**40:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of pixels above 0')
    return int(text)


def _gigabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < MOST_GB:
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a number of gigabytes above 0 and below {MOST_GB:g}'
        )
    return value


def run(args: argparse.Namespace) -> int:
    """Paint all inputs; a picture that fails in a batch is reported and the rest goes on."""
    from .model.flags import stylize_options, tell
    from .model.options import open_stylizer
    from .regions.options import regions_of, take_models
    from .stills.batch import plan
    from .stills.files import FileOptions, paint_file
    from .stills.views import Views

    cli.take_paths(args)
    views = Views(args.views) if args.views else None
    together = views.files if views is not None else 1
    if together > 1 and args.skip_existing:
        raise UsageError("--views pairs paints two files together: leave --skip-existing out")
    part, beside = take_models(args)
    style = stylize_options(args)
    jobs, skipped = plan(
        args.input,
        args.output,
        style.name,
        overwrite=args.overwrite,
        skip_existing=args.skip_existing,
        together=together,
    )
    scenes = [jobs[first : first + together] for first in range(0, len(jobs), together)]
    signer = cli.signer_of(args)
    if signer is not None:
        for _, target in jobs:
            signer.check(target, painted=style.strength > 0.0)
    meter, start = Meter(), time.perf_counter()
    totals: JsonObject = {"in": 0, "out": 0, "size": (0, 0), "outputs": [], "failed": 0}
    with ExitStack() as stack:
        stylizer = stack.enter_context(open_stylizer(style))
        tell(stylizer, args)
        painter = _painter(args, stylizer)
        painter.parts = _parts(args, regions_of(part, beside, style), stack)
        painter.views = views
        files = FileOptions(
            args.quality,
            args.strip,
            args.max_pixels,
            args.overwrite,
            args.provenance,
            signer,
        )
        with cli.Progress(len(jobs), "pictures", quiet=args.quiet or len(jobs) == 1) as progress:
            for scene in scenes:
                finished = 0
                try:
                    if views is not None:
                        sources = [source for source, _ in scene]
                        views.check(sources, args.max_pixels, scaled=args.size is not None)
                    for source, target in scene:
                        done = paint_file(source, target, painter, files, meter)
                        _count(totals, target, done, args.quiet)
                        finished += 1
                except StyleError as error:
                    if len(scenes) == 1:
                        raise
                    totals["failed"] += len(scene) - finished
                    cli.say(f"error: {error}")
                    if views is not None:
                        views.forget()
                progress.update(len(scene))
        seconds = time.perf_counter() - start
        height, width = totals["size"]
        result = {
            "frames_in": totals["in"],
            "frames_out": totals["out"],
            "width": width,
            "height": height,
            "fps": round(totals["out"] / seconds, 3),
            "stages_ms": meter.summary()["stages_ms"],
            "engine": stylizer.engine,
            "device": stylizer.device,
            "model": stylizer.label,
            "model_sha256": stylizer.digest,
            "outputs": totals["outputs"],
            "failed": totals["failed"],
            "skipped": skipped,
        }
    if args.json:
        cli.print_json(result)
    _report(result, seconds, args.quiet)
    return FAILED if totals["failed"] else DONE


def _painter(args: argparse.Namespace, stylizer: Stylizer) -> StillPainter:
    from .model.background import GIGABYTE
    from .stills.painter import Options, StillPainter, parse_tile

    options = Options(
        tile=parse_tile(args.tile),
        memory_bytes=int(args.memory * GIGABYTE) if args.memory else None,
        size=args.size,
        noise=args.noise,
        seed=args.seed,
        quiet=args.quiet,
    )
    return StillPainter(stylizer, options, lambda text: cli.say(text, quiet=args.quiet))


def _parts(args: argparse.Namespace, regions: Regions, stack: ExitStack) -> Parts | None:
    """Where the painting goes, and what paints the rest; None for everywhere."""
    if regions.region == "all":
        return None
    from .model.options import open_stylizer
    from .regions.matte import Matte
    from .regions.segmenter import Segmenter
    from .stills.parts import Parts

    segmenter = Segmenter()
    stack.callback(segmenter.close)
    other = regions.beside
    beside = _painter(args, stack.enter_context(open_stylizer(other))) if other else None
    return Parts(regions.region, Matte(segmenter, calm=False), beside)


def _count(totals: JsonObject, target: Path, done: PaintedFile, quiet: bool) -> None:
    totals["in"] += done.frames_in
    totals["out"] += done.frames_out
    totals["size"] = done.size
    totals["outputs"].append(str(target))
    for note in done.notes:
        cli.say(note, quiet=quiet)


def _report(result: JsonObject, seconds: float, quiet: bool) -> None:
    outputs = result["outputs"]
    if len(outputs) == 1:
        text = f"{outputs[0]}  {result['width']}x{result['height']}  {seconds:.2f} s"
    else:
        text = f"{len(outputs)} pictures  {seconds:.2f} s"
    for key in ("failed", "skipped"):
        if result[key]:
            text += f"  {result[key]} {key}"
    cli.say(text, quiet=quiet)


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
