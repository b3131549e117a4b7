"""python -m benchmarks.temporal --model starry --stabilizers off,live,best

Measure how steady painted video is, on clips whose motion is known exactly, and refuse numbers that
were bought with blur, lag or a lost style. Add real pairs with --flow FOLDER (.flo, .npz), real
clips with --video FILE, the style gate with --style PICTURE --weights FOLDER, the stylizers that
must fail with --degenerate, squares one, two and five seconds after a cut with --after-cut, ten
minutes without a pause with --drift 10, pictures to look at with --slices FOLDER; two views whose
disparity is known, painted one by one and alike, with --stereo. Any ONNX file is a model. Needs
scikit-image for its photographs, or --photos.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import plugins, stabilizers
from runtime.cli import (
    Progress,
    command_main,
    command_parser,
    parse_fraction,
    parse_size,
    print_json,
    print_text,
    say,
)
from runtime.errors import DONE, GATE_REFUSED, UsageError
from runtime.outputs import check_output

from ..measuring.command import check_once

if TYPE_CHECKING:
    from runtime.frame import Image
    from runtime.model.session import StyleSession

    from .scenes import Scene

# The line of a slice is taken at this share of the height; frames shown in a strip, of 24.
SHOWN = (0.25, 0.6, 0.95)
# The picture EQ, periodicity and border difference are measured on, (height, width).
STILL_SIZE = (259, 387)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    # "off", "live", "best": the baseline first.
    known = sorted(plugins.names(stabilizers), reverse=True)
    add("--model", action="append", required=True, metavar="FILE", help="repeat for several")
    add("--style", action="append", default=[], metavar="PICTURE", help="painting of each model")
    add("--weights", type=Path, metavar="FOLDER", help="loss network (default: $IMPASTO_WEIGHTS)")
    add("--stabilizers", default=",".join(known), metavar="A,B", help=f"of {', '.join(known)}")
    add("--stability", type=parse_fraction, default=1.0, metavar="0..1", help="default: 1")
    add("--clips", metavar="A,B", help="synthetic clips (default: all; none: no synthetic clip)")
    add("--photos", metavar="A,B", help="bundled photographs or picture files to make them from")
    add("--size", type=parse_size, default=(320, 180), metavar="WxH", help="default: 320x180")
    add("--frames", type=int, default=24, metavar="N", help="of each clip (default: 24)")
    add("--noise", type=float, default=3.0, metavar="SIGMA", help="sensor noise, 1/255 (3)")
    add(
        "--input-noise",
        type=parse_fraction,
        default=0.0,
        metavar="0..1",
        help="what the network sees has this much noise, which follows the camera (default: 0)",
    )
    add("--flow", type=Path, action="append", default=[], metavar="FOLDER", help="ground truth")
    add("--video", action="append", default=[], metavar="FILE", help="real clip, flow estimated")
    add(
        "--degenerate",
        "--nulls",
        dest="nulls",  # as result files call it
        action="store_true",
        help="also evaluate the stylizers that must be refused",
    )
    add(
        "--after-cut", action="store_true", help="squares 1, 2 and 5 s after a cut (and of --video)"
    )
    add("--stereo", action="store_true", help="two views of one scene instead of clips, alone")
    add("--drift", type=float, default=0.0, metavar="MINUTES", help="length of the drift test")
    add(
        "--slices",
        "--strips",
        dest="strips",
        type=Path,
        metavar="FOLDER",
        help="write rows of frames and x-t slices as PNG",
    )
    add("--json", nargs="?", const="-", metavar="FILE", help="result file; - or nothing: stdout")
    add("--check", action="store_true", help="exit 4 when a stabilizer fails a gate")
    add("--overwrite", action="store_true", help="replace existing files")
    add("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write what was asked for."""
    from ..measuring import results
    from . import rows

    target = None if args.json in (None, "-") else Path(args.json)
    if target is not None:
        check_output(target, overwrite=args.overwrite)
    check_once("--model", [Path(model).stem for model in args.model])
    if args.stereo:
        _check_alone(args)
        return _stereo(args, target)
    names = _chosen(args.stabilizers, plugins.names(stabilizers), "stabilizer")
    scenes = _scenes(args)
    if not (scenes or args.drift or args.after_cut):
        raise UsageError(
            "nothing to measure: give --clips, --flow, --video, --after-cut or --drift"
        )
    report, digests = rows.Report(), {}
    for number, model in enumerate(args.model):
        style = args.style[number] if number < len(args.style) else None
        with _open(model) as session:
            subject = rows.Subject(session, model, style, args.weights, args.input_noise)
            digests[subject.name] = subject.sha256
            say(subject.describe(), quiet=args.quiet)
            progress = _progress(args, len(scenes) * len(names), "runs")
            with progress:
                rows.measure_model(
                    report, subject, scenes, names, args.stability, args.nulls, progress.update
                )
                if args.strips is not None:
                    rows.draw(report, subject, args.strips, SHOWN, args.overwrite)
            rows.measure_still(report, subject, _photos(args)[0], STILL_SIZE)
            if args.after_cut:
                rows.measure_after_cuts(report, subject, names, args.stability, _cuts(args))
            if args.drift:
                frames = round(args.drift * 60 * 30)
                with _progress(args, 2 * frames * (len(names) > 0), "frames") as progress:
                    rows.measure_drifts(
                        report,
                        subject,
                        names,
                        args.stability,
                        args.drift,
                        args.noise,
                        progress.update,
                    )
    settings = {key: value for key, value in vars(args).items() if key not in ("quiet", "json")}
    data = results.document("temporal", report.rows, {**_plain(settings), "sha256": digests})
    if target is not None:
        results.write(target, data, overwrite=args.overwrite)
    if args.json == "-":
        print_json(data)
    else:
        print_text(report.table())
    return GATE_REFUSED if args.check and report.failures else DONE


def _check_alone(args: argparse.Namespace) -> None:
    """Raises UsageError for flags that say something about clips, which --stereo has none of."""
    parser, takes = build_parser(), {"model", "stability", "stereo", "json", "overwrite", "quiet"}
    for name, value in vars(args).items():
        if name not in takes | {"debug"} and value != parser.get_default(name):
            flag = {"nulls": "degenerate", "strips": "slices"}.get(name, name.replace("_", "-"))
            raise UsageError(
                f"--stereo measures two views alone, at their own size: leave --{flag} out, or "
                "measure clips without --stereo"
            )


def _stereo(args: argparse.Namespace, target: Path | None) -> int:
    """Measure two views painted one by one, and alike."""
    from ..measuring import results
    from . import stereo

    pair, rows, digests = stereo.motorcycle(), [], {}
    for model in args.model:
        with _open(model) as session:
            name = session.card.name
            digests[name] = session.sha256
            found = stereo.measure(pair, session.stylize, args.stability)
        rows += [
            results.row({"model": name, "views": views}, metrics, ["model", "views"])
            for views, metrics in found.items()
        ]
    settings = {"pair": "motorcycle", "stability": args.stability, "sha256": digests}
    data = results.document("stereo", rows, settings)
    if target is not None:
        results.write(target, data, overwrite=args.overwrite)
    if args.json == "-":
        print_json(data)
    else:
        print_text(stereo.table_of(data))
    return DONE


def _open(model: str) -> StyleSession:
    from runtime.model.session import open_session

    return open_session(model)


def _progress(args: argparse.Namespace, total: int, unit: str) -> Progress:
    return Progress(total, unit, quiet=args.quiet)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _chosen(text: str, known: list[str], kind: str) -> list[str]:
    chosen = [name for name in text.split(",") if name]
    for name in chosen:
        if name not in known:
            raise UsageError(f'no {kind} "{name}".{plugins.suggest(name, known)}')
    return chosen


def _photos(args: argparse.Namespace) -> list[str]:
    from . import synthetic_clips

    return args.photos.split(",") if args.photos else list(synthetic_clips.BUNDLED[:3])


def _scenes(args: argparse.Namespace) -> list[Scene]:
    from . import scenes, synthetic_clips

    kinds = list(synthetic_clips.KINDS) if args.clips is None else args.clips
    if isinstance(kinds, str):
        kinds = [] if kinds == "none" else _chosen(kinds, list(synthetic_clips.KINDS), "clip")
    photos, size = _photos(args), args.size[::-1]
    make: list[Callable[[], list[Scene]]] = [
        lambda kind=kind, k=k: [
            scenes.synthetic(
                kind,
                photos[k],
                photos[(k + 1) % len(photos)] if len(photos) > 1 else synthetic_clips.BUNDLED[1],
                size,
                num_frames=args.frames,
                noise=args.noise,
            )
        ]
        for k in range(len(photos))
        for kind in kinds
    ]
    make += [lambda folder=folder: scenes.ground_truth(folder) for folder in args.flow]
    make += [lambda spec=spec: [scenes.real(spec, args.frames)] for spec in args.video]
    return [scene for one in make for scene in one()]


def _cuts(args: argparse.Namespace) -> dict[str, list[Image]]:
    from . import after_cut

    photos, size = _photos(args), args.size[::-1]
    pair = (photos[0], photos[-1])
    made = {
        f"{'circling' if moving else 'still'} camera": after_cut.synthetic(
            pair, size, moving, args.noise
        )
        for moving in (False, True)
    }
    return made | {Path(spec).stem: after_cut.real(spec) for spec in args.video}


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
