"""python examples/stylize_folder.py photos/ painted/ --model starry

Paint every picture of a folder. The command `impasto image` does this as well, and more; this is
the loop to change when pictures come from somewhere else.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # a checkout; not needed once installed

from PIL import Image

from impasto import open_session
from impasto.runtime.pictures.reading import read_rgb


def main() -> None:
    """Paint every picture of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("photos", type=Path)
    parser.add_argument("painted", type=Path)
    parser.add_argument("--model", default="starry")
    args = parser.parse_args()

    args.painted.mkdir(parents=True, exist_ok=True)
    with open_session(args.model) as session:
        for path in sorted(args.photos.iterdir()):
            session.reset()  # the next picture is another scene
            painted = session.stylize(read_rgb(path))
            Image.fromarray(painted).save(args.painted / f"{path.stem}.png")
            print(args.painted / f"{path.stem}.png")


if __name__ == "__main__":
    main()
