"""python -m benchmarks.keyframes --clip clip.mp4 --key painted/030.png --painted mine=out/%06d.png

How well a clip follows a painted keyframe. Each frame should be the keyframe moved along with what
it shows: PSNR and LPIPS-squeezenet to the key, warped by the optical flow of the unpainted clip,
where a point is seen in both. Besides, the distance of its textures from the key's (Gram matrices),
and what changes between neighboring frames that nothing moved (warping error). --painted names
clips that were painted, each as NAME=CLIP; the unpainted clip itself is judged beside.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.cli import command_main, command_parser
from runtime.errors import DONE, UsageError
from runtime.frame import Image
from runtime.sources import open_source

from .measuring import results
from .measuring.command import add_result_flags, check_result_file, deliver, positive
from .report.tables import Document, figure, label, table

COLUMNS = (
    label("painted by", "painter"),
    figure("PSNR to the key, warped, dB", "key_psnr_db"),
    figure("LPIPS-squeezenet", "key_lpips_squeezenet"),
    figure("texture (Gram distance)", "style"),
    figure("warping error", "warping_error"),
)
# Layers of the loss network whose Gram matrices are compared.
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
# Points of the key that a frame must still show to be compared with it.
LEAST_SEEN = 0.2


def table_of(data: Document) -> str:
    """One row a painter."""
    return table(COLUMNS, data["rows"])


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--clip", required=True, help="the unpainted clip")
    add("--key", type=Path, required=True, help="the painted frame, named by its number from 0")
    add(
        "--painted",
        action="append",
        required=True,
        metavar="NAME=CLIP",
        help="a painted clip; numbered pictures lose nothing",
    )
    add(
        "--every",
        type=positive,
        default=4,
        metavar="N",
        help="evaluate each Nth frame (default: 4)",
    )
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure every clip, write what was asked for."""
    from training.data.keyframes import Keyframes, numbers_of

    path = check_result_file(args)
    key = Keyframes(Path(args.clip), [args.key]).images[0][1]
    (number,) = numbers_of([args.key])
    frames = _frames(args.clip)
    rows = [results.row({"painter": "nobody"}, measure(frames, frames, key, number, args.every))]
    for text in args.painted:
        name, separator, clip = text.partition("=")
        if not separator:
            raise UsageError(f'--painted "{text}" is not NAME=CLIP')
        painted = _frames(clip)
        if len(painted) != len(frames) or painted[0].shape != frames[0].shape:
            raise UsageError(f'"{clip}" has another size or number of frames than "{args.clip}"')
        found = measure(frames, painted, key, number, args.every)
        rows.append(results.row({"painter": name}, found))
    settings = {"frames": len(frames), "key": number, "every": args.every}
    deliver(args, path, results.document("keyframes", rows, settings))
    return DONE


def measure(
    frames: Sequence[Image], painted: Sequence[Image], key: Image, number: int, every: int
) -> dict[str, float]:
    """The figures of one painted clip, means over its frames but the key's own.

    Args:
        frames: of the unpainted clip, (H, W, 3) uint8 each.
        painted: the same, painted.
        key: the painting of frame `number`.
        number: from 0.
        every: each so manieth frame is looked at.
    """
    import torch

    from training.backbones import open_backbone
    from training.data.frame_pairs import relate
    from training.data.images import to_tensor
    from training.losses import LossInputs, Target
    from training.losses.motion import warp
    from training.losses.style import StyleTerm
    from training.pairs.likeness import Likeness

    likeness, found = Likeness(), dict[str, list[float]]()
    backbone = open_backbone("vgg19_16x")
    wanted = to_tensor(key)
    weights: dict[str, float] = {layer: 1.0 for layer in LAYERS}
    with torch.no_grad():
        style = StyleTerm(Target(backbone, weights, (), backbone(wanted, set(LAYERS))))
        for at in range(0, len(frames), every):
            if at == number:
                continue
            made = to_tensor(painted[at])
            *_, grid, mask = (torch.from_numpy(a)[None] for a in relate(frames[number], frames[at]))
            values = {"style": float(style(LossInputs(made, backbone(made, set(LAYERS)))))}
            if float(mask.mean()) >= LEAST_SEEN:
                warped = torch.where(mask > 0, warp(wanted, grid), made)
                near = likeness(made, warped)
                # What is not seen in the key is equal by construction, and no merit.
                near["psnr_db"] += 10 * float(torch.log10(mask.mean()))
                values |= {f"key_{name}": value for name, value in near.items()}
            if at:
                *_, grid, mask = (
                    torch.from_numpy(a)[None] for a in relate(frames[at - 1], frames[at])
                )
                squared = (warp(to_tensor(painted[at - 1]), grid) - made).square() * mask
                values["warping_error"] = float(
                    (squared.sum() / (3 * mask.sum()).clamp_min(1)).sqrt()
                )
            for name, value in values.items():
                found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _frames(clip: str) -> list[Image]:
    with open_source(clip) as source:
        return [frame.image for frame in source]


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
