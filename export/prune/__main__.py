"""python -m export.prune --checkpoint runs/starry --output runs/starry-c32 --keep 0.67

Makes a narrower or shallower network out of a trained one: whole channels and blocks, no scattered
zeros. The result is a checkpoint like any other; train it on with export.distill.

  python -m export.prune --checkpoint runs/starry --output runs/p --width 32 --blocks 3
  python -m export.prune --checkpoint runs/starry --output runs/p --sweep --steps 300

A sweep prunes to several widths, measures milliseconds on the target's engine and the training
objective, and says where pruning stops paying: <output>/sweep.json and sweep.svg.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from runtime import plugins
from runtime.cli import command_main, command_parser, parse_size, print_json, print_text, say
from runtime.errors import DONE, UsageError
from runtime.outputs import check_output

from .. import targets

# Shares of the width that a sweep tries.
SWEEP_KEEPS = "0.83,0.67,0.5,0.33"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="run folder or checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="run folder to write")
    parser.add_argument(
        "--keep", metavar="SHARE", help="share of the width to keep; several for --sweep: 0.8,0.5"
    )
    parser.add_argument("--width", type=int, help="width to keep, as in the network's settings")
    parser.add_argument(
        "--blocks", metavar="N", help="residual blocks to keep (default: all); several for --sweep"
    )
    parser.add_argument(
        "--multiple",
        type=int,
        choices=(8, 16),
        default=16,
        help="channels are kept in multiples of this: 16 fill the vector units of AVX-512, 8 those "
        "of AVX2 and NEON (default: 16)",
    )
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos to decide on (default: scikit-image's)"
    )
    parser.add_argument("--sweep", action="store_true", help="try several, measure, evaluate")
    parser.add_argument(
        "--steps", type=int, default=0, help="of distillation for each size of a sweep (default: 0)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for these")
    parser.add_argument("--style", type=Path, help="the painting, for these steps")
    parser.add_argument("--content", type=Path, help="folder of photos, for these steps")
    parser.add_argument("--weights", type=Path, help="weights of the loss network, for these steps")
    parser.add_argument("--target", default="onnx", help="what a sweep measures (default: onnx)")
    parser.add_argument("--precision", help="of that (default: the target's first)")
    parser.add_argument(
        "--size", type=parse_size, default=(640, 480), metavar="WxH", help="default: 640x480"
    )
    parser.add_argument("--rounds", type=int, default=15, help="of measuring (default: 15)")
    parser.add_argument("--threads", type=int, help="of the engine (default: its own choice)")
    parser.add_argument("--json", action="store_true", help="print the report on stdout")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Prune once, or sweep; prints the checkpoint or the verdict."""
    checkpoint = args.checkpoint
    checkpoint = checkpoint / "last.safetensors" if checkpoint.is_dir() else checkpoint
    if args.keep is not None and args.width is not None:
        raise UsageError("--keep and --width say the same thing: leave one of them out")
    return _sweep(args, checkpoint) if args.sweep else _prune(args, checkpoint)


def _prune(args: argparse.Namespace, checkpoint: Path) -> int:
    if args.keep is None and args.width is None and args.blocks is None:
        raise UsageError("nothing to do: pass --keep SHARE, --width N or --blocks N, or --sweep")
    output = check_output(args.output / "last.safetensors", overwrite=args.overwrite)
    from .checkpoint import make

    (keep,) = _numbers(args.keep, "--keep", float, 1) or [1.0]
    blocks = _numbers(args.blocks, "--blocks", int, 1)
    report = make(
        checkpoint,
        output,
        keep=keep,
        width=args.width,
        blocks=blocks[0] if blocks else None,
        multiple=args.multiple,
        photos=args.photos,
    )
    if args.json:
        print_json(report)
    else:
        print_text(output)
    say(
        f"{report['parameters']:,} of {report['parameters_before']:,} parameters, "
        f"{report['psnr_db']:.1f} dB from the source before it is trained on",
        quiet=args.quiet,
    )
    say(
        f"next: python -m export.distill --teacher {args.checkpoint} --student {args.output}",
        quiet=args.quiet,
    )
    return DONE


def _sweep(args: argparse.Namespace, checkpoint: Path) -> int:
    target: Any = plugins.load(targets, args.target)
    if target.engine is None:
        raise UsageError(f"--target {args.target}: nothing here runs it, so it cannot be measured")
    precision = args.precision or target.precisions[0]
    if precision not in target.precisions:
        allowed = ", ".join(target.precisions)
        raise UsageError(f"--precision {precision}: target {args.target} writes {allowed}")
    if args.width is not None:
        raise UsageError("--width: a sweep takes shares of the width: --keep 0.8,0.5")
    report_path = check_output(args.output / "sweep.json", overwrite=args.overwrite)
    plot_path = check_output(args.output / "sweep.svg", overwrite=args.overwrite)
    from .pareto import draw
    from .sweep import Plan, sweep

    plan = Plan(
        checkpoint=checkpoint,
        output=args.output,
        keeps=tuple(_numbers(args.keep or SWEEP_KEEPS, "--keep", float)),
        blocks=tuple(_numbers(args.blocks, "--blocks", int)),
        multiple=args.multiple,
        photos=args.photos,
        steps=args.steps,
        settings=tuple(args.set),
        style=args.style,
        content=args.content,
        weights=args.weights,
        target=args.target,
        precision=precision,
        size=args.size,
        rounds=args.rounds,
        threads=args.threads,
    )
    report = sweep(plan, lambda text: say(text, quiet=args.quiet))
    report_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    plot_path.write_text(draw(report), encoding="utf-8")
    if args.json:
        print_json(report)
    else:
        print_text(report["verdict"])
        say(str(report_path))
        say(str(plot_path))
    return DONE


def _numbers(text: str | None, flag: str, kind: Any, most: int = 0) -> list[Any]:
    """`0.8,0.5` as numbers above 0; [] of nothing."""
    if not text:
        return []
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        found = []
    limit = 1.0 if kind is float else float("inf")
    if not found or not all(0 < number <= limit for number in found):
        allowed = "a number above 0, at most 1" if kind is float else "a whole number above 0"
        raise UsageError(f"{flag} {text}: allowed is {allowed}, or several with commas")
    if most and len(found) > most:
        raise UsageError(f"{flag} {text}: several are for --sweep")
    return found


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
