"""Checkpoints of other people's code, one family per file: weights in, weights of our networks out.

Each file ends in `PLUGIN = <class>`. A family knows names and shapes of a published implementation,
recognizes its state dictionaries by them, and writes the same function as one of our networks.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from runtime.card import JsonObject
from runtime.fields import is_whole

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = "dict[str, Tensor]"


@dataclass(frozen=True)
class Converted:
    """A foreign network as one of ours.

    Attributes:
        network: {"name": ..., **config} of ours.
        tensors: its weights by their names in our network.
        method: of our recipes that such networks are trained by.
        notes: what a user should know.
    """

    network: JsonObject
    tensors: State
    method: str
    notes: tuple[str, ...] = field(default=())


class Family(Protocol):
    """What `PLUGIN`, a class of a family's file, offers.

    Attributes:
        label: what people call it.
    """

    label: str

    @staticmethod
    def matches(state: State) -> bool:
        """Whether these are weights of this family, by their names."""
        ...

    @staticmethod
    def convert(state: State) -> Converted:
        """The same function as a network of ours.

        Raises:
            KeyError, ValueError, RuntimeError: names or shapes are not those of the family.
        """
        ...


def without_statistics(state: State) -> State:
    """Without what old releases of PyTorch stored for instance normalization and did not use."""
    return {
        name: tensor
        for name, tensor in state.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }


def count(state: State, prefix: str) -> int:
    """How many numbered groups `<prefix>N.` there are, from the lowest number on without a gap."""
    numbers = {
        int(rest)
        for name in state
        if name.startswith(prefix) and is_whole(rest := name[len(prefix) :].partition(".")[0])
    }
    first = min(numbers, default=0)
    return next((k for k in range(len(numbers) + 1) if first + k not in numbers), 0)
