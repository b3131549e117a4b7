"""python examples/styled_camera.py --source camera:0 --model starry-fast

A styled and stabilized camera in a loop of your own: here it counts frames and saves the last one.
`--source clip.mp4` works without a camera.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # a checkout; not needed once installed

from PIL import Image

from impasto import open_session
from impasto.runtime import plugins, stabilizers
from impasto.runtime.sources import open_source


def main() -> None:
    """Show a styled camera."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("--source", default="camera:0")
    parser.add_argument("--model", default="starry-fast")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("last.png"))
    args = parser.parse_args()

    stabilizer = plugins.load(stabilizers, "live")(1.0)
    shown, began = None, time.perf_counter()
    with open_session(args.model) as session, open_source(args.source) as source:
        for count, frame in enumerate(source, 1):
            seen = stabilizer.prepare(frame.image)  # freed of sensor noise
            if stabilizer.cut:
                session.reset()
            shown = stabilizer.step(frame.image, session.stylize(seen))
            # (H, W, 3) uint8 RGB: put it into your own window, game, stream ...
            if count == args.frames:
                break
    if shown is None:
        raise SystemExit(f'"{args.source}" gave no frame')
    Image.fromarray(shown).save(args.output)
    print(f"{count} frames, {count / (time.perf_counter() - began):.1f} a second; {args.output}")


if __name__ == "__main__":
    main()
