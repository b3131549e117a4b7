"""python -m export --checkpoint last.safetensors --target onnx --output models/starry.onnx

Writes a trained network as a model file, then proves it: the file is opened by the runtime and
compared with PyTorch on photographs at three sizes. The proof is the report <name>.json beside
the file. What does not match is refused (exit code 4) and left as <file>.rejected only.

  python -m export --list                                          what can be written here
  python -m export --checkpoint F --target all --output DIR        everything this machine can make
"""

import argparse
from pathlib import Path
from typing import Any

from runtime import plugins
from runtime.cli import command_main, command_parser, parse_size, print_json, print_text, say
from runtime.errors import DONE, UsageError
from runtime.model import store, variants, zoo
from runtime.outputs import check_output

from . import listing, targets
from .targets import EVERY, Target


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    names = [*plugins.names(targets), EVERY]
    parser = command_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="from training.train")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="FILE",
        help="finished model, for targets that start from one; may be repeated; all: every style "
        "that comes with this program",
    )
    parser.add_argument("--target", default="onnx", help=f"one of: {', '.join(names)}")
    parser.add_argument("--list", action="store_true", help="print the table of targets")
    parser.add_argument(
        "--output", type=Path, help="model file to write; a folder for --target all"
    )
    parser.add_argument(
        "--precision",
        choices=[*listing.precisions(), EVERY],
        help="default: the target's first; all is for --target all",
    )
    parser.add_argument(
        "--size", type=_size, default=None, metavar="WxH|free", help="one size, or any (default)"
    )
    parser.add_argument(
        "--opset", type=int, default=18, help="ONNX operator set, 13 to 21 (default: 18)"
    )
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
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what only this target knows; see --list",
    )
    parser.add_argument("--name", help="name in the card (default: the file's)")
    parser.add_argument(
        "--measure", action="store_true", help="time it, too (on a quiet machine only)"
    )
    parser.add_argument(
        "--evaluate",
        "--judge",  # its former name
        action="store_true",
        help="compare the training objective, too (needs the painting and the loss network: "
        "IMPASTO_DATA, IMPASTO_WEIGHTS; int8 files are evaluated whenever these are there)",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="PNG", help="contact sheet: photo, source, file, difference"
    )
    parser.add_argument("--json", action="store_true", help="print the report on stdout")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Export; prints the artifact's path, or the report."""
    if args.list:
        if args.json:
            print_json({"targets": listing.rows()})
        else:
            print_text(listing.table())
        return DONE
    if args.output is None:
        raise UsageError("--output is missing: the model file to write, or a folder for all")
    return _run_all(args) if args.target == EVERY else _run_one(args)


def _run_one(args: argparse.Namespace) -> int:
    target: type[Target] = plugins.load(targets, args.target)
    precision = args.precision or target.precisions[0]
    if precision not in target.precisions:
        allowed = ", ".join(target.precisions)
        raise UsageError(f"--precision {precision}: target {args.target} writes {allowed}")
    models = _check_start(args, target)
    extra = _options(args, target.options, args.target)
    if args.sheet is not None:
        check_output(args.sheet, overwrite=args.overwrite)
    from .verify.delivery import check_place

    path = check_place(args.output, target, overwrite=args.overwrite)
    from .artifact import export

    if args.checkpoint is not None:
        say(f"reading {args.checkpoint}", quiet=args.quiet)
    name = args.name or path.name.removesuffix(target.suffix)
    request = _request(args, path=path, name=name, precision=precision, models=models, extra=extra)
    report = export(request, lambda text: say(text, quiet=args.quiet))
    if args.json:
        print_json(report)
    else:
        print_text(path)
    return DONE


def _run_all(args: argparse.Namespace) -> int:
    if args.checkpoint is None or args.model:
        raise UsageError(f"--target {EVERY} starts from --checkpoint (and not from --model)")
    if args.sheet is not None:
        raise UsageError(f"--sheet shows one artifact; --target {EVERY} makes several")
    if args.output.exists() and not args.output.is_dir():
        raise UsageError(f'--target {EVERY}: output "{args.output}" is a file; give a folder')
    known = {k: v for target in listing.load_all().values() for k, v in target.options.items()}
    extra = _options(args, known, EVERY)
    from .all_targets import exit_code, export_all

    request = _request(
        args,
        path=args.output,
        name=args.name or args.checkpoint.stem,
        precision=args.precision or "",
        models=(),
        extra=extra,
    )
    summary = export_all(
        request,
        args.output,
        overwrite=args.overwrite,
        tell=lambda text: say(text, quiet=args.quiet),
    )
    if args.json:
        print_json(summary)
        return exit_code(summary)
    for report in summary["made"]:
        print_text(args.output / report["file"])
    for what in ("skipped", "failed"):
        for entry in summary[what]:
            label = f"{entry['target']} {entry['precision']}"
            say(f"{what}: {label}: {entry['reason']}", quiet=args.quiet and what == "skipped")
    return exit_code(summary)


def _request(args: argparse.Namespace, **facts: Any) -> Any:
    from .artifact import Request

    return Request(
        checkpoint=args.checkpoint,
        target=args.target,
        size=args.size,
        opset=args.opset,
        photos=args.photos,
        calibration=args.calibration,
        measure=args.measure,
        evaluate=args.evaluate,
        sheet=args.sheet,
        settings=tuple(args.set),
        **facts,
    )


def _check_start(args: argparse.Namespace, target: type[Target]) -> tuple[Path, ...]:
    """The finished models of a target that starts from such, else (); it can make one, too."""
    if target.starts_from == "checkpoint":
        if args.checkpoint is None or args.model:
            raise UsageError(f"--target {args.target} starts from --checkpoint, not from --model")
        return ()
    if bool(args.model) == (args.checkpoint is not None):
        raise UsageError(f"--target {args.target} starts from --model, or from --checkpoint")
    names = args.model
    if names == [EVERY]:
        names = [store.BUNDLED / f"{style}.onnx" for style in _bundled(target)]
    return tuple(store.resolve(name) for name in names)


def _bundled(target: type[Target]) -> list[str]:
    """Every bundled style, then the models that know several paintings or take any."""
    styles = list(variants.styles_in(store.BUNDLED, ".onnx"))
    if not target.takes_paintings:
        return styles
    cards = {path.stem: zoo.read_card(path) for path in sorted(store.BUNDLED.glob("*.onnx"))}
    return styles + [
        stem
        for stem, card in reversed(cards.items())
        if card is not None
        and any(port.role == "code" and (port.names or port.companion) for port in card.inputs)
    ]


def _options(args: argparse.Namespace, known: dict[str, str], target: str) -> dict[str, str]:
    found = {}
    for text in args.option:
        key, separator, value = text.partition("=")
        if not separator:
            raise UsageError(f'--option takes KEY=VALUE, not "{text}"')
        if key not in known:
            raise UsageError(
                f'--option: target {target} knows no "{key}".{plugins.suggest(key, list(known))}'
            )
        found[key] = value
    return found


main = command_main(build_parser, run)


def _size(text: str) -> tuple[int, int] | None:
    return None if text == "free" else parse_size(text)


if __name__ == "__main__":
    raise SystemExit(main())
