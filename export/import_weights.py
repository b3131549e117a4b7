"""python -m export.import_weights mosaic.pth --output runs/mosaic

Turns a checkpoint of somebody else's training code into a run folder of ours, which export,
distill, prune and finetune take like any other. The family is recognized by the names of the
weights; files are read as tensors only (weights_only), so that nothing in them is run.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import plugins
from runtime.cli import command_main, command_parser, print_text, say
from runtime.errors import DONE, UsageError
from runtime.outputs import check_output

from . import foreign

if TYPE_CHECKING:
    from .foreign import Converted, State

# Characters of a name that a message shows.
LONGEST = 60
# What torch.save writes: a zip archive, before 1.6 a pickle.
SAVED = (b"PK", b"\x80")
# Where training code keeps the generator's weights in a larger file.
WRAPPERS = ("state_dict", "model", "model_state_dict", "netG", "generator", "params", "params_ema")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("weights", type=Path, help=".pth, .pt, .t7 or .safetensors")
    parser.add_argument(
        "--family",
        type=lambda name: name.replace("-", "_"),
        choices=plugins.names(foreign),
        help="default: recognized by the weights' names",
    )
    parser.add_argument("--output", type=Path, required=True, help="run folder to make")
    parser.add_argument("--title", default="", help="of the style (default: the file's name)")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert; prints the checkpoint."""
    from training.checkpoint import Checkpoint, save_checkpoint
    from training.config import Recipe, StyleConfig

    state = read_state(args.weights)
    family = args.family or recognize(state, args.weights)
    converted = convert(state, family, args.weights)
    path = check_output(args.output / "last.safetensors", overwrite=args.overwrite)
    title = args.title or args.weights.stem
    recipe = Recipe(
        name=args.weights.stem,
        method=converted.method,
        steps=0,
        network=converted.network,
        style=StyleConfig(title=title),
    )
    tensors = {f"generator.{name}": tensor for name, tensor in converted.tensors.items()}
    save_checkpoint(Checkpoint(converted.network, recipe.to_dict(), 0, tensors), path)
    for note in (f"{args.weights.name}: {plugins.load(foreign, family).label}", *converted.notes):
        say(note, quiet=args.quiet)
    print_text(path)
    say(f"next: python -m export --checkpoint {path} --output {title}.onnx", quiet=args.quiet)
    return DONE


def read_state(path: Path) -> "State":
    """The tensors of a file, by name, out of whatever wraps them.

    Raises:
        UsageError: no such file, or none of tensors alone.
    """
    if not path.is_file():
        raise UsageError(f'no file "{path}"')
    if path.suffix == ".t7":
        return _load_torch7(path)
    data = _load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path)
    for key in WRAPPERS:
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    import torch

    if not isinstance(data, dict) or not data:
        raise UsageError(f'"{path}" holds {type(data).__name__}, not weights by name')
    tensors = {
        name: value
        for name, value in data.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not tensors:
        shown = ", ".join(str(key)[:LONGEST] for key in list(data)[:5])
        raise UsageError(f'"{path}" holds no tensors with names (it has: {shown})')
    # DataParallel puts "module." before every name.
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _load_torch7(path: Path) -> "State":
    """Weights of a file of Torch7, in the order of the layers."""
    from .foreign import _torch7_file

    try:
        return _torch7_file.read(path)
    except ValueError as error:
        raise UsageError(f'"{path}" is no network of Torch7 that can be read: {error}') from None


def recognize(state: "State", path: Path) -> str:
    """Name of the family whose weights these are.

    Raises:
        UsageError: of none that we know.
    """
    for name in plugins.names(foreign):
        if plugins.load(foreign, name).matches(state):
            return name
    shown = ", ".join(name[:LONGEST] for name in list(state)[:4])
    raise UsageError(
        f'"{path}" is of no family we know (its weights: {shown}, ...); known are '
        f"{', '.join(plugins.names(foreign))}. An ONNX file of it runs as it is"
    )


def convert(state: "State", family: str, path: Path) -> "Converted":
    """As one of our networks, checked to fit.

    Raises:
        UsageError: the weights are not quite those of the family.
    """
    from training import networks

    try:
        converted = plugins.load(foreign, family).convert(state)
        settings: dict[str, Any] = dict(converted.network)
        networks.build(settings.pop("name"), **settings).load_state_dict(converted.tensors)
    except KeyError as error:
        raise UsageError(f'"{path}" is not quite of family {family}: it lacks {error}') from None
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f'"{path}" is not quite of family {family}: {reason[:200]}') from None
    return converted


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UsageError(f'"{path}" is not a safetensors file ({error})') from None


def _load_pickle(path: Path) -> Any:
    import warnings

    import torch

    from runtime.engines._unreadable import explain

    with path.open("rb") as stream:
        saved = stream.read(2).startswith(SAVED)
    if not saved:
        raise UsageError(f'"{path}": {explain(str(path), "") or "it is no file of torch.save"}')
    try:
        with warnings.catch_warnings(action="ignore"):  # of old pickles, before it refuses them
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files end in a dozen kinds
        text = str(error).strip()
        # What torch says of code is advice to run it.
        reason = text.splitlines()[0][:160] if text else "it is damaged"
        reason = "it holds more than tensors" if text.startswith("Weights only") else reason
        raise UsageError(
            f'"{path}" is no file of weights alone ({reason}); save model.state_dict() with '
            "torch.save, whole models would run code of their own"
        ) from None


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
