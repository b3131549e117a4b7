"""python -m benchmarks.quality --models starry --content photos --json quality.json

How good is a style model? Its objective is set against L-BFGS on the same photo: after how many
iterations does Gatys' optimization reach the model's value (Johnson et al. 2016, Fig. 5)? Scored by
the loss network of the training and by others it never saw. Two degenerate baselines, the untouched
photo and the painting itself, must lose. Curves are kept in --cache: a second model costs seconds.
Models are ONNX files of ours or training checkpoints (.safetensors). --pareto 0.25,1,4 also
optimizes with these multiples of the style weight and says how far the model is from the line they
draw.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.cli import Progress, command_main, command_parser, print_json, print_text, say
from runtime.errors import DONE, UsageError

from ..measuring.command import (
    add_keep_flag,
    add_result_flags,
    check_once,
    check_result_file,
    earlier_result,
    listed,
    positive,
)
from ..measuring.results import Facts, Row

if TYPE_CHECKING:
    from training.clip.folder import Reader
    from training.config import Recipe

    from .curves import Problem

LEAST_SIDE = 32  # px, below which SqueezeNet has no last layer


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), required=True, metavar="A,B", help="ONNX or checkpoints")
    add("--content", type=Path, required=True, help="folder of photos the models never saw")
    add(
        "--photos",
        type=positive,
        default=20,
        metavar="N",
        help="evenly spread (default 20)",
    )
    add("--style", type=Path, help="the painting (default: the one of the model's recipe)")
    add(
        "--sizes",
        type=listed(positive),
        default=[256],
        metavar="A,B",
        help="px, of the square",
    )
    add("--inits", type=listed(str), default=["content", "noise"], metavar="A,B")
    add("--evaluations", type=positive, default=120, metavar="N", help="length of the curves")
    add("--backbone", help="loss network of the curves (default: the one of the recipe)")
    add(
        "--evaluators",
        "--judges",
        type=listed(str),
        default=["vgg19_low", "squeezenet"],
        metavar="A,B",
        help="other loss networks that score the pictures",
    )
    add(
        "--pareto",
        type=listed(float),
        default=[],
        metavar="A,B",
        help="factors of the style weight",
    )
    add(
        "--proxy-metrics",
        "--stand-ins",
        action="store_true",
        help="LPIPS, FID, KID, ArtFID with SqueezeNet",
    )
    add("--clip", type=Path, metavar="FOLDER", help="your OpenCLIP weights, for the CLIP score")
    add("--text", metavar="WORDS", help="what the pictures should show, by --clip")
    add("--weights", type=Path, help="folder of the loss networks' weights")
    add("--cache", type=Path, default=Path("build/curves"), help="kept curves (build/curves)")
    add("--jobs", type=positive, default=1, metavar="N", help="processes that compute curves")
    add("--seed", type=int, default=0, help="of the noise and of the intervals")
    add_keep_flag(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Judge every model."""
    from ..measuring import opening, results
    from . import rows as quality_rows

    path, earlier, told = check_result_file(args), earlier_result(args), _clip(args)
    _check_lists(args)
    photos = _photos(args)
    rows: list[Row] = []
    settings = {
        "photos": [photo.name for photo in photos],
        "evaluations": args.evaluations,
        "judges": args.evaluators,
        "seed": args.seed,
        "photo": "short side resized to the size, center square",
        "optimizer": "L-BFGS, memory 20, no line search: one evaluation per iteration",
    }
    if told is not None:
        settings |= {"clip": args.clip.name, "text": args.text}
    for model in args.models:
        rows += _evaluate(model, photos, args, settings, told)
    settings["sha256"] = opening.checksums(args.models)
    quality_rows.relate(rows)
    data = results.joined(results.document("quality", rows, settings), earlier)
    if path is not None:
        results.write(path, data, overwrite=args.overwrite)
        say(f"wrote {path}", quiet=args.quiet)
    if args.json == "-":
        print_json(data)
    else:
        print_text("\n".join(quality_rows.sentences(rows)))
    return DONE


def _clip(args: argparse.Namespace) -> "tuple[Reader, str] | None":
    """The user's CLIP model and the text, for the CLIP score.

    Raises:
        UsageError: one of the two, or no proxy metrics to put it among; the model cannot be read.
    """
    if args.clip is None and args.text is None:
        return None
    if args.clip is None or not args.text or not args.proxy_metrics:
        raise UsageError('the CLIP score takes --proxy-metrics --clip FOLDER --text "words"')
    from training.clip.folder import open_clip

    return open_clip(args.clip), args.text


def _check_lists(args: argparse.Namespace) -> None:
    """No two models of one name, which rows go by, and no picture too small to score."""
    check_once("--models", [Path(model).stem for model in args.models])
    small = min(args.sizes, default=LEAST_SIDE)
    if small < LEAST_SIDE:
        raise UsageError(f"--sizes has {small}, at least {LEAST_SIDE} px are needed")


def _photos(args: argparse.Namespace) -> list[Path]:
    if any(factor <= 0 for factor in args.pareto):
        raise UsageError("--pareto takes factors above 0")
    for init in args.inits:
        if init not in ("content", "noise"):
            raise UsageError(f'--inits has "{init}", allowed are content, noise')
    photos = pick_photos(args.content, args.photos)
    if args.proxy_metrics and len(photos) < 2:
        raise UsageError(
            "--proxy-metrics compares sets of pictures: 2 photos or more are needed, not "
            f"{len(photos)}"
        )
    return photos


def pick_photos(folder: Path, count: int, prefix: str = "") -> list[Path]:
    """At most `count` photos of a folder, evenly spread over their sorted names that begin so.

    Raises:
        UsageError: no such folder, or no photo in it.
    """
    suffixes = {".jpg", ".jpeg", ".png"}
    if not folder.is_dir():
        raise UsageError(f'no folder of photos "{folder}"')
    every = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    found = [path for path in every if path.name.startswith(prefix)]
    if not found:
        looked_for = ", ".join(f"{prefix}*{suffix}" for suffix in sorted(suffixes))
        raise UsageError(f'no photo in "{folder}"; looked for {looked_for}')
    count = min(count, len(found))
    return [found[i * len(found) // count] for i in range(count)]


def _evaluate(
    model: str,
    photos: list[Path],
    args: argparse.Namespace,
    settings: Facts,
    told: "tuple[Reader, str] | None",
) -> list[Row]:
    """All rows of one model."""
    from ..measuring.opening import open_painter
    from . import frontier
    from . import rows as quality_rows
    from .curves import Start, curve

    stylize, recipe = open_painter(model)
    rows = []
    for size in args.sizes:
        problem = read_problem(recipe, args, size)
        known = settings.setdefault("problems", {})
        known[f"{Path(model).stem}/{size}"] = problem.describe()
        evaluators = [name for name in args.evaluators if name != problem.backbone]
        tasks = [
            (problem, Start(init, args.evaluations, args.seed), photo, evaluators, args.cache)
            for photo in photos
            for init in args.inits
        ]
        with Progress(len(tasks), "curves", quiet=args.quiet) as progress:
            curves = _all(curve, tasks, args.jobs, progress)
        by_start = {
            init: [c for c, t in zip(curves, tasks, strict=True) if t[1].init == init]
            for init in args.inits
        }
        name = Path(model).stem
        rows += quality_rows.rows(name, stylize, problem, evaluators, photos, by_start, args.seed)
        if args.pareto:
            factors = (args.pareto, args.evaluations, args.cache)
            rows += frontier.rows(name, stylize, problem, photos, *factors)
        if args.proxy_metrics:
            weights = problem.weights_path
            measured = (name, stylize, problem, photos, weights, args.seed, told)
            rows.append(quality_rows.proxies(*measured))
    return rows


def _all(function: Callable, tasks: list[tuple], jobs: int, progress: Progress) -> list[Any]:
    """Results in order, computed in `jobs` processes."""
    found = []
    if jobs == 1:
        for task in tasks:
            found.append(function(*task))
            progress.update()
        return found
    with ProcessPoolExecutor(jobs) as pool:
        for future in [pool.submit(function, *task) for task in tasks]:
            found.append(future.result())
            progress.update()
    return found


def read_problem(recipe: Facts, args: argparse.Namespace, size: int) -> "Problem":
    """The objective the model was trained on, as far as it judges pictures."""
    from training.config import find_data, recipe_from_dict

    from .curves import PICTURE_TERMS, Problem

    known = recipe_from_dict(recipe)
    painting = args.style or find_data(known.style.image, "style")
    if not painting.is_file():
        raise UsageError(f'no picture "{painting}"')
    problem = Problem(
        str(painting),
        known.style.size,
        known.backbone.name,
        tuple(known.backbone.style_layers),
        tuple(known.backbone.content_layers),
        tuple((t, known.objective[t]) for t in PICTURE_TERMS if known.objective.get(t)),
        size,
        str(args.weights) if args.weights else None,
        _recolor(known),
    )
    return problem.scored_by(args.backbone) if args.backbone else problem


def _recolor(recipe: "Recipe") -> tuple[str, int, int] | None:
    """The photos whose colors the painting took in training, if it did (a few more than the
    trainer looked at, which keeps three for its sheet: no difference in a mean over hundreds)."""
    from training.config import find_data

    if recipe.options.get("colors") != "photos":
        return None
    folder = find_data(recipe.data.content, "content")
    return str(folder), recipe.data.short_side, recipe.data.limit


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
