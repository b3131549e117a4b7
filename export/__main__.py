"""python -m export --checkpoint last.safetensors --target onnx --output models/starry.onnx

Writes a trained network as a model file, then proves it: the file is opened by the runtime and
compared with PyTorch on photographs at three sizes. The proof is the receipt <name>.json beside
the file. What does not match is refused (exit code 4) and left as <file>.rejected only.
"""

import argparse
from pathlib import Path

from runtime import plugins
from runtime.cli import check_output, parse_size, print_json, run_command, say
from runtime.errors import DONE, UsageError

PRECISIONS = ("fp32", "fp16", "int8")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="from training.train")
    parser.add_argument("--target", default="onnx", help=f"one of: {', '.join(_targets())}")
    parser.add_argument("--output", type=Path, required=True, help="model file to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: fp32")
    parser.add_argument(
        "--size", type=_size, default=None, metavar="WxH|free", help="one size, or any (default)"
    )
    parser.add_argument("--opset", type=int, default=18, help="ONNX operator set (default: 18)")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos for checks (default: scikit-image's)"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", help="photos for int8 ranges (default: --photos)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a network setting that has no weights, as margin=32",
    )
    parser.add_argument("--name", help="name in the card (default: the file's)")
    parser.add_argument(
        "--measure", action="store_true", help="time it, too (on a quiet machine only)"
    )
    parser.add_argument(
        "--judge",
        action="store_true",
        help="compare the training objective, too (needs the painting and the loss network: "
        "IMPASTO_DATA, IMPASTO_WEIGHTS)",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="PNG", help="contact sheet: photo, source, file, difference"
    )
    parser.add_argument("--json", action="store_true", help="print the receipt on stdout")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Export; prints the file's path, or the receipt."""
    from . import targets
    from .delivery import check_place

    target = plugins.load(targets, args.target)
    if args.precision not in target.precisions:
        allowed = ", ".join(target.precisions)
        raise UsageError(f"--precision {args.precision}: target {args.target} writes {allowed}")
    if args.sheet is not None:
        check_output(args.sheet, overwrite=args.overwrite)
    path = check_place(args.output, target.suffix, overwrite=args.overwrite)
    from .export import Request, export

    say(f"reading {args.checkpoint}", quiet=args.quiet)
    request = Request(
        checkpoint=args.checkpoint,
        target=args.target,
        path=path,
        name=args.name or path.name.removesuffix(target.suffix),
        precision=args.precision,
        size=args.size,
        opset=args.opset,
        photos=args.photos,
        calibration=args.calibration,
        measure=args.measure,
        judge=args.judge,
        sheet=args.sheet,
        settings=tuple(args.set),
    )
    receipt = export(request, lambda text: say(text, quiet=args.quiet))
    if args.json:
        print_json(receipt)
    else:
        print(path)
    return DONE


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: run(build_parser().parse_args(argv)))


def _targets() -> list[str]:
    from pathlib import PurePath

    folder = Path(__file__).parent / "targets"
    found = (PurePath(entry).stem for entry in folder.glob("*.py"))
    return sorted(name for name in found if not name.startswith("_"))


def _size(text: str) -> tuple[int, int] | None:
    return None if text == "free" else parse_size(text)


if __name__ == "__main__":
    raise SystemExit(main())
