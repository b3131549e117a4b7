"""Everything a graph eats besides the picture: styles, codes, parameters, and its own memory."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..card import ModelCard, Port
from ..engines import Engine
from ..errors import CardMismatch, UsageError
from ..inputs import inside
from ..plugins import suggest
from ..state import State, keep, nest, part
from . import arrays
from .card_check import card_of, fitted

# A picture (H, W, 3) uint8 RGB, its path, or the name of a style that the model knows.
Style = np.ndarray | str | Path
# What a model may take besides its picture: a number for a scalar, a style or several with weights,
# or a style vector; None is not given.
Condition = float | Style | Sequence[tuple[Style, float]] | Sequence[float] | None

# A free axis of a state port: "H", or a part of it such as "H/4".
AXIS = re.compile(r"([NHW])(?:/(\d+))?")


class Conditions:
    """Feeds for a card's non-image inputs; remembers states and style codes between pictures."""

    def __init__(
        self, card: ModelCard, path: Path, engine: str, device: str, encoder: Path | None = None
    ) -> None:
        """For a card.

        Args:
            card: of the model.
            path: of its file; companions lie beside it.
            engine, device: of the model, for its companions.
            encoder: the graph that turns pictures into codes, instead of the card's companion.
        """
        self._card, self._encoder = card, encoder
        self._folder = path.parent
        self._engine, self._device = engine, device
        ports = card.inputs
        self._scalars = {port.name: port for port in ports if port.role == "scalar"}
        self._codes = [port for port in ports if port.role == "code"]
        self._styles = [port for port in ports if port.role == "style"]
        self._noises = [port for port in ports if port.role == "noise"]
        self._states = [port for port in ports if port.role == "state"]
        self._state_outputs = [port for port in card.outputs if port.role == "state"]
        if len(self._states) != len(self._state_outputs):
            raise CardMismatch(
                f'model "{card.name}" has {len(self._states)} state inputs and '
                f"{len(self._state_outputs)} state outputs; they belong together in pairs"
            )
        self._memory: dict[str, np.ndarray] = {}
        self._size: tuple[int, int] = (0, 0)
        # The style itself is kept beside its key, so that no other array can get its identity.
        self._style_key: object = None
        self._style_kept: Condition = None
        self._style_feeds: dict[str, np.ndarray] = {}
        self._companions: dict[str, tuple[Engine, ModelCard]] = {}

    def feeds(
        self, given: Mapping[str, Condition], height: int, width: int
    ) -> dict[str, np.ndarray]:
        """All tensors besides the picture, for a picture of this (padded) size."""
        self._check(given)
        feeds = {
            name: _filled(port, given.get(name, port.default))
            for name, port in self._scalars.items()
        }
        feeds |= {port.name: _noise(port, given.get("variation")) for port in self._noises}
        if self._codes or self._styles:
            feeds.update(self._style(given))
        if self._states:
            if (height, width) != self._size:
                self._size = (height, width)
                self.reset()
            for port in self._states:
                if port.name not in self._memory:
                    self._memory[port.name] = _zeros(port, height, width)
            feeds.update(self._memory)
        return feeds

    def remember(self, results: dict[str, np.ndarray]) -> None:
        """Keep the state outputs for the next picture."""
        for port, output in zip(self._states, self._state_outputs, strict=True):
            self._memory[port.name] = results[output.name]

    def reset(self) -> None:
        """The next picture starts from zero states."""
        self._memory.clear()

    def state(self) -> State:
        """What is remembered."""
        return {
            **nest("memory", {name: np.array(value) for name, value in self._memory.items()}),
            **keep(self, "_size"),
        }

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        self._memory = part("memory", state)
        height, width = (int(side) for side in state["_size"])
        self._size = (height, width)

    def close(self) -> None:
        """Close the companions; may be called twice."""
        for engine, _ in self._companions.values():
            engine.close()
        self._companions.clear()

    def _check(self, given: Mapping[str, Condition]) -> None:
        known = [*self._scalars]
        if self._codes or self._styles:
            known += ["style", "code"]
        if self._noises:
            known.append("variation")
        for name in given:
            if name not in known:
                raise UsageError(
                    f'model "{self._card.name}" takes no "{name}".{suggest(name, known)}'
                )

    def _style(self, given: Mapping[str, Condition]) -> dict[str, np.ndarray]:
        """Tensors of the code and style ports; the companion runs once per style, not per frame."""
        style, code = given.get("style"), given.get("code")
        key = _key(style if style is not None else code)
        if key != self._style_key or not self._style_feeds:
            self._style_feeds = {
                **{port.name: self._code(port, style, code) for port in self._codes},
                **{port.name: _picture(port, self._one(style)) for port in self._styles},
            }
            self._style_key, self._style_kept = key, style if style is not None else code
        return self._style_feeds

    def _code(self, port: Port, style: Condition, code: Condition) -> np.ndarray:
        pairs = _pairs(style) if style is not None else []
        named = all(isinstance(name, str) and name in port.names for name, _ in pairs)
        if pairs and (port.companion or self._encoder) and not (port.names and named):
            total = sum(weight for _, weight in pairs)
            parts = [
                vector * np.asarray(weight / total, vector.dtype)
                for vector, weight in ((self._encode(port, part), weight) for part, weight in pairs)
            ]
            return np.sum(parts, axis=0, dtype=parts[0].dtype)
        if pairs and port.names:
            return _mixture(port, pairs)
        if code is not None:
            vector = np.asarray(code, port.dtype)
            return vector if vector.ndim == len(port.shape) else vector[None]
        if port.default is not None:
            return _filled(port, port.default)
        raise UsageError(self._missing())

    def _encode(self, port: Port, style: Style) -> np.ndarray:
        """Run the companion graph on a style picture."""
        name = port.companion or ""
        if name not in self._companions:
            path = self._encoder or inside(self._folder, name, "the card")
            self._companions[name] = _open_companion(path, self._engine, self._device)
        engine, card = self._companions[name]
        image = next((p for p in card.inputs if p.role in ("style", "image")), None)
        if image is None:
            raise CardMismatch(f'companion "{name}" takes no picture')
        pixels = load_style(style)
        fixed = arrays.fixed_size(image)
        if fixed is not None:
            pixels = arrays.resize(pixels, *fixed)
        else:
            height, width = pixels.shape[:2]
            size = arrays.padded_size(height, width, card.multiple_of, card.minimum)
            pixels = arrays.resize(pixels, *size)
        results = engine.run({image.name: arrays.to_tensor(pixels, image)})
        if port.name in results:
            return results[port.name]
        return results[card.outputs[self._codes.index(port)].name]

    def _one(self, style: Condition) -> np.ndarray:
        if style is None:
            raise UsageError(self._missing())
        pairs = _pairs(style)
        if len(pairs) != 1:
            raise UsageError(f'model "{self._card.name}" takes one style picture at a time')
        return load_style(pairs[0][0])

    def _missing(self) -> str:
        names = next((port.names for port in self._codes if port.names), ())
        what = f"one of {_listed(names)}" if names else "FILE"
        return f'model "{self._card.name}" paints in the style you give it: add --style {what}'


def _mixture(port: Port, pairs: Sequence[tuple[Style, float]]) -> np.ndarray:
    """The code (1, number of names) in which each named style has its share.

    Raises:
        UsageError: a name that the model does not know, or a picture in place of a name.
    """
    vector = np.zeros((1, len(port.names)), port.dtype)
    for name, weight in pairs:
        if not isinstance(name, str) or name not in port.names:
            asked = f'"{name}"' if isinstance(name, str) else "a picture"
            raise UsageError(
                f"--style is {asked}; this model knows its own by name and mixes them by weight: "
                f"{_listed(port.names)}; for pictures it needs --style-encoder FILE"
            )
        vector[0, port.names.index(name)] += weight
    shape = tuple(axis if isinstance(axis, int) else 1 for axis in port.shape)
    return (vector / vector.sum()).reshape(shape)


def _listed(names: Sequence[str]) -> str:
    """Names of styles; "0 to 25" where they are but numbers."""
    if list(names) == [str(number) for number in range(len(names))]:
        return f"0 to {len(names) - 1}"
    return ", ".join(names)


def load_style(style: Style) -> np.ndarray:
    """(H, W, 3) uint8 RGB from a picture or the path of one."""
    if isinstance(style, np.ndarray):
        return style
    from ..pictures.reading import read_rgb

    return read_rgb(Path(style))


def _pairs(style: Condition) -> list[tuple[Style, float]]:
    """Styles with their weights.

    Raises:
        UsageError: it is neither a style nor a list of such pairs.
    """
    if isinstance(style, np.ndarray | str | Path):
        return [(style, 1.0)]
    pairs: list[tuple[Style, float]] = []
    for entry in style if isinstance(style, Sequence) else [style]:
        if not isinstance(entry, tuple):
            raise UsageError(f'style "{entry}" is no picture, path, or (picture, weight) pair')
        pairs.append(entry)
    return pairs


def _key(style: Condition) -> object:
    """Something that changes when the style does; another array object counts as another style."""
    if isinstance(style, np.ndarray):
        return ("array", id(style), style.shape)
    if isinstance(style, Sequence) and not isinstance(style, str):
        return tuple(
            (_key(entry[0]), entry[1]) if isinstance(entry, tuple) else entry for entry in style
        )
    return str(style)


def _open_companion(path: Path, engine_name: str, device: str) -> tuple[Engine, ModelCard]:
    from . import formats, loops

    if not path.is_file():
        raise CardMismatch(f'the companion "{path.name}" is missing: it belongs beside the model')
    name = formats.choose(path, engine_name)
    engine = loops.opened(lambda: formats.open_model(path, name, device), path, name, device)
    card = card_of(engine, path)
    if card is None:
        from . import probe

        return engine, probe.encoder_card(engine, path)
    return engine, fitted(card, engine, path)[0]


def _picture(port: Port, image: np.ndarray) -> np.ndarray:
    fixed = arrays.fixed_size(port)
    return arrays.to_tensor(arrays.resize(image, *fixed) if fixed else image, port)


def _filled(port: Port, value: Condition) -> np.ndarray:
    if value is None:
        raise UsageError(
            f'the model needs a value for "{port.name}": --parameter {port.name}=NUMBER'
        )
    if not isinstance(value, (int, float)):
        raise UsageError(f'"{port.name}" is "{value}", allowed is a number')
    if port.role == "scalar" and not port.low <= value <= port.high:
        raise UsageError(f'"{port.name}" is {value}, allowed is {port.low:g}..{port.high:g}')
    shape = tuple(axis if isinstance(axis, int) else 1 for axis in port.shape)
    return np.full(shape, value, port.dtype)


def _noise(port: Port, variation: Condition) -> np.ndarray:
    """The noise of a variation: drawn from N(0, 1) with this number as its seed, so that the same
    number is the same answer everywhere; the numbers themselves; or, without one, the default.

    Raises:
        UsageError: no whole number from 0, nor as many numbers as the port has.
    """
    if variation is None:
        return _filled(port, port.default)
    shape = tuple(axis if isinstance(axis, int) else 1 for axis in port.shape)
    if isinstance(variation, Sequence) and not isinstance(variation, str):
        variation = np.asarray(variation, np.float32)
    if isinstance(variation, np.ndarray) and variation.size == np.prod(shape):
        return variation.astype(port.dtype).reshape(shape)
    if isinstance(variation, int | float) and variation >= 0 and variation == int(variation):
        drawn = np.random.default_rng(int(variation)).standard_normal(shape)
        return drawn.astype(port.dtype)
    raise UsageError(
        f"variation is {variation}, allowed is a whole number from 0, or {int(np.prod(shape))} "
        "numbers"
    )


def _zeros(port: Port, height: int, width: int) -> np.ndarray:
    whole = {"N": 1, "H": height, "W": width}

    def length(axis: int | str) -> int:
        if isinstance(axis, int):
            return axis
        match = AXIS.fullmatch(axis)
        if match is None:
            raise CardMismatch(
                f'state "{port.name}": axis "{axis}" is unknown, allowed are N, H, W, H/4, ...'
            )
        return -(-whole[match[1]] // int(match[2] or 1))

    return np.zeros(tuple(length(axis) for axis in port.shape), port.dtype)
