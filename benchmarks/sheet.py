"""python -m benchmarks.sheet --model starry.onnx --style painting.jpg --output models/styles.jpg

A contact sheet for people: photographs, and for every --model its painting and what it makes of
them, without and with input noise. Without --photos it takes photographs that scikit-image
bundles. --model and --style may be given several times, in the same order.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from runtime.cli import command_main, command_parser, parse_fraction, print_text
from runtime.errors import DONE, UsageError
from runtime.frame import Image
from runtime.outputs import check_output

HEIGHT = 300  # px of every picture on the sheet
GAP = 8
BUNDLED = ("coffee", "astronaut", "chelsea")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", action="append", required=True, help="may be repeated")
    add("--style", action="append", type=Path, default=[], help="the painting of each --model")
    parser.add_argument("--photos", type=Path, nargs="+", help="default: bundled photographs")
    parser.add_argument("--output", type=Path, required=True, help="picture to write")
    parser.add_argument(
        "--noise", "--seeds", type=parse_fraction, default=0.15, help="input noise; default 0.15"
    )
    parser.add_argument("--overwrite", action="store_true")
    return parser


def load_photos(paths: list[Path] | None) -> list[Image]:
    """The given photographs, or scikit-image's, as (H, W, 3) uint8 RGB."""
    if paths:
        from runtime.pictures.reading import read_rgb

        return [read_rgb(path) for path in paths]
    from export.verify.photos import bundled

    return bundled(BUNDLED)


def fit_height(image: Image, height: int = HEIGHT) -> Image:
    """Resize to `height`, keeping the shape."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrinks = height < image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def lay_out(rows: list[list[Image]], gap: int = GAP) -> Image:
    """Rows of pictures of one height, centered, on white."""
    widths = [sum(image.shape[1] + gap for image in row) + gap for row in rows]
    lines = []
    for row, width in zip(rows, widths, strict=True):
        line = np.full((row[0].shape[0] + gap, max(widths), 3), 255, np.uint8)
        left = gap + (max(widths) - width) // 2
        for image in row:
            line[:-gap, left : left + image.shape[1]] = image
            left += image.shape[1] + gap
        lines.append(line)
    top = np.full((gap, max(widths), 3), 255, np.uint8)
    return np.concatenate([top, *lines])


def run(args: argparse.Namespace) -> int:
    """Style the photographs and write the sheet."""
    check_output(args.output, overwrite=args.overwrite)
    from runtime.input_noise.still import flat_noise
    from runtime.model.session import open_session
    from runtime.pictures.reading import read_rgb

    if args.style and len(args.style) != len(args.model):
        raise UsageError(
            f"{len(args.style)} --style for {len(args.model)} --model: give one for each, or none"
        )
    photos = load_photos(args.photos)
    rows = [[fit_height(image) for image in photos]]
    for number, model in enumerate(args.model):
        painting = [fit_height(read_rgb(args.style[number]))] if args.style else []
        with open_session(model) as session:
            for amount in dict.fromkeys((0.0, args.noise)):
                row = []
                for photo in photos:
                    session.reset()
                    offset = flat_noise(photo, amount).whole() if amount else None
                    row.append(fit_height(session.stylize(photo, offset=offset)))
                rows.append([*painting, *row])
                painting = []
    from PIL import Image as Pillow

    temporary = args.output.with_name(f".{args.output.stem}.partial{args.output.suffix}")
    Pillow.fromarray(lay_out(rows)).save(temporary, quality=88)
    temporary.replace(args.output)
    print_text(args.output)
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
