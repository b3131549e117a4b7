"""Checkpoints: safetensors with a JSON header, never a pickle.

Tensors are named "<group>.<key>": "generator.*" and "ema.*" are networks, "optimizer.*" the state
that an exact resume needs. The header says which network they are and how they were made.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.card import JsonObject
from runtime.errors import StyleError, UsageError

from . import networks
from .networks import cin, lean
from .quantization.fake import RANGES
from .quantization.scales import byte_range

FORMAT = 1
NEWEST = "last.safetensors"  # of a run folder
MODELS = Path(__file__).resolve().parents[1] / "models"  # the bundled ones


# Discriminators were called judges: their weights and moments in checkpoints of that time.
FORMER_GROUP = re.compile(r"^(optimizer\.)?judge(s?(?:_\w+)?\.)")


@dataclass
class Checkpoint:
    """The only thing training writes.

    Attributes:
        network: {"name": ..., **config} of the generator; enough to rebuild it.
        recipe: the resolved recipe.
        step: optimizer steps done.
        tensors: "<group>.<key>" -> tensor.
        state: what else a resume needs (random generators), JSON.
    """

    network: JsonObject
    recipe: JsonObject
    step: int
    tensors: dict[str, Tensor]
    state: JsonObject = field(default_factory=dict)

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of one group, without the prefix."""
        prefix = name + "."
        return {k[len(prefix) :]: t for k, t in self.tensors.items() if k.startswith(prefix)}

    def build_generator(self, clipping: bool = True) -> nn.Module:
        """The trained generator in evaluation mode: averaged weights where there are any.

        Args:
            clipping: with the clipping ranges of its bytes, if it was fine-tuned for them.
        """
        settings = dict(self.network)
        generator = networks.build(settings.pop("name"), **settings)
        weights = self.group("ema") or self.group("generator")
        try:
            generator.load_state_dict(weights)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise UsageError(f"checkpoint does not fit its own network: {first}") from None
        ranges = self.group(f"extra.{RANGES}")
        if clipping and ranges and isinstance(generator, lean.Generator):
            try:
                pairs = {name: pair.tolist() for name, pair in ranges.items()}
                generator.clip({name: byte_range(low, high) for name, (low, high) in pairs.items()})
            except (TypeError, ValueError) as error:
                raise UsageError(f"checkpoint does not fit its own network: {error}") from None
        return generator.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path, *, keep: Path | None = None) -> None:
    """Write atomically: a temporary file in the same folder, then a rename.

    Args:
        checkpoint: what to write.
        path: where.
        keep: the file that was at `path` before goes on under this name.

    Raises:
        StyleError: a tensor holds a number that is not finite; nothing is written.
    """
    from safetensors.torch import save_file

    for name, tensor in checkpoint.tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise StyleError(
                f'{path.name} is not written: "{name}" holds numbers that are not finite'
            )

    header = {
        "format": FORMAT,
        "network": checkpoint.network,
        "recipe": checkpoint.recipe,
        "step": checkpoint.step,
        "state": checkpoint.state,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    tensors = {k: t.detach().cpu().contiguous() for k, t in checkpoint.tensors.items()}
    try:
        save_file(tensors, temporary, {"impasto.checkpoint": json.dumps(header)})
        if keep is not None and path.exists():
            _keep(path, keep)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _keep(path: Path, name: Path) -> None:
    """Give a file a second name, in place of what bears it; at no moment is `path` absent."""
    link = name.with_name(f".{name.name}.{os.getpid()}")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without links
        shutil.copyfile(path, link)
    os.replace(link, name)


def checkpoint_of(path: Path) -> Path:
    """A run folder's newest checkpoint; any other path is given back."""
    return path / NEWEST if path.is_dir() else path


def find_checkpoint(name: str, setting: str) -> Path:
    """A checkpoint to start from: a path, or the name of a file in models/.

    Args:
        name: what the recipe says.
        setting: the recipe's key, for the error.

    Raises:
        UsageError: neither is there.
    """
    for path in (checkpoint_of(Path(name)), MODELS / name):
        if path.is_file():
            return path
    bundled = ", ".join(sorted(path.name for path in MODELS.glob("*.safetensors")))
    raise UsageError(
        f'no checkpoint "{name}" here or in models/ ({bundled}): give --set {setting}=FILE'
    )


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, or the newest one of a run folder.

    Raises:
        UsageError: missing, not safetensors (a pickle is refused), or not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    path = checkpoint_of(Path(path))
    if not path.is_file():
        raise UsageError(f'no checkpoint "{path}"')
    try:
        with safe_open(str(path), "pt") as file:
            header = (file.metadata() or {}).get("impasto.checkpoint")
            tensors = {
                FORMER_GROUP.sub(r"\1discriminator\2", key): file.get_tensor(key)
                for key in file.keys()  # noqa: SIM118
            }
    except SafetensorError as error:
        raise UsageError(
            f"{path} is not a safetensors checkpoint ({error}); pickled .pth files are not read"
        ) from None
    if header is None:
        raise UsageError(f"{path} holds tensors but no impasto header: not a checkpoint of ours")
    data = _read_header(header, path)
    return Checkpoint(data["network"], data["recipe"], data["step"], tensors, data["state"])


def _read_header(text: str, path: Path) -> JsonObject:
    """What the header of a checkpoint says. Raises UsageError unless it has all its parts."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the header of {path} is damaged ({error})") from None
    known = data.get("format") if isinstance(data, dict) else type(data).__name__
    if known != FORMAT:
        raise UsageError(f"{path} has format {known}, this version reads {FORMAT}")
    for key, kind in (("network", dict), ("recipe", dict), ("step", int), ("state", dict)):
        if not isinstance(data.get(key), kind):
            raise UsageError(f'the header of {path} is damaged: its "{key}" is no {kind.__name__}')
    if not isinstance(data["network"].get("name"), str) or data["step"] < 0:
        raise UsageError(f"the header of {path} is damaged: no name of a network, or no step")
    if not isinstance(data["recipe"].get("style", {}), dict):
        raise UsageError(f'the header of {path} is damaged: "style" of its recipe is no dict')
    return data


def of_one_style(checkpoint: Checkpoint, style: str) -> Checkpoint:
    """The lean network that paints as a "cin" network does in one of its styles: its scales and
    shifts are constants then, and it can be written in every format and precision.

    Raises:
        UsageError: another network, or it has no style of this name.
    """
    generator = checkpoint.build_generator()
    if not isinstance(generator, cin.Generator):
        raise UsageError(
            f'--set style={style}: the network is "{checkpoint.network["name"]}"; only "cin" '
            "networks know several styles whose scales and shifts can be folded in"
        )
    if style not in generator.names:
        raise UsageError(f"--set style={style}: allowed are {', '.join(generator.names)}")
    code = cin.one_hot(generator.names.index(style), generator.styles)
    with torch.no_grad():
        state = generator.folded_state(generator.modulation(code)[0])
    network = {"name": "lean", **generator.lean_config}
    return replace(
        checkpoint, network=network, tensors={f"generator.{k}": t for k, t in state.items()}
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimizer's moments as named tensors; `restore_optimizer` is the way back."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{key}": torch.as_tensor(value)
        for index, moments in state.items()
        for key, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took out (`tensors` without their prefix)."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**whole, "state": state})
