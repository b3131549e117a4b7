"""Structured pruning: a narrower, shallower network that is a part of a trained one.

Which slices belong together (a residual stream is one set of channels in a dozen tensors) is found
by torch-pruning's dependency graph (Fang et al., CVPR 2023, arXiv:2301.12900). How many are kept
says the configuration of the narrower network, so that the result is a network of ours again, and
every width is a multiple of what fills the vector units. Which ones is decided by the energy they
pass on on photographs,

    channel c:  sum over consumers  sum_o gain_o^2 |W[o, c]|^2 var(x_c),   gain_o = gamma_o / std_o

because in front of an instance normalization the size of weights alone means nothing: gain is what
the normalization makes of it, and a constant offset vanishes in it. Without one gain is 1 and the
second moment takes the place of the variance. Blocks go one at a time, each time the one without
which the pictures change least.

Removing channels is exact: the result paints what the network with those channels set to zero
paints (`silence`).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from runtime.card import JsonObject
from runtime.errors import EngineUnavailable, UsageError
from runtime.plugins import suggest
from training import networks
from training.networks.layers import InstanceNorm

# Networks with a width, residual blocks in `trunk`, and a `head`.
PRUNABLE = ("johnson", "lean", "resnet_cycle")
# Of our instance normalization.
EPSILON = 1e-5
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Pruned:
    """A narrower network.

    Attributes:
        generator: built from its own configuration, in evaluation mode.
        blocks: numbers of the blocks that were kept.
        kept: name of a convolution -> the channels it kept, of those convolutions that lost some.
    """

    generator: nn.Module
    blocks: list[int]
    kept: dict[str, list[int]]


def rounded(width: int, keep: float, multiple: int) -> int:
    """`keep` of `width`, to the nearest multiple, at least one; `width` itself if that is less."""
    return min(width, max(multiple, round(width * keep / multiple) * multiple))


def prune(generator: nn.Module, photos: Sequence[Tensor], width: int, blocks: int) -> Pruned:
    """A network of `width` and `blocks` that is a part of `generator`, which is left as it is.

    Args:
        generator: one of `PRUNABLE`, built by `training.networks`.
        photos: (1, 3, H, W) each, sides as the network demands.
        width: as in its configuration.
        blocks: residual blocks to keep.

    Raises:
        UsageError: another network, or one that would not be smaller.
        EngineUnavailable: torch-pruning is not installed.
    """
    config = _check(generator, width, blocks)
    shallow = copy.deepcopy(generator).float().eval().requires_grad_(False)
    numbers = drop_blocks(shallow, photos, blocks)
    narrow = networks.build(str(generator.name), **{**config, "width": width, "blocks": blocks})
    kept = _slice(shallow, narrow, photos)
    narrow.load_state_dict(shallow.state_dict())
    return Pruned(narrow.eval(), numbers, kept)


@torch.no_grad()
def drop_blocks(generator: nn.Module, photos: Sequence[Tensor], wanted: int) -> list[int]:
    """Remove blocks from `generator.trunk` until `wanted` are left; returns those left."""
    trunk: Any = generator.trunk
    numbers = list(range(len(trunk)))
    while len(numbers) > wanted:
        whole = [generator(photo) for photo in photos]
        changes = []
        for at in range(len(numbers)):
            block = trunk[at]
            trunk[at] = nn.Identity()
            changes.append(
                sum(
                    float((generator(photo) - before).square().mean())
                    for photo, before in zip(photos, whole, strict=True)
                )
            )
            trunk[at] = block
        least = min(range(len(numbers)), key=changes.__getitem__)
        del trunk[least], numbers[least]
    return numbers


@torch.no_grad()
def silence(generator: nn.Module, kept: dict[str, list[int]]) -> None:
    """Set the channels to zero that pruning would remove: what normalizations (or, where there are
    none, convolutions) write into them, in place.

    Args:
        generator: with all its blocks that were kept.
        kept: as in `Pruned`.
    """
    modules = dict(generator.named_modules())
    norms = norm_after(generator, torch.zeros(1, 3, 64, 64))
    for name, channels in kept.items():
        conv: Any = modules[name]
        mask = torch.zeros(conv.out_channels, dtype=torch.bool)
        mask[channels] = True
        follower = norms.get(name)
        if follower is not None:
            follower.weight[~mask] = 0
            follower.bias[~mask] = 0
        elif isinstance(conv, nn.ConvTranspose2d):
            conv.weight[:, ~mask] = 0
            conv.bias[~mask] = 0
        else:
            conv.weight[~mask] = 0
            conv.bias[~mask] = 0


def norm_after(generator: nn.Module, photo: Tensor) -> dict[str, InstanceNorm]:
    """Name of a convolution -> the normalization that reads its output."""
    found: dict[str, InstanceNorm] = {}
    made: dict[int, tuple[str, Tensor]] = {}
    handles = []

    def remember(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: object, output: Tensor) -> None:
            made[id(output)] = (name, output)

        return hook

    def look(module: InstanceNorm, given: tuple[Tensor, ...]) -> None:
        if id(given[0]) in made:
            found[made[id(given[0])][0]] = module

    for name, module in generator.named_modules():
        if isinstance(module, CONVOLUTIONS):
            handles.append(module.register_forward_hook(remember(name)))
        elif isinstance(module, InstanceNorm):
            handles.append(module.register_forward_pre_hook(look))
    with torch.no_grad():
        generator(photo)
    for handle in handles:
        handle.remove()
    return found


def energies(generator: nn.Module, photos: Sequence[Tensor]) -> dict[str, Tensor]:
    """Name of a convolution -> (C_in,) energy that each of its inputs passes on through it."""
    norms = norm_after(generator, photos[0])
    moments: dict[str, list[Tensor]] = {}
    handles = []

    def measure(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            x = given[0].double()
            variance = output.double().var((0, 2, 3), correction=0)
            row = [x.mean((0, 2, 3)), x.square().mean((0, 2, 3)), variance]
            before = moments.get(name)
            moments[name] = (
                row if before is None else [a + b for a, b in zip(before, row, strict=True)]
            )

        return hook

    convs = {n: m for n, m in generator.named_modules() if isinstance(m, CONVOLUTIONS)}
    for name, module in convs.items():
        handles.append(module.register_forward_hook(measure(name)))
    with torch.no_grad():
        for photo in photos:
            generator(photo)
    for handle in handles:
        handle.remove()
    found = {}
    for name, conv in convs.items():
        mean, power, variance = (total / len(photos) for total in moments[name])
        weight = conv.weight.detach().double()
        if isinstance(conv, nn.ConvTranspose2d):
            weight = weight.transpose(0, 1)
        passed = weight.square().sum((2, 3))
        norm = norms.get(name)
        if norm is not None:
            passed = (
                passed * (norm.weight.detach().double().square() / (variance + EPSILON))[:, None]
            )
            power = power - mean.square()
        found[name] = passed.sum(0) * power
    return found


def check_network(generator: nn.Module) -> None:
    """Raise UsageError if this network cannot be pruned."""
    name = str(getattr(generator, "name", ""))
    if name not in PRUNABLE:
        raise UsageError(f'network "{name}" cannot be pruned.{suggest(name, list(PRUNABLE))}')


def _check(generator: nn.Module, width: int, blocks: int) -> JsonObject:
    """The network's configuration, if it can be pruned to this shape."""
    check_network(generator)
    config: JsonObject = dict(generator.config)  # type: ignore[arg-type]
    for key, value in (("width", width), ("blocks", blocks)):
        least = 1 if key == "width" else 0
        if not least <= value <= config[key]:
            raise UsageError(
                f"--{key} {value}: the network has {key} {config[key]}, allowed is "
                f"{least}..{config[key]}"
            )
    return config


def _slice(wide: nn.Module, narrow: nn.Module, photos: Sequence[Tensor]) -> dict[str, list[int]]:
    """Remove channels from `wide` until its widths are those of `narrow`; in place."""
    tp = _library()
    names = {module: name for name, module in wide.named_modules()}
    targets = {n: m.out_channels for n, m in narrow.named_modules() if isinstance(m, CONVOLUTIONS)}
    energy = energies(wide, photos)
    wide.requires_grad_(True)  # the graph is read off the gradients
    graph = tp.DependencyGraph().build_dependency(
        wide, example_inputs=photos[0], customized_pruners={InstanceNorm: _norm_pruner(tp)}
    )
    head = dict(wide.named_modules())["head"]
    plans: list[tuple[nn.Module, object, list[int]]] = []
    kept: dict[str, list[int]] = {}
    for group in graph.get_all_groups(ignored_layers=[head], root_module_types=list(CONVOLUTIONS)):
        root = group[0].dep.target.module
        wanted = targets[names[root]]
        if wanted == root.out_channels:
            continue
        total, makers = torch.zeros(root.out_channels, dtype=torch.float64), []
        for dependency, _ in group:
            module = dependency.target.module
            if not isinstance(module, CONVOLUTIONS):
                continue
            if graph.is_out_channel_pruning_fn(dependency.handler):
                makers.append(names[module])
            else:
                total += energy[names[module]]
        chosen: list[int] = total.topk(wanted).indices.sort().values.tolist()
        gone = sorted(set(range(root.out_channels)) - set(chosen))
        plans.append((root, group[0].dep.handler, gone))
        kept |= {name: chosen for name in makers}
    # All are chosen on the whole network before any is cut.
    for root, handler, gone in plans:
        graph.get_pruning_group(root, handler, gone).prune()
    wide.requires_grad_(False)
    return kept


def _norm_pruner(tp: ModuleType) -> object:
    """How torch-pruning slices our instance normalization: scale and shift of the same channels."""

    class NormPruner(tp.BasePruningFunc):
        """In and out channels are the same ones."""

        def prune_out_channels(self, layer: InstanceNorm, idxs: Sequence[int]) -> nn.Module:
            """Remove channels `idxs`."""
            kept = sorted(set(range(len(layer.weight))) - set(idxs))
            layer.weight = nn.Parameter(layer.weight.data[kept].clone())
            layer.bias = nn.Parameter(layer.bias.data[kept].clone())
            return layer

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: InstanceNorm) -> int:
            """How many there are."""
            return len(layer.weight)

        get_in_channels = get_out_channels

    return NormPruner()


def _library() -> ModuleType:
    try:
        import torch_pruning
    except ImportError:
        raise EngineUnavailable(
            "torch-pruning is not installed: pip install -e '.[prune]'"
        ) from None
    return torch_pruning
