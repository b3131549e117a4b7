"""Where a network begins whose normalizations take a code, and an encoder of paintings that is to
write it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from runtime.errors import UsageError

from ..checkpoint import find_checkpoint, load_checkpoint
from ..networks._parts.styled import StyledTrunk

SHAPE = ("width", "blocks", "scale", "normalization")
TRUNK = ("stem.", "trunk.", "head.")
# Six hundred steps leave 1.5 % of sixteen paintings' codes at a rate of 2e-3, 0.6 % at 6e-3; what
# follows is training, which need not begin that near.
STEPS = 250
RATE = 5e-3


def begin_from(generator: nn.Module, name: str, path: str) -> dict[str, Tensor]:
    """Take the weights of a checkpoint.

    Args:
        generator: to begin; of a `StyledTrunk`, `begin_at(modulation)` is asked for.
        name: of the network it is.
        path: checkpoint of a network of that name, or of a lean or "cin" one of the trunk's shape:
            what its normalizations scale and shift with becomes every style's first modulation, of
            "cin" the mean of all.

    Returns:
        of a "cin" network that is another's trunk, its modulations (L * 2 * width) by names of the
        paintings: what an encoder of paintings can learn to write (`learn_codes`).

    Raises:
        UsageError: no such file, or it is of another network.
    """
    found = load_checkpoint(find_checkpoint(path, "options.start"))
    state = found.group("ema") or found.group("generator")
    if found.network["name"] == name and _fits(generator, state):
        generator.load_state_dict(state)
        return {}
    other = {"normalization": "instance", **found.network}
    shape = [other.get(key) for key in SHAPE]
    if isinstance(generator, StyledTrunk) and shape == _shape(generator):
        if other["name"] == "lean":
            generator.begin_at(generator.take_folded(state))  # type: ignore[operator]
            return {}
        if other["name"] == "cin":
            table = state.pop("table")
            generator.load_state_dict(state, strict=False)
            generator.begin_at(table.mean(0))  # type: ignore[operator]
            return dict(zip(other["names"], table, strict=False))  # type: ignore[arg-type]
    raise UsageError(
        f'options.start is "{path}", {found.network}; allowed are a "{name}" network of these '
        f'settings and, for a lean trunk, a lean or "cin" one of its {", ".join(SHAPE)}'
    )


def _fits(generator: nn.Module, state: dict[str, Tensor]) -> bool:
    own = generator.state_dict()
    return own.keys() == state.keys() and all(own[key].shape == state[key].shape for key in own)


def _shape(generator: StyledTrunk) -> list[object]:
    return [generator.width, len(generator.trunk), generator.scale, generator.normalization]


def learn_codes(
    generator: nn.Module, squares: Callable[[], Tensor], codes: Tensor, steps: int = STEPS
) -> float:
    """Let `generator.encode` write these codes for these paintings.

        L = mean |encode(square of painting i) - code_i|^2 / mean |code_i - mean of codes|^2

    Its other weights stay as they are. What it writes for paintings that nobody taught it lies
    between what was taught: trained on, it begins with strokes that differ, and not with one
    painting's in the colors of another.

    Args:
        generator: with `encode`, images (N, 3, H, W) -> (N, D).
        squares: draws one square of each of the S paintings, (S, 3, H, W) RGB in [0, 1].
        codes: (S, D).
        steps: of Adam.

    Returns:
        L of the last step: 1 for an encoder that says the same of all.
    """
    learned = [p for name, p in generator.named_parameters() if not name.startswith(TRUNK)]
    optimizer = torch.optim.Adam(learned, RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    spread = (codes - codes.mean(0)).square().mean()
    error = torch.ones(())
    for _ in range(steps):
        error = (generator.encode(squares()) - codes).square().mean() / spread  # type: ignore[operator]
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        schedule.step()
    return float(error.detach())
