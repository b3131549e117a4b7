"""python -m training.fetch_weights

Brings the weights of the loss network, VGG-19, into the form that the trainer reads. torchvision
downloads them (549 MB, of which 80 MB are kept). Without a network: --from FILE takes a file that
you carried here: torchvision's vgg19-dcbb9e9d.pth; the Caffe weights of the VGG authors as .pth,
with either usual naming; or the encoder of Collaborative Distillation, which is 16 times smaller.
Pickles are read as plain tensors only.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.checksum import sha256
from runtime.cli import command_main, command_parser, print_text, say
from runtime.errors import DONE, EngineUnavailable, OutputExists, UsageError
from runtime.outputs import replacing

if TYPE_CHECKING:
    from torch import Tensor

# What torchvision calls its file; the digits are the beginning of its sha256, which torchvision
# checks after a download and this module checks of a file that was carried here.
TORCHVISION = "vgg19-dcbb9e9d.pth"
# The same of the VGG authors' Caffe weights under torchvision's keys (as found in
# jcjohnson/pytorch-vgg); their names alone cannot be told from torchvision's.
CAFFE_DIGEST = "d01eb7cb"
# What Caffe's network subtracts, RGB, range 0..255 (Simonyan and Zisserman 2014).
CAFFE_MEAN = (123.68, 116.779, 103.939)
BLOCKS = (2, 2, 4, 4, 4)

OFFLINE = (
    f"on a machine with a network, let torchvision.models.vgg19 download {TORCHVISION} (it lies in "
    "~/.cache/torch/hub/checkpoints then), carry it here and pass --from FILE"
)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="a file that is here already"
    )
    parser.add_argument(
        "--layout",
        choices=("torchvision", "caffe"),
        help="what the file's network was made for, where its names leave that open (default: by "
        "its checksum, else torchvision)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="default: weights/ of this checkout, where the trainer looks",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def convert(tensors: "Mapping[str, Tensor]", layout: str) -> "tuple[str, dict[str, Tensor]]":
    """Weights of a known network, named and scaled as the trainer reads them.

    Args:
        tensors: name -> tensor, of torchvision ("features.0.weight", RGB normalized by ImageNet's
            mean and deviation), of Caffe ("conv1_1.weight", or torchvision's names; BGR, 0..255
            minus the mean) or of Collaborative Distillation ("conv11.weight" and "conv0.weight").
        layout: "caffe" if torchvision's names hold Caffe's weights.

    Returns:
        the file's name, and what to write into it.

    Raises:
        UsageError: it is none of these networks.
    """
    from .backbones._torchvision_vgg import file_name
    from .backbones.vgg19_16x import FILE

    if "conv0.weight" in tensors and "conv51.weight" in tensors:
        return FILE.name, _float(dict(tensors))
    if "conv1_1.weight" in tensors:
        layout = "caffe"
    found = _features(tensors)
    if layout == "caffe":
        found["features.0.weight"], found["features.0.bias"] = as_torchvision(
            found["features.0.weight"], found["features.0.bias"]
        )
    return file_name("vgg19"), _float(found)


def as_torchvision(weight: "Tensor", bias: "Tensor") -> "tuple[Tensor, Tensor]":
    """Caffe's first convolution, made to eat what torchvision's networks eat.

        t = (x - m) / d  ->  w . (255 x - mean)  =  (255 d w) . t + w . (255 m - mean)

    with x RGB in 0..1 and the channels of w turned from BGR to RGB. Exact where the picture is
    continued at its edge by reflection, as `backbones._chain` does.

    Args:
        weight: (64, 3, 3, 3), input channels BGR.
        bias: (64,).
    """
    import torch

    from .backbones._torchvision_vgg import DEVIATION, MEAN

    rgb = weight.double().flip(1)
    scale = 255 * torch.tensor(DEVIATION, dtype=torch.float64)
    shift = 255 * torch.tensor(MEAN, dtype=torch.float64)
    shift -= torch.tensor(CAFFE_MEAN, dtype=torch.float64)
    moved = bias.double() + torch.einsum("ocyx,c->o", rgb, shift)
    return (rgb * scale.view(1, 3, 1, 1)).float(), moved.float()


def _features(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The sixteen convolutions under torchvision's names, whatever they are called."""
    found, index, channels = {}, 0, 3
    for block, count in enumerate(BLOCKS, 1):
        width = (64, 128, 256, 512, 512)[block - 1]
        for number in range(1, count + 1):
            for part, shape in (("weight", (width, channels, 3, 3)), ("bias", (width,))):
                key = f"features.{index}.{part}"
                other = f"conv{block}_{number}.{part}"
                tensor = tensors.get(key, tensors.get(other))
                if tensor is None or tuple(tensor.shape) != shape:
                    shown = "none" if tensor is None else tuple(tensor.shape)
                    raise UsageError(
                        f"this is no VGG-19: {key} (or {other}) should be {shape}, found {shown}"
                    )
                found[key] = tensor
            index, channels = index + 2, width  # a convolution and its ReLU
        index += 1  # the pooling
    return found


def _float(tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    return {name: tensor.float().contiguous() for name, tensor in tensors.items()}


def read(path: Path) -> "dict[str, Tensor]":
    """The tensors of a .safetensors file, or of a pickle that holds nothing else.

    Raises:
        UsageError: it is neither.
    """
    import torch

    if not path.is_file():
        raise UsageError(f'--from: no file "{path}"')
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
        held = held.get("state_dict", held)
        return {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
    except Exception as error:  # whatever a foreign file makes the readers raise
        raise UsageError(
            f'--from: "{path}" holds no plain tensors ({type(error).__name__}); wanted is '
            f"{TORCHVISION}, or see --help"
        ) from None


def check_digest(path: Path, digest: str) -> None:
    """Raise UsageError if a file that bears torchvision's name is not that file."""
    if path.name == TORCHVISION and not digest.startswith("dcbb9e9d"):
        raise UsageError(
            f'"{path}" is damaged or another file: its sha256 begins with {digest[:8]}, that of '
            f"{TORCHVISION} with dcbb9e9d; {OFFLINE}"
        )


def download() -> "dict[str, Tensor]":
    """Torchvision's VGG-19; it shows its progress and checks the file.

    Raises:
        EngineUnavailable: there is no network.
    """
    from .backbones._torchvision import import_torchvision

    models = import_torchvision("torchvision.models")
    try:
        weights = models.get_weight("VGG19_Weights.IMAGENET1K_V1")
        return weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:  # URLError is one
        raise EngineUnavailable(f"VGG-19 cannot be downloaded here ({error}): {OFFLINE}") from None


def run(args: argparse.Namespace) -> int:
    """Write the converted weights; prints their path, and their checksum on stderr."""
    from safetensors.torch import save_file

    from .backbones._weights import FETCHED, VARIABLE
    from .backbones.vgg19_16x import FILE

    if args.source is None:
        name, tensors = convert(download(), "torchvision")
    else:
        held = read(args.source)
        digest = sha256(args.source)
        check_digest(args.source, digest)
        usual = "caffe" if digest.startswith(CAFFE_DIGEST) else "torchvision"
        name, tensors = convert(held, args.layout or usual)
    folder = args.output or FETCHED
    path = folder / name
    if path.exists() and not args.overwrite:
        raise OutputExists(f"{path} is there already: pass --overwrite to replace it")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path, overwrite=args.overwrite) as temporary:
        save_file(tensors, temporary)
    digest = sha256(path)
    print_text(path)
    say(f"sha256 {digest}", quiet=args.quiet)
    if name == FILE.name and digest != FILE.sha256:
        say(f"not the file our models were trained with ({FILE.sha256[:16]}...)", quiet=args.quiet)
    if folder != FETCHED:
        say(f"let {VARIABLE} name {folder}, or pass --weights {folder}", quiet=args.quiet)
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
