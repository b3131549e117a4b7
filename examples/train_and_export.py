"""python examples/train_and_export.py --style painting.jpg --content photos/ --output runs/mine

Train a style by a recipe and export it, from Python. The commands `python -m training.train` and
`python -m export` do the same; `--set steps=200` makes a quick try. The weights of the loss network
are looked for in the folder that IMPASTO_WEIGHTS names.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # training is a part of the checkout

from export import __main__ as export
from training import train


def main() -> int:
    """Train, then export; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("--recipe", default="starry")
    parser.add_argument("--style", required=True)
    parser.add_argument("--content", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()

    words = ["--recipe", args.recipe, "--style", args.style, "--content", args.content]
    changes = [word for change in args.set for word in ("--set", change)]
    code = train.main([*words, *changes, "--output", str(args.output)])
    if code:
        return code  # the reason was printed
    checkpoint, model = args.output / "last.safetensors", args.output / "model.onnx"
    # Compared with PyTorch on photographs at three sizes; a file that differs is refused.
    return export.main(["--checkpoint", str(checkpoint), "--output", str(model)])


if __name__ == "__main__":
    raise SystemExit(main())
