"""Where a network begins whose normalizations take a code."""

from torch import Tensor, nn

from runtime.errors import UsageError

from ..checkpoint import find_checkpoint, load_checkpoint
from ..networks._parts.styled import StyledTrunk

SHAPE = ("width", "blocks", "scale", "normalization")


def begin_from(generator: nn.Module, name: str, path: str) -> None:
    """Take the weights of a checkpoint.

    Args:
        generator: to begin; of a `StyledTrunk`, `begin_at(modulation)` is asked for.
        name: of the network it is.
        path: checkpoint of a network of that name, or of a lean one of the trunk's shape: what its
            normalizations scale and shift with becomes every style's first modulation.

    Raises:
        UsageError: no such file, or it is of another network.
    """
    found = load_checkpoint(find_checkpoint(path, "options.start"))
    state = found.group("ema") or found.group("generator")
    lean = {"normalization": "instance", **found.network}
    if found.network["name"] == name and _fits(generator, state):
        generator.load_state_dict(state)
    elif (
        isinstance(generator, StyledTrunk)
        and lean["name"] == "lean"
        and [lean.get(key) for key in SHAPE] == _shape(generator)
    ):
        generator.begin_at(generator.take_folded(state))  # type: ignore[operator]
    else:
        raise UsageError(
            f'options.start is "{path}", {found.network}; allowed are a "{name}" network of these '
            f"settings and, for a lean trunk, a lean network of its {', '.join(SHAPE)}"
        )


def _fits(generator: nn.Module, state: dict[str, Tensor]) -> bool:
    own = generator.state_dict()
    return own.keys() == state.keys() and all(own[key].shape == state[key].shape for key in own)


def _shape(generator: StyledTrunk) -> list[object]:
    return [generator.width, len(generator.trunk), generator.scale, generator.normalization]
