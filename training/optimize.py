"""python -m training.optimize --content photo.jpg --style painting.jpg --output out.png

Style transfer by optimizing pixels (Gatys, Ecker, Bethge, CVPR 2016): slow, and the reference that
every fast network is evaluated by, because both minimize the same objective. Coarse to fine with
--scales; on a GPU with --device cuda. --photorealistic gives a photograph the colors and the light
of another one (Luan, Paris, Shechtman, Bala, CVPR 2017). --text says the style in words, in place
of a painting or besides one (Kwon, Ye, CVPR 2022).
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.cli import (
    add_provenance_flag,
    command_main,
    command_parser,
    parse_models,
    print_json,
    print_text,
    say,
)
from runtime.errors import DONE, StyleError, UsageError
from runtime.outputs import check_output

if TYPE_CHECKING:
    from torch import Tensor

    from .backbones import Backbone
    from .losses.text import TextTarget
    from .objective import Objective

# Objective of the reference when no recipe is given: as the bundled recipes, without the terms
# that speak about networks and not about pictures (motion, periodicity).
WEIGHTS = {"style": 20.0, "content": 1.0, "tv": 0.1, "range": 2.0}
# Of words, as that of paintings: both terms are 1 or less where nothing is done.
TEXT = 20.0
SMALLEST = 64  # px of the short side: four times halved, the loss networks still see 4 px


@dataclass(frozen=True)
class Optimized:
    """The picture, and the objective's total at every evaluation (the first is the start's)."""

    image: "Tensor"  # (1, 3, H, W) in [0, 1]
    history: list[float]


def optimize_image(
    photo: "Tensor",
    objective: "Objective",
    evaluations: int,
    *,
    init: str = "content",
    optimizer: str = "lbfgs",
    seed: int = 0,
    start: "Tensor | None" = None,
    levels: int = 1,
    keep: str = "best",
    watch: Callable[[int, float], None] | None = None,
) -> Optimized:
    """Minimize the objective over the pixels of one picture.

    An evaluation is one forward and backward pass of the objective; a line search may take several
    per iteration, so evaluations, not iterations, are what this counts.

    Args:
        photo: (1, 3, H, W) RGB in [0, 1].
        objective: what is minimized; its device must be the photo's.
        evaluations: how many to spend.
        init: "content" starts at the photo, "noise" at Gaussian noise around gray (as Gatys et al.
            and Johnson et al. do).
        optimizer: "lbfgs" (memory 20, step 1 after the first) or "adam" (step 0.02 / levels).
        seed: of the noise.
        start: the picture to start from, instead of `init`.
        levels: the picture is a sum of so many, each half as large as the one before and enlarged:
            with several, colors of whole areas move as fast as single pixels. Networks that judge
            words are content with noise that nobody sees, which single pixels find first.
        keep: the picture that is returned: "best" or "last". Where terms draw by chance, the best
            was lucky.
        watch: called after every evaluation with its number, from 1, and the total.

    Returns:
        the picture, clamped to [0, 1], and the history.

    Raises:
        UsageError: unknown `init` or `optimizer`.
        StyleError: what would be returned has no finite total.

    Reference:
        Gatys, Ecker, Bethge, CVPR 2016; L-BFGS as in section 2.3 of Gatys et al. 2015. Deviation:
        out-of-range pixels are discouraged by a term instead of being clipped at every step.
        Sums: as Olah, Mordvintsev, Schubert ("Feature Visualization", 2017), there of frequencies.
    """
    import torch

    first = _start(photo, init, seed) if start is None else start
    parts = [first.clone().requires_grad_(True)]
    for level in range(1, levels):
        size = [max(1, side >> level) for side in first.shape[2:]]
        parts.append(torch.zeros(1, 3, *size, device=first.device, requires_grad=True))

    def picture() -> "Tensor":
        found = parts[0]
        for part in parts[1:]:
            found = found + torch.nn.functional.interpolate(
                part, first.shape[2:], mode="bilinear", align_corners=False
            )
        return found

    content = objective.content_features(photo)
    history: list[float] = []
    best = (float("inf"), first)

    def evaluate() -> "Tensor":
        nonlocal best
        for part in parts:
            part.grad = None
        pixels = picture()
        total = objective(pixels, content)["total"]
        total.backward()
        history.append(total.item())
        if not math.isfinite(history[-1]) and (keep == "last" or not math.isfinite(best[0])):
            raise StyleError(
                f"the objective is {history[-1]} at evaluation {len(history)}, not a finite "
                "number; lower the weights of its terms (--weight)"
            )
        if history[-1] < best[0] or keep == "last":
            best = (history[-1], pixels.detach().clone())
        if watch is not None:
            watch(len(history), history[-1])
        return total

    if optimizer == "lbfgs":
        lbfgs = torch.optim.LBFGS(
            parts,
            max_iter=evaluations,
            max_eval=evaluations,
            history_size=20,
            tolerance_grad=0,
            tolerance_change=0,
        )
        while len(history) < evaluations:
            lbfgs.step(evaluate)
    elif optimizer == "adam":
        adam = torch.optim.Adam(parts, 0.02 / levels)
        while len(history) < evaluations:
            adam.step(evaluate)
    else:
        raise UsageError(f'--optimizer is "{optimizer}", allowed are lbfgs, adam')
    return Optimized(best[1].clamp(0, 1), history)


def _start(photo: "Tensor", init: str, seed: int) -> "Tensor":
    import torch

    if init == "content":
        return photo
    if init == "noise":
        noise = np.random.default_rng(seed).standard_normal(tuple(photo.shape), dtype=np.float32)
        return (0.5 + 0.1 * torch.from_numpy(noise)).to(photo.device)
    raise UsageError(f'--init is "{init}", allowed are content, noise')


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("--content", type=Path, required=True, help="the photo")
    parser.add_argument(
        "--style",
        action="append",
        metavar="FILE[:WEIGHT]",
        help="the painting; repeat with weights to blend several",
    )
    parser.add_argument("--text", metavar="WORDS", help="the style in words, with --clip")
    parser.add_argument("--text-source", default="a photo", help="what the photo is, in words")
    parser.add_argument("--clip", type=Path, help="folder of a CLIP model, as OpenCLIP stores it")
    parser.add_argument(
        "--patches", type=int, default=64, metavar="N", help="squares that --text looks at (64)"
    )
    parser.add_argument("--output", type=Path, required=True, help="picture to write")
    parser.add_argument("--size", type=int, default=512, help="short side in px (default 512)")
    parser.add_argument(
        "--style-size", type=int, default=384, help="painting's short side: larger, larger strokes"
    )
    parser.add_argument("--evaluations", type=int, default=200, help="per scale (default 200)")
    parser.add_argument(
        "--scales", type=int, default=1, help="coarse to fine: sizes, each twice the last"
    )
    parser.add_argument(
        "--optimizer", choices=("lbfgs", "adam"), help="default: lbfgs; adam with --text"
    )
    parser.add_argument("--init", default="content", choices=("content", "noise", "style"))
    parser.add_argument("--backbone", default="vgg19_16x", help="loss network")
    parser.add_argument("--weights", type=Path, help="weights of the loss network: file or folder")
    parser.add_argument(
        "--weight", action="append", default=[], metavar="TERM=X", help="weight of a term"
    )
    parser.add_argument(
        "--keep-color",
        nargs="?",
        const="covariance",
        choices=("covariance", "histogram", "luminance"),
        help="keep the photo's colors: recolor the painting by covariance (the default) or "
        "histogram, or take light and dark only",
    )
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="PHOTO_MASK:PAINTING_MASK",
        help="style by regions: white areas belong together; repeat for each region",
    )
    parser.add_argument(
        "--photorealistic",
        action="store_true",
        help="the style is a photograph: people take after people and the rest after the rest "
        "(or as --region says), edges stay, and no strokes are left",
    )
    parser.add_argument(
        "--recompute",
        action="store_true",
        help="keep less for the backward pass and compute it again: for large pictures",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    parser.add_argument("--overwrite", action="store_true")
    add_provenance_flag(parser)
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def _weights(settings: list[str], more: dict[str, float]) -> dict[str, float]:
    weights = {**WEIGHTS, **more}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f'--weight takes TERM=NUMBER, not "{setting}"') from None
        if not math.isfinite(weights[name]):
            raise UsageError(f'--weight takes TERM=NUMBER, and a finite one, not "{setting}"')
    return weights


def run(args: argparse.Namespace) -> int:
    """Optimize one picture and write it."""
    from runtime.pictures import writing
    from runtime.pictures.reading import Picture
    from runtime.provenance import provenance_of

    check_output(args.output, overwrite=args.overwrite)
    writing.format_of(args.output)
    if args.evaluations < 1 or args.scales < 1:
        raise UsageError("--evaluations and --scales must be at least 1")
    if args.size < SMALLEST:
        raise UsageError(f"--size is {args.size}, it must be at least {SMALLEST}")
    if (args.text is None) != (args.clip is None):
        raise UsageError("--text needs --clip, the folder of a CLIP model, and the other way round")
    if args.text is not None and not args.text.strip():
        raise UsageError("--text is empty; say what the picture should be like, or leave it out")
    if not (args.style or args.text):
        raise UsageError("give --style, a painting, or --text with --clip, or both")
    if args.photorealistic and not args.style:
        raise UsageError("--photorealistic takes after another photograph: give it as --style")
    if not args.style and args.init == "style":
        raise UsageError("--init style needs --style")
    if args.patches < 1:
        raise UsageError(f"--patches is {args.patches}, it must be at least 1")
    if args.photorealistic and args.keep_color:
        raise UsageError("--photorealistic moves colors, --keep-color keeps them: leave one out")
    import torch

    from . import out_of_memory, paintings
    from .backbones import open_backbone, recompute
    from .data.images import load_image, to_bytes
    from .device import pick_device

    device = pick_device(args.device)
    backbone = open_backbone(args.backbone, args.weights).to(device)
    recompute(backbone, args.recompute)
    objective = _objective(args, backbone, device)
    started = time.perf_counter()
    image, history = None, []
    for scale in reversed(range(args.scales)):
        whole = load_image(args.content, max(SMALLEST, args.size >> scale))
        photo = paintings.prepare(whole, whole, args.keep_color)[1].to(device)
        if image is None and args.init == "style":
            image = load_image(parse_models(args.style[0])[0]).to(device)
        if image is not None:
            image = torch.nn.functional.interpolate(
                image, photo.shape[2:], mode="bicubic", align_corners=False
            )
        height, width = photo.shape[2:]
        # L-BFGS remembers 20 steps and 20 changes of the gradient, each as large as the picture.
        remedy = f"lower --size ({args.size}), pass --recompute, or use --optimizer adam"
        with out_of_memory.advice(f"at {width}x{height}", remedy):
            result = optimize_image(
                photo,
                objective,
                args.evaluations,
                init=args.init,
                optimizer=args.optimizer or ("adam" if args.text else "lbfgs"),
                seed=args.seed,
                start=image,
                levels=min(height, width).bit_length() if args.text else 1,
                keep="last" if args.text else "best",
                watch=None if args.quiet else _Watch(args.evaluations, (height, width)),
            )
        image, history = result.image, history + result.history
    assert image is not None  # there is at least one scale
    image = paintings.restore(image.cpu(), whole, args.keep_color)
    if args.photorealistic:
        from .photoreal.smoothing import local_affine

        image = local_affine(image, whole).clamp(0, 1)
    seconds = time.perf_counter() - started
    picture = Picture(to_bytes(image))
    if args.provenance:
        models = [args.backbone] if args.style else []
        models += [args.clip.name] if args.clip else []
        made = provenance_of([(name, "") for name in models])
        picture = writing.with_provenance(picture, made)
    writing.write(args.output, [picture], overwrite=args.overwrite)
    if args.json:
        report = {
            "output": str(args.output),
            "evaluations": len(history),
            "total_first": history[0],
            "total": min(history),
            "seconds": round(seconds, 2),
            "device": device,
        }
        print_json(report)
    elif not args.quiet:
        print_text(args.output)
    return DONE


def _objective(args: argparse.Namespace, backbone: "Backbone", device: str) -> Any:
    """The objective of one painting, or the blend of several."""
    from .config import BackboneConfig
    from .data.images import load_image
    from .objective import Objective
    from .paintings import Blend, load_regions, prepare
    from .photoreal import LAMBDA
    from .photoreal.regions import found_regions

    styles = [parse_models(text) for text in args.style or [str(args.content)]]
    layers = BackboneConfig()
    style_layers = [layer for layer in layers.style_layers if layer in backbone.layers]
    more = {"matting": LAMBDA} if args.photorealistic else {}
    text = _text(args, device)
    if text is not None:
        more["text"] = TEXT
    if not args.style:
        more["style"] = 0.0  # the photo stands in for a painting, which nothing looks at
    weights = _weights(args.weight, more)
    given = load_regions(args.region)
    photo = load_image(args.content, args.size)
    paintings = [load_image(path, args.style_size) for path, _ in styles]
    masks = [given for _ in paintings]
    if args.photorealistic and given is None:
        masks = [*found_regions(paintings, photo)]
    if masks[0] is not None and args.style:
        # Every region has its own style; the whole picture has none.
        weights["regions"] = weights.pop("style")
    found = [
        Objective(
            backbone,
            prepare(painting, photo, args.keep_color)[0].to(device),
            dict.fromkeys(style_layers or backbone.layers[:4], 1.0),
            layers.content_layers if style_layers else (backbone.layers[4],),
            weights,
            None if pair is None else (pair[0].to(device), pair[1].to(device)),
            text,
        )
        for painting, pair in zip(paintings, masks, strict=True)
    ]
    return found[0] if len(found) == 1 else Blend(found, [weight for _, weight in styles])


def _text(args: argparse.Namespace, device: str) -> "TextTarget | None":
    """The words, read by the CLIP model that was given."""
    if not args.text:
        return None
    from .clip.folder import open_clip
    from .losses.text import TextTarget

    reader = open_clip(args.clip)
    reader.clip.to(device)
    return TextTarget(reader, args.text, args.text_source, args.patches)


class _Watch:
    """Progress on stderr, every two seconds."""

    def __init__(self, evaluations: int, size: tuple[int, int]) -> None:
        self.evaluations, self.size = evaluations, size
        self.started = self.shown = time.perf_counter()

    def __call__(self, number: int, total: float) -> None:
        now = time.perf_counter()
        if now - self.shown < 2:
            return
        self.shown = now
        left = (now - self.started) / number * (self.evaluations - number)
        height, width = self.size
        say(f"{width}x{height}  {number}/{self.evaluations}  total {total:.4f}  {left:.0f} s left")


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
