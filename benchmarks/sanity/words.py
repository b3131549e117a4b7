"""python -m benchmarks.sanity.words --clip clip/ --json words.json

Do words turn a photo (`training.optimize --text`)? A photo without colors must become red by "red",
green by "green", blue by "blue", by a CLIP model of your own or the small one of the tests
(tests/training/clip/tiny). Seconds per word on one core.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from runtime.cli import command_main, command_parser, say
from runtime.errors import DONE

from ..measuring.command import add_result_flags, check_result_file, deliver, positive

CHANNELS = {"red": 0, "green": 1, "blue": 2}
RAISED = 0.05  # of 0..1, by which a color must stand out
# Content beside words: little, because colors are part of it.
CONTENT = "content=0.1"
SIDE = 64  # px of the photo
PATCHES = 8  # squares of it that CLIP looks at


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--clip", type=Path, required=True, metavar="FOLDER", help="CLIP, as OpenCLIP stores it")
    add("--photo", type=Path, help="what is turned (default: scikit-image's cat)")
    add("--evaluations", type=positive, default=40, metavar="N", help="of each word (default 40)")
    add("--weights", type=Path, help="folder of the loss network's weights")
    add_result_flags(parser)
    return parser


def excess(picture: np.ndarray, channel: int) -> float:
    """How far a color stands out of a picture (H, W, 3) in [0, 1]: the mean of its channel less
    that of the other two, -1 to 1."""
    mean = picture.mean((0, 1))
    return float(mean[channel] - np.delete(mean, channel).mean())


def photo_of(path: Path | None) -> Picture.Image:
    """The middle of the photo, small and without its colors, which lead astray: who asks a photo of
    an orange cat to become "blue" leaves "a photo" for it by way of "orange"."""
    from PIL import ImageOps

    if path is None:
        from skimage import data

        picture = Picture.fromarray(data.chelsea()[40:200, 60:220])  # the head, as in the tests
    else:
        from runtime.pictures.opening import decoding, open_picture

        with open_picture(path) as file, decoding(path):
            picture = file.convert("RGB")
    return ImageOps.fit(picture.convert("L"), (SIDE, SIDE)).convert("RGB")


def turn(photo: Path, word: str, target: Path, args: argparse.Namespace) -> int:
    """Optimize the photo by one word, as a user does; the exit code, of errors that are said."""
    from training import optimize

    words: list[object] = ["--content", photo, "--output", target, "--clip", args.clip]
    words += ["--text", word, "--weight", CONTENT]
    words += ["--size", SIDE, "--patches", PATCHES, "--evaluations", args.evaluations]
    words += ["--weights", args.weights] if args.weights else []
    return optimize.main([*map(str, words), "--device", "cpu", "--quiet"])


def run(args: argparse.Namespace) -> int:
    """Turn the photo by each word; words that miss the target are named and kept."""
    from ..measuring import results

    path, rows = check_result_file(args), []
    with tempfile.TemporaryDirectory() as name:
        photo = Path(name) / "photo.png"
        photo_of(args.photo).save(photo)
        for word, channel in CHANNELS.items():
            target = Path(name) / f"{word}.png"
            if code := turn(photo, word, target, args):
                return code
            found = np.asarray(Picture.open(target)) / 255
            others = [excess(found, each) for each in CHANNELS.values() if each != channel]
            metrics = {"raised": excess(found, channel), "others": max(others)}
            missed = "" if metrics["raised"] >= max(RAISED, metrics["others"]) else "raised"
            say(
                f"{word}: {f'missed {missed}' if missed else 'ok'}  (stands out by "
                f"{metrics['raised']:.3f}, the next by {metrics['others']:.3f})",
                quiet=args.quiet,
            )
            labels = {"problem": word, "steps": args.evaluations, "missed": missed}
            rows.append(results.row(labels, metrics, ["problem"]))
    settings = {"clip": args.clip.name, "patches": PATCHES, "side_px": SIDE}
    deliver(args, path, results.document("sanity", rows, settings))
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
