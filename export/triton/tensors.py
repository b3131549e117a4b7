"""What served models take and give, as Triton calls it."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime import input_noise
from runtime.card import ModelCard, Port


@dataclass(frozen=True)
class Tensor:
    """An input or output: name, Triton's type ("UINT8"), shape without a batch axis (-1 is free),
    whether a request may leave it out."""

    name: str
    type: str
    dims: tuple[int, ...]
    optional: bool = False


IMAGE = Tensor("image", "UINT8", (-1, -1, 3))
STYLED = Tensor("styled", "UINT8", (-1, -1, 3))
FILE = Tensor("file", "STRING", (1,))
PAINTED = Tensor("painted", "STRING", (1,))
STILL = Tensor("still", "BOOL", (1,), optional=True)
CUT = Tensor("cut", "BOOL", (1,))


def conditions(card: ModelCard) -> list[Tensor]:
    """What a model takes besides its picture. Strength is always there: without a parameter of the
    model it is a blend."""
    found = [Tensor("strength", "FP32", (1,), optional=True)]
    for port in card.inputs:
        if port.role == "scalar" and port.name != "strength":
            found.append(Tensor(port.name, "FP32", (1,), port.default is not None))
        elif port.role in ("code", "style"):
            found += _style(port)
    return found


def noise(card: ModelCard) -> list[Tensor]:
    """Whether a request's pictures are stills, of models that give those input noise."""
    return [STILL] if input_noise.learned(card) else []


def _style(port: Port) -> list[Tensor]:
    known = port.default is not None
    if port.companion or port.role == "style":
        return [Tensor("style", "UINT8", (-1, -1, 3), known)]
    dims = tuple(axis if isinstance(axis, int) else -1 for axis in port.shape[1:])
    code = Tensor("code", "FP32", dims, known)
    if not port.names:
        return [code]
    weights = Tensor("weights", "FP32", (-1,), optional=True)
    return [Tensor("style", "STRING", (-1,), known), weights, code]


def graph(ports: Sequence[Port], *batch: int) -> list[Tensor]:
    """Ports of a graph as Triton calls them; without their batch axis, or with the one given."""
    kinds = {"float32": "FP32", "float16": "FP16", "uint8": "UINT8"}
    return [
        Tensor(
            port.name,
            kinds[port.dtype],
            (*batch, *(axis if isinstance(axis, int) else -1 for axis in port.shape[1:])),
        )
        for port in ports
    ]
