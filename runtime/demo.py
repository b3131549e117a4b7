"""python -m runtime.demo --model starry.onnx

The main job once, on real input: stylizes a clip and prints where the result is and how fast it
ran. Without --input it first renders a camera move over the photographs that scikit-image bundles;
--input takes a clip of your own, or camera:0 for ten seconds of the first camera.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from .cli import new_parser, run_command, say
from .errors import DONE, EngineUnavailable
from .frame import Frame, Image

FOLDER = Path("demo")
SIZE = (640, 480)  # the usual size of a webcam
RATE = 30
SECONDS = 3  # per photograph
CAMERA_FRAMES = 300
# Bundled photograph -> where the camera looks from and to, as (center x, center y, zoom) with the
# center in shares of the picture and zoom 1 showing as much as fits.
SHOTS = {
    "coffee": ((0.45, 0.50, 1.00), (0.60, 0.50, 1.25)),
    "astronaut": ((0.50, 0.62, 1.00), (0.45, 0.30, 1.30)),
    "chelsea": ((0.40, 0.50, 1.25), (0.60, 0.50, 1.05)),
}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("demo", __doc__)
    parser.add_argument("--model", default="starry.onnx", help="default: starry.onnx")
    parser.add_argument("--input", help="a clip, or camera:N (default: bundled photographs)")
    parser.add_argument("--output", type=Path, help="default: in the folder demo/")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only")
    return parser


def camera_move(photo: Image, size: tuple[int, int], move: tuple, count: int) -> Iterator[Image]:
    """A smooth pan and zoom over a photograph, by sub-pixel steps.

    Args:
        photo: (H, W, 3) uint8.
        size: (width, height) of the frames.
        move: start and end as (center x, center y, zoom), see `SHOTS`.
        count: number of frames.

    Yields:
        (height, width, 3) uint8.
    """
    width, height = size
    rows, columns = photo.shape[:2]
    for i in range(count):
        t = i / max(1, count - 1)
        ease = t * t * (3 - 2 * t)  # starts and stops gently
        x, y, zoom = (a + (b - a) * ease for a, b in zip(*move, strict=True))
        scale = max(width / columns, height / rows) * zoom
        half = (width / (2 * scale), height / (2 * scale))
        center_x = np.clip(x * columns, half[0], columns - half[0])
        center_y = np.clip(y * rows, half[1], rows - half[1])
        matrix = np.array(
            [
                [scale, 0, width / 2 - scale * center_x],
                [0, scale, height / 2 - scale * center_y],
            ]
        )
        yield cv2.warpAffine(
            photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )


def render_photos(path: Path) -> Path:
    """Write the camera move over the bundled photographs as a clip.

    Raises:
        EngineUnavailable: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise EngineUnavailable(
            "the demo's photographs come with scikit-image: pip install scikit-image, "
            "or give a clip of your own with --input"
        ) from None
    from .sinks import open_sink
    from .sources import SourceInfo

    count = SECONDS * RATE
    info = SourceInfo("photographs", *SIZE, Fraction(RATE), count * len(SHOTS))
    sink = open_sink(path, info, overwrite=True)
    index = 0
    try:
        for name, move in SHOTS.items():
            photo = np.ascontiguousarray(getattr(data, name)()[..., :3])
            for image in camera_move(photo, SIZE, move, count):
                sink.write(Frame(image, Fraction(index, RATE), index))
                index += 1
        sink.close()
    except BaseException:
        sink.abort()
        raise
    return path


def run(args: argparse.Namespace) -> int:
    """Render the input if there is none, then hand over to `runtime.video` or `runtime.webcam`."""
    FOLDER.mkdir(exist_ok=True)
    stem = Path(args.model).stem
    common = ["--model", args.model, "--overwrite", *(["--quiet"] if args.quiet else [])]
    if args.input and args.input.startswith("camera:"):
        from . import webcam

        output = args.output or FOLDER / f"camera-{stem}.mp4"
        record = ["--source", args.input, "--headless", "--frames", str(CAMERA_FRAMES)]
        return webcam.main([*common, *record, "--record", str(output)])
    from . import video

    clip = Path(args.input) if args.input else render_photos(FOLDER / "photographs.mp4")
    output = args.output or FOLDER / f"{clip.stem}-{stem}.mp4"
    code = video.main([*common, "--input", str(clip), "--output", str(output)])
    if code == DONE:
        say(f"the stylized clip: {output.resolve()}", quiet=args.quiet)
    return code


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
