"""The styles that one model has on a page: one, one for each painting that it knows by name, or one
whose painting the visitor brings."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime.card import JsonObject, ModelCard, Port
from runtime.errors import CardMismatch
from runtime.frame import Image
from runtime.model import arrays, zoo
from runtime.model.formats import open_model
from runtime.model.session import StyleSession

# What a visitor's painting is called until there is one.
OWN = "Your painting"


class Look(NamedTuple):
    """A style of a model.

    Attributes:
        name: for files and addresses.
        title: for people; "" where the card has one.
        style: its name among those that the model knows, "" for none.
        codes: what the graph is fed besides the picture, by port: plain numbers.
    """

    name: str
    title: str
    style: str
    codes: dict[str, list[float]]


def code_port(card: ModelCard) -> Port | None:
    """The port that takes a style as numbers, None where there is none."""
    return next((port for port in card.inputs if port.role == "code"), None)


def looks_of(called: str, card: ModelCard, path: Path, painting: Image) -> list[Look]:
    """The styles of a model that a page calls `called`.

    Args:
        called: name of the model.
        card, path: of it.
        painting: (H, W, 3) uint8 RGB, what stands for the visitor's own until there is one.

    Raises:
        CardMismatch: the graph that reads paintings is not beside the model.
    """
    port = code_port(card)
    if port is None:
        return [Look(called, "", "", {})]
    encoder = encoder_of(card, path)
    if encoder is not None:
        code = encode(*encoder, painting)
        return [Look(called, OWN, "", {port.name: code})]
    every = np.eye(len(port.names))
    return [
        Look(f"{called}-{name}", painting_title(name), name, {port.name: row.tolist()})
        for name, row in zip(port.names, every, strict=True)
    ]


def encode(path: Path, card: ModelCard, painting: Image) -> list[float]:
    """What a graph that reads paintings makes of one, by ONNX Runtime."""
    port = card.inputs[0]
    height, width = painting.shape[:2]
    size = arrays.padded_size(height, width, card.multiple_of, card.minimum)
    tensor = arrays.to_tensor(arrays.resize(painting, *size), port)
    engine = open_model(path, "onnxruntime", "cpu")
    try:
        return engine.run({port.name: tensor})[card.outputs[0].name].ravel().tolist()
    finally:
        engine.close()


def painting_title(name: str) -> str:
    """`the_scream` becomes "The scream"."""
    words = name.split("_")
    numerals = [word.upper() if set(word) <= set("ivx") else word for word in words[1:]]
    return " ".join([words[0].capitalize(), *numerals])


def encoder_of(card: ModelCard, path: Path) -> tuple[Path, ModelCard] | None:
    """File and card of the graph that turns a painting into numbers; None where none is needed.

    Raises:
        CardMismatch: it is not beside the model.
    """
    port = code_port(card)
    if port is None or port.names or not port.companion:
        return None
    file = path.with_name(Path(port.companion).name)
    found = zoo.read_card(file) if file.is_file() else None
    if found is None:
        raise CardMismatch(f'"{file.name}" is missing beside "{path.name}": it reads paintings')
    return file, found


class Given:
    """A session that paints in one style of several; see `export.verify.parity.Painter`."""

    def __init__(self, session: StyleSession, look: Look) -> None:
        self._session = session
        self._given: dict[str, str | list[float]] = {}
        if look.style:
            self._given = {"style": look.style}
        elif look.codes:
            (self._given["code"],) = look.codes.values()

    def stylize(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB -> the painted one."""
        return self._session.stylize(image, strength=1.0, offset=None, **self._given)

    def stylize_float(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 in 0..1 -> the painted one."""
        return self._session.stylize_float(image, strength=1.0, offset=None, **self._given)

    def reset(self) -> None:
        """Forget earlier pictures."""
        self._session.reset()


def unknown_roles(card: ModelCard) -> Sequence[str]:
    """What a model needs that no page gives it, sorted."""
    known = {"image", "scalar"}
    ports = [port for port in card.inputs if port.role == "code"]
    if len(ports) == 1 and (ports[0].names or ports[0].companion):
        known.add("code")
    return sorted({str(port.role) for port in card.inputs} - known)


def encoder_facts(encoder: ModelCard, port: Port) -> JsonObject:
    """What a page must know to run the graph that reads paintings for a port."""
    return {
        "multiple_of": encoder.multiple_of,
        "minimum": encoder.minimum,
        "output": encoder.outputs[0].name,
        "port": port.name,
    }
