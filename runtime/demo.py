"""python -m runtime.demo --model starry.onnx

The main job once, on real input: paints a clip, says how fast that was, and writes the clip before
and after side by side. Without --input it first renders a camera move over three photographs;
--input takes a clip of your own, or camera:0 for ten seconds of the first camera. The clip is kept
still as at the webcam, by the stabilizer `live`; --stabilizer best is calmer and slower.
"""

import argparse
import contextlib
import io
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from .card import JsonObject
from .cli import command_main, new_parser, say
from .errors import DONE
from .frame import Frame, Image
from .invocation import shell_command

FOLDER = Path("demo")
SIZE = (640, 480)  # the usual size of a webcam
RATE = 30
SECONDS = 3  # per photograph
CAMERA_FRAMES = 300
BESIDE_SECONDS = 10  # of the clip before and after, side by side
# Pictures that the network alone is timed on, after the first ones, which warm it up.
WARM, TIMED = 5, 20
# Public domain (astronaut: NASA) and CC0 (chelsea: Stefan van der Walt, coffee: Rachel Michetti),
# as scikit-image distributes them.
PHOTOGRAPHS = Path(__file__).parent / "photographs"
# Photograph -> where the camera looks from and to, as (center x, center y, zoom) with the
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
    parser.add_argument("--input", help="a clip, or camera:N (default: three photographs)")
    parser.add_argument("--output", type=Path, help="default: in the folder demo/")
    parser.add_argument(
        "--stabilizer",
        choices=("live", "best", "off"),
        default="live",
        help="what keeps the strokes still (default: live, as at the webcam)",
    )
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
    import cv2
    import numpy as np

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
    """Write the camera move over the photographs as a clip."""
    import numpy as np
    from PIL import Image as Picture

    from .sinks import open_sink
    from .sources import SourceInfo

    count = SECONDS * RATE
    info = SourceInfo("photographs", *SIZE, Fraction(RATE), count * len(SHOTS))
    sink = open_sink(path, info, overwrite=True)
    index = 0
    try:
        for name, move in SHOTS.items():
            with Picture.open(PHOTOGRAPHS / f"{name}.jpg", formats=["JPEG"]) as picture:
                photo = np.asarray(picture)
            for image in camera_move(photo, SIZE, move, count):
                sink.write(Frame(image, Fraction(index, RATE), index))
                index += 1
        sink.close()
    except BaseException:
        sink.abort()
        raise
    return path


def beside(before: Path, after: Path, path: Path) -> Path:
    """Write two clips of one size side by side, the first seconds of them, without sound."""
    import numpy as np

    from .sinks import open_sink
    from .sources import open_source

    with contextlib.ExitStack() as stack:
        left, right = (stack.enter_context(open_source(str(clip))) for clip in (before, after))
        info = replace(left.info, width=left.info.width + right.info.width)
        sink = open_sink(path, info, overwrite=True)
        try:
            for one, other in zip(left, right, strict=False):
                if one.time >= BESIDE_SECONDS:
                    break
                sink.write(replace(one, image=np.hstack([one.image, other.image])))
            sink.close()
        except BaseException:
            sink.abort()
            raise
    return path


def network_rate(model: str, clip: Path) -> float:
    """Pictures per second of the network alone on the clip's first pictures: the median of some,
    bytes in and bytes out, nothing else at work."""
    from .model.session import open_session
    from .sources import open_source

    seconds = []
    with open_source(str(clip)) as source, open_session(model) as session:
        for frame in itertools.islice(source, WARM + TIMED):
            start = time.perf_counter()
            session.stylize(frame.image)
            seconds.append(time.perf_counter() - start)
    return 1 / statistics.median(seconds[WARM:] or seconds)


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
    clip = Path(args.input) if args.input else render_photos(FOLDER / "photographs.mp4")
    output = args.output or FOLDER / f"{clip.stem}-{stem}.mp4"
    alone = network_rate(args.model, clip)
    code, facts = _paint([*common, str(clip), str(output), "--stabilizer", args.stabilizer])
    if code != DONE:
        return code
    both = beside(clip, output, output.with_name(f"{output.stem}-beside.mp4"))
    for line in _result(facts, alone, args, output, both):
        say(line, quiet=args.quiet)
    return DONE


def _paint(words: list[str]) -> tuple[int, JsonObject]:
    """Run `runtime.video`; its exit code and the facts it found."""
    from . import video

    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = video.main([*words, "--json"])
    return code, json.loads(said.getvalue()) if code == DONE else {}


def _result(
    facts: JsonObject, alone: float, args: argparse.Namespace, output: Path, both: Path
) -> list[str]:
    """What the demo says at the end, line by line."""
    still = "no stabilizer" if args.stabilizer == "off" else f'stabilizer "{args.stabilizer}"'
    style = Path(args.model).stem
    size = f"{facts['width']}x{facts['height']}"
    rate, engine = f"{facts['fps']:.1f} frames/s", f"{facts['engine']} on {facts['device']}"
    return [
        "",
        f"painted        {output}",
        f"side by side   {both}",
        f"speed          {rate} at {size}: network, {still}, reading and writing the clip",
        f"               {alone:.1f} frames/s: the network alone, {engine}",
        f"try next       {shell_command('webcam')} --model {style}",
        f"               {shell_command('image')} photo.jpg painted.png --model {style}",
        f"               {shell_command('models')}",
    ]


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
