"""From a checkpoint to the checkpoint of its pruned network, with the proof that it is a part."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runtime.checksum import sha256
from runtime.errors import ParityError, UsageError
from runtime.outputs import replacing
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

from ..verify.parity import psnr
from ..verify.photos import cover, load_photos
from ..verify.report import Report
from . import pruning

# (width, height) of the photos that decide; 16 divides both, as all our networks demand.
SIZE = (320, 240)
PHOTOS = 8
# Largest difference between the pruned network and the source with the same channels silenced: they
# differ by the order of summation only.
LARGEST_DIFFERENCE = 1e-3
REPORT = "prune.json"


def make(
    path: Path,
    output: Path,
    *,
    keep: float = 1.0,
    width: int | None = None,
    blocks: int | None = None,
    multiple: int = 16,
    photos: Path | None = None,
) -> Report:
    """Write the pruned network's checkpoint, and `prune.json` beside it.

    Args:
        path: the checkpoint to prune.
        output: the checkpoint to write.
        keep: share of the width, rounded to a multiple.
        width: the width itself, in place of `keep`.
        blocks: residual blocks, None for all.
        multiple: what the width must be a multiple of.
        photos: folder; None takes the bundled ones.

    Returns:
        the report.

    Raises:
        UsageError: a shape the network cannot be pruned to, or nothing to prune.
        ParityError: the result is not the part of the source it should be (a bug).
    """
    source = load_checkpoint(path)
    # Clipping ranges are learned for one shape, and again for the next.
    generator = source.build_generator(clipping=False).float().requires_grad_(False)
    config = dict(source.network)
    pruning.check_network(generator)
    if width is not None and width % multiple and width != config["width"]:
        raise UsageError(f"--width {width}: not a multiple of {multiple} (--multiple)")
    wanted = width if width is not None else pruning.rounded(config["width"], keep, multiple)
    depth: int = config["blocks"] if blocks is None else blocks
    if (wanted, depth) == (config["width"], config["blocks"]):
        raise UsageError(
            f"nothing to prune: width {wanted} and {depth} blocks are what the network has "
            f"(widths are multiples of {multiple})"
        )
    pictures = as_tensors(photos)
    pruned = pruning.prune(generator, pictures, wanted, depth)
    difference = largest_difference(generator, pruned, pictures)
    if not difference <= LARGEST_DIFFERENCE:
        raise ParityError(
            f"the pruned network differs by {difference:.1e} from its source with the same "
            f"channels set to zero, at most {LARGEST_DIFFERENCE:.0e} is allowed"
        )
    network = {"name": config["name"], **pruned.generator.config}  # type: ignore[dict-item]
    recipe = {**source.recipe, "network": network}
    tensors = {f"generator.{key}": t for key, t in pruned.generator.state_dict().items()}
    save_checkpoint(Checkpoint(network, recipe, source.step, tensors), output)
    report = {
        "file": output.name,
        "sha256": sha256(output),
        "source": {"checkpoint": path.name, "sha256": sha256(path), "step": source.step},
        "network": network,
        "network_before": config,
        "parameters": _parameters(pruned.generator),
        "parameters_before": _parameters(generator),
        "blocks_kept": pruned.blocks,
        "channels_kept": pruned.kept,
        "photos": len(pictures),
        "largest_difference_from_silenced": difference,
        "psnr_db": _psnr(generator, pruned.generator, pictures),
    }
    _write(report, output.with_name(REPORT))
    return report


def as_tensors(folder: Path | None) -> list[Tensor]:
    """Photos as (1, 3, H, W) in 0..1."""
    width, height = SIZE
    return [
        torch.from_numpy(cover(photo, width, height).transpose(2, 0, 1).copy())[None].float() / 255
        for photo in load_photos(folder, PHOTOS)
    ]


@torch.no_grad()
def largest_difference(generator: nn.Module, pruned: pruning.Pruned, photos: list[Tensor]) -> float:
    """Between the pruned network and its source with the same channels set to zero."""
    silenced = copy.deepcopy(generator)
    trunk: Any = silenced.trunk
    silenced.trunk = nn.Sequential(*(trunk[number] for number in pruned.blocks))
    pruning.silence(silenced, pruned.kept)
    return max(float((silenced(x) - pruned.generator(x)).abs().max()) for x in photos)


@torch.no_grad()
def _psnr(one: nn.Module, other: nn.Module, photos: list[Tensor]) -> float:
    """Of all photos together, clamped as shipped."""
    a, b = (torch.cat([g(x).clamp(0, 1) for x in photos]).numpy() for g in (one, other))
    return psnr(a, b)


def _parameters(generator: nn.Module) -> int:
    return sum(parameter.numel() for parameter in generator.parameters())


def _write(report: Report, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
