"""python -m benchmarks.photoreal --pair photo.jpg:evening.jpg --photowct runs/a/last.safetensors

Photographs in the style of photographs, in three ways: WCT as published (Li et al. 2017), the
network "photowct" in one pass, and Deep Photo (Luan et al. 2017) by `training.optimize
--photorealistic`. Judged by how well edges stay (SSIM of gradients; 1 is the photo's own) and how
near colors come to the style's (distance of histograms; the photo itself is given beside).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.cli import command_main, command_parser, say
from runtime.errors import DONE, StyleError, UsageError
from runtime.outputs import check_output, replacing

from ..measuring import results
from ..measuring.command import add_result_flags, check_once, check_result_file, deliver

if TYPE_CHECKING:
    from torch import Tensor

MULTIPLE = 4  # sides of all pictures, which every network here takes
Way = Callable[["Tensor", "Tensor"], "Tensor"]


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--pair", action="append", required=True, metavar="PHOTO:STYLE", help="repeat for several")
    add("--photowct", type=Path, help="checkpoint of this network (default: it is left out)")
    add("--weights", type=Path, help="folder of the published encoders and decoders")
    add("--size", type=int, default=192, metavar="PX", help="short side of both (default: 192)")
    add("--evaluations", type=int, default=60, help="of Deep Photo; 0 for none (default: 60)")
    add("--pictures", type=Path, metavar="FOLDER", help="where the results go, to be looked at")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Recolor every pair in every way."""
    from PIL import Image

    from training.data.images import load_image, to_bytes
    from training.methods import cut_to_multiple

    from ..metrics.gradient_ssim import gradient_ssim
    from ..metrics.histogram_distance import histogram_distance

    path = check_result_file(args)
    pairs = _pairs(args)
    feed_forward = _ways(args)
    ways = ["nothing", *feed_forward, *(["Deep Photo"] if args.evaluations else [])]
    for pair in pairs if args.pictures else ():
        for way in ways:
            check_output(_picture(args.pictures, pair, way), overwrite=args.overwrite)
    rows: list[results.Row] = []
    for photo_file, style_file in pairs:
        photo, style = (
            cut_to_multiple(load_image(file, args.size), MULTIPLE)
            for file in (photo_file, style_file)
        )
        name = f"{photo_file.stem}:{style_file.stem}"
        made: dict[str, tuple[np.ndarray, float]] = {"nothing": (to_bytes(photo), 0.0)}
        for way, recolor in feed_forward.items():
            start = time.perf_counter()
            picture = to_bytes(recolor(photo, style))
            made[way] = (picture, time.perf_counter() - start)
        if args.evaluations:
            start = time.perf_counter()
            picture = _deep_photo(photo, style, args)
            made["Deep Photo"] = (picture, time.perf_counter() - start)
        for way, (picture, seconds) in made.items():
            metrics = {
                "gradient_ssim": gradient_ssim(picture, made["nothing"][0]),
                "histogram_distance": histogram_distance(picture, to_bytes(style)),
                "seconds": round(seconds, 3),
            }
            say(f"{name}, {way}: {metrics}", quiet=args.quiet)
            rows.append(results.row({"pair": name, "method": way}, metrics, ["pair", "method"]))
            if args.pictures:
                file = _picture(args.pictures, (photo_file, style_file), way)
                with replacing(file, overwrite=args.overwrite) as temporary:
                    Image.fromarray(picture).save(temporary, "PNG")
    settings = {"size_px": args.size, "evaluations": args.evaluations}
    deliver(args, path, results.document("photoreal", rows, settings))
    return DONE


def _pairs(args: argparse.Namespace) -> list[tuple[Path, Path]]:
    """The pairs, if all can be measured and have rows of their own.

    Raises:
        UsageError: no pair of files, one named as another is, or a number that is too small.
    """
    from training.optimize import SMALLEST

    if args.size < SMALLEST:
        raise UsageError(f"--size is {args.size}, it must be at least {SMALLEST}")
    if args.evaluations < 0:
        raise UsageError(f"--evaluations is {args.evaluations}, allowed are 0 (none) and more")
    pairs = [_pair(text) for text in args.pair]
    check_once("--pair", [f"{photo.stem}:{style.stem}" for photo, style in pairs])
    return pairs


def _picture(folder: Path, pair: tuple[Path, Path], way: str) -> Path:
    return folder / f"{pair[0].stem}_{pair[1].stem}_{way.replace(' ', '_')}.png"


def _pair(text: str) -> tuple[Path, Path]:
    photo, colon, style = text.partition(":")
    for name in (photo, style):
        if not colon or not Path(name).is_file():
            raise UsageError(f'--pair "{text}" is not PHOTO:STYLE, two picture files')
    return Path(photo), Path(style)


def _ways(args: argparse.Namespace) -> dict[str, Way]:
    """The networks that need one pass."""
    import torch

    from training import networks
    from training.checkpoint import load_checkpoint
    from training.networks import photowct, wct

    plain = networks.build("wct")
    assert isinstance(plain, wct.Generator)
    plain.load_pretrained(args.weights)
    found: dict[str, wct.Generator | photowct.Generator] = {"WCT": plain}
    if args.photowct is not None:
        generator = load_checkpoint(args.photowct).build_generator()
        if not isinstance(generator, photowct.Generator):
            raise UsageError(f'--photowct "{args.photowct}" holds another network')
        found["photowct"] = generator

    def recolor(generator: wct.Generator | photowct.Generator) -> Way:
        generator.eval()
        step = generator.multiple_of

        @torch.no_grad()
        def paint(photo: "Tensor", style: "Tensor") -> "Tensor":
            height, width = photo.shape[2:]
            codes = generator.encode(_padded(style, step))
            return generator(_padded(photo, step), *codes)[:, :, :height, :width].clamp(0, 1)

        return paint

    return {name: recolor(generator) for name, generator in found.items()}


def _padded(images: "Tensor", step: int) -> "Tensor":
    from torch.nn import functional as F

    height, width = images.shape[2:]
    return F.pad(images, (0, -width % step, 0, -height % step), mode="reflect")


def _deep_photo(photo: "Tensor", style: "Tensor", args: argparse.Namespace) -> np.ndarray:
    """As a user runs it."""
    from PIL import Image

    from runtime.pictures.reading import read_rgb
    from training import optimize
    from training.data.images import to_bytes

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.png" for name in ("photo", "style", "result")]
        for file, picture in zip(files[:2], (photo, style), strict=True):
            Image.fromarray(to_bytes(picture)).save(file)
        sides = [str(min(picture.shape[2:])) for picture in (photo, style)]
        words = ["--content", str(files[0]), "--style", str(files[1]), "--output", str(files[2])]
        words += ["--size", sides[0], "--style-size", sides[1], "--device", "cpu", "--quiet"]
        words += ["--evaluations", str(args.evaluations), "--photorealistic"]
        words += ["--weights", str(args.weights)] if args.weights else []
        if optimize.main(words) != DONE:
            raise StyleError("Deep Photo failed; the line above says why")
        return read_rgb(files[2])


main = command_main(build_parser, run)


if __name__ == "__main__":
    sys.exit(main())
