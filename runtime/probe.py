"""Models without our card: what they eat is worked out from the graph and a few small pictures.

The graph tells element types, and mostly the order of axes and fixed sizes. The rest is tried:
which sizes run, and which value range makes the answer look like a picture of its own range. What
stays undecided (red first or blue first cannot be seen from outside) is said in the note, and every
finding can be replaced by a flag.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from . import arrays
from .card import Colors, Layout, ModelCard, Port, Role
from .engines import Engine, TensorInfo
from .errors import CardMismatch, StyleError, UsageError
from .plugins import suggest
from .probe_picture import alike, channel_match, fills, probe_picture

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
OVERRIDES = ("layout", "range", "colors", "size", "multiple_of")
DTYPES = ("float32", "float16", "uint8")
# Sizes tried for graphs of free size: what small and deep networks (five halvings) need.
SIZES = (128, 256, 512, 64)
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
MINIMA = (1, 2, 4, 8, 16, 32, 64)
# A range must be this much more likely than the next, or both must give the same picture.
CLEARLY = 0.05
# Levels of 255 by which pictures may differ and still count as the same.
SAME_LEVELS = 3.0
# Networks that hand back what they get are trained in one range: same range in and out is likelier.
SAME_RANGE_BONUS = 0.15
# Standard ONNX metadata (onnx MetadataProps.md).
NOMINAL = {
    "NominalRange_0_255": "0..255",
    "Normalized_0_1": "0..1",
    "Normalized_1_1": "-1..1",
}


def override(card: ModelCard, **overrides: Any) -> ModelCard:
    """The card with facts replaced by what the user says; see `session.open_session`."""
    for name in overrides:
        if name not in OVERRIDES:
            raise UsageError(f'unknown override "{name}".{suggest(name, list(OVERRIDES))}')
    if not overrides:
        return card

    def changed(port: Port) -> Port:
        if port.role not in ("image", "style"):
            return port
        facts: dict[str, Any] = {}
        if "layout" in overrides and overrides["layout"] != port.layout:
            facts["layout"] = overrides["layout"]
        if "colors" in overrides:
            facts["colors"] = overrides["colors"]
        if "range" in overrides:
            facts["low"], facts["high"] = _range(overrides["range"])
        port = replace(port, **facts)
        if "size" in overrides and port.role == "image":
            port = replace(port, shape=_sized(port, *overrides["size"]))
        return port

    return replace(
        card,
        inputs=tuple(changed(port) for port in card.inputs),
        outputs=tuple(changed(port) for port in card.outputs),
        multiple_of=overrides.get("multiple_of", card.multiple_of),
    )


def foreign_card(engine: Engine, path: Path, **overrides: Any) -> tuple[ModelCard, list[str]]:
    """Work out a card for a model that has none.

    Args:
        engine: the open model.
        path: its file, for messages.
        overrides: facts the user gave; they are not probed.

    Returns:
        the card, and one line that says what was inferred.

    Raises:
        CardMismatch: not an image-to-image model.
        UsageError: something cannot be decided; the message says which flag decides it.
    """
    override(_blank(path), **overrides)  # refuses unknown names before any work
    image, others = _roles(engine, path, overrides)
    trial = _Trial(engine, path, image, others)
    image = trial.settle_layout()
    if "size" in overrides:
        image = trial.use(replace(image, shape=_sized(image, *overrides["size"])))
    multiple, minimum, scaled = trial.settle_size(overrides.get("multiple_of"))
    low_high, output_range, ranged = trial.settle_range(overrides)
    colors, output_colors, colored = trial.settle_colors(overrides, low_high, output_range)
    image = replace(image, low=low_high[0], high=low_high[1], colors=colors)
    result = replace(trial.output, low=output_range[0], high=output_range[1], colors=output_colors)
    styles = tuple(
        replace(port, low=image.low, high=image.high, colors=colors)
        if port.role == "style"
        else port
        for port in others
    )
    card = ModelCard(
        name=path.stem,
        method="foreign",
        inputs=(image, *styles),
        outputs=(result,),
        multiple_of=multiple,
        minimum=minimum,
    )
    return card, [_note(card, path, ranged, colored, scaled)]


class _Trial:
    """Runs small pictures through a model under assumptions about its input."""

    def __init__(self, engine: Engine, path: Path, image: Port, others: tuple[Port, ...]) -> None:
        self.engine, self.path, self.image, self.others = engine, path, image, others
        self.output = Port(engine.outputs[0].name)
        self.size = (0, 0)

    def use(self, image: Port) -> Port:
        """Assume this from now on."""
        self.image = image
        return image

    def run(self, view: np.ndarray, port: Port) -> np.ndarray:
        """The first output for a float picture in 0..1. Raises StyleError if the graph refuses."""
        feeds = {port.name: arrays.float_to_tensor(view, port)}
        for other in self.others:
            if other.role == "style":
                fixed = arrays.fixed_size(other)
                style = probe_picture(*(fixed or view.shape[:2]), seed=5)
                # A style is a picture of the same kind.
                likewise = replace(other, low=port.low, high=port.high, colors=port.colors)
                feeds[other.name] = arrays.float_to_tensor(style, likewise)
            else:
                shape = tuple(axis if isinstance(axis, int) else 1 for axis in other.shape)
                feeds[other.name] = np.full(shape, other.default or 0.0, other.dtype)
        return self.engine.run(feeds, [self.output.name])[self.output.name]

    def settle_layout(self) -> Port:
        """Find an order of axes and a size that run and give three channels."""
        reasons: list[str] = []
        for layout in _layouts(self.engine, self.image):
            port = replace(self.image, layout=layout)
            fixed = arrays.fixed_size(port)
            for side in (fixed,) if fixed else ((size, size) for size in SIZES):
                try:
                    result = self.run(probe_picture(*side), port)
                except StyleError as error:
                    reasons.append(str(error))
                    continue
                found = _output_layout(result, side, layout)
                if found is None:
                    reasons.append(f"it answers {list(side)} with {list(result.shape)}")
                    continue
                dtype = str(result.dtype)
                if dtype not in DTYPES:
                    reasons.append(f"it answers in {dtype}")
                    continue
                self.output = replace(self.output, layout=found, dtype=dtype)
                self.size = side
                return self.use(port)
        last = f": {reasons[-1]}" if reasons else ""
        raise CardMismatch(f'"{self.path}" does not work as an image-to-image model{last}')

    def settle_size(self, given: int | None) -> tuple[int, int, bool]:
        """(multiple_of, minimum, whether answers have another size than the picture)."""
        if arrays.fixed_size(self.image) is not None:
            return 1, 1, False
        base = self.size[0]
        multiple = given or next((m for m in MULTIPLES if self._keeps_size(base + m)), 0)
        if not multiple:
            works = next((m for m in MULTIPLES if self._answers(base + m)), 0)
            if not works:
                # One size ran and its neighbors do not: what looks free is fixed inside.
                self.use(replace(self.image, shape=_sized(self.image, *self.size)))
                return 1, 1, False
            return works, base, True
        small = (m for m in MINIMA if m % multiple == 0 or m == multiple)
        minimum = next((m for m in small if self._keeps_size(m)), base)
        return multiple, minimum, False

    def _answers(self, side: int) -> tuple[int, ...] | None:
        try:
            return self.run(probe_picture(side, side), self.image).shape
        except StyleError:
            return None

    def _keeps_size(self, side: int) -> bool:
        row, column, _ = arrays.spatial_axes(self.output)
        shape = self._answers(side)
        return shape is not None and (shape[row], shape[column]) == (side, side)

    def settle_range(
        self, overrides: dict[str, Any]
    ) -> tuple[tuple[float, float], tuple[float, float], str]:
        """Value ranges in and out, and how they are known: "given", "stated" or "probed"."""
        byte = RANGES["0..255"]
        inputs = [byte] if self.image.dtype == "uint8" else list(RANGES.values())
        outputs = [byte] if self.output.dtype == "uint8" else list(RANGES.values())
        stated = NOMINAL.get(self.engine.metadata.get("Image.NominalPixelRange", ""))
        known = overrides.get("range") or stated
        if known:
            value = _range(known)
            inputs = [value] if self.image.dtype != "uint8" else inputs
            outputs = [value] if self.output.dtype != "uint8" else outputs
        how = "given" if "range" in overrides else "stated" if stated else "probed"
        if len(inputs) == len(outputs) == 1:
            return inputs[0], outputs[0], how
        ranked = sorted(
            (self._score(one, other) for one, other in product(inputs, outputs)),
            key=lambda entry: -entry[0],
        )
        best = ranked[0]
        if best[0] <= 0.0:
            raise UsageError(
                f'no value range makes the answers of "{self.path}" a picture; '
                "say which it wants: --range 0..1, -1..1 or 0..255"
            )
        for score, pair, picture in ranked[1:]:
            if best[0] - score >= CLEARLY:
                break
            if np.abs(picture - best[2]).max() * 255 > SAME_LEVELS:
                raise UsageError(
                    f'cannot tell whether "{self.path}" wants values in {_words(best[1][0])} or '
                    f"{_words(pair[0])}: say it with --range"
                )
        return best[1][0], best[1][1], how

    def _score(
        self, low_high: tuple[float, float], output_range: tuple[float, float]
    ) -> tuple[float, tuple[tuple[float, float], tuple[float, float]], np.ndarray]:
        """How much the answer looks like a picture under these ranges, and the picture."""
        view = probe_picture(*self.size)
        port = replace(self.image, low=low_high[0], high=low_high[1])
        result = self.run(view, port)
        output = replace(self.output, low=output_range[0], high=output_range[1])
        picture = arrays.tensor_to_float(result, output)
        score = fills(result[0].astype(np.float64), *output_range)
        score += 0.3 * alike(view, picture) + SAME_RANGE_BONUS * (low_high == output_range)
        return score, (low_high, output_range), picture

    def settle_colors(
        self,
        overrides: dict[str, Any],
        low_high: tuple[float, float],
        output_range: tuple[float, float],
    ) -> tuple[Colors, Colors, str]:
        """Channel orders in and out, and how they are known."""
        stated = self.engine.metadata.get("Image.BitmapPixelFormat", "")
        how, colors = "assumed", "RGB"
        if "colors" in overrides:
            how, colors = "given", overrides["colors"]
        elif stated[:3].upper() in ("RGB", "BGR"):
            how, colors = "stated", stated[:3].upper()
        elif "bgr" in self.image.name.lower():
            how, colors = "named", "BGR"
        view = probe_picture(*self.size)
        port = replace(self.image, low=low_high[0], high=low_high[1])
        output = replace(self.output, low=output_range[0], high=output_range[1])
        swapped = channel_match(view, arrays.tensor_to_float(self.run(view, port), output)) < 0.0
        other: Colors = "RGB" if colors == "BGR" else "BGR"
        return colors, other if swapped else colors, how  # type: ignore[return-value]


def _blank(path: Path) -> ModelCard:
    return ModelCard(path.stem, "foreign", (Port("image"),), (Port("image"),))


def _range(text: str) -> tuple[float, float]:
    if text not in RANGES:
        raise UsageError(f'range "{text}" is unknown, allowed are {", ".join(RANGES)}')
    return RANGES[text]


def _words(low_high: tuple[float, float]) -> str:
    return next(text for text, value in RANGES.items() if value == low_high)


def _sized(port: Port, height: int, width: int) -> tuple[int | str, ...]:
    shape = list(port.shape)
    row, column, _ = arrays.spatial_axes(port)
    shape[row], shape[column] = height, width
    return tuple(shape)


def _is_picture(info: TensorInfo) -> bool:
    """Four axes, a type of ours, and three channels (or room for them)."""
    if len(info.shape) != 4 or info.dtype not in DTYPES:
        return False
    first, last = info.shape[1], info.shape[3]
    return 3 in (first, last) or isinstance(first, str) or isinstance(last, str)


def _roles(engine: Engine, path: Path, overrides: dict[str, Any]) -> tuple[Port, tuple[Port, ...]]:
    """The picture input as a port (layout still open), and the other inputs."""
    pictures = [info for info in engine.inputs if _is_picture(info)]
    if not pictures or not any(len(info.shape) == 4 for info in engine.outputs):
        takes = ", ".join(f"{i.name} {list(i.shape)} {i.dtype}" for i in engine.inputs)
        gives = ", ".join(f"{o.name} {list(o.shape)} {o.dtype}" for o in engine.outputs)
        raise CardMismatch(
            f'"{path}" is no image-to-image model: it takes {takes or "nothing"} and gives {gives}'
        )
    if len(pictures) > 2:
        raise CardMismatch(f'"{path}" takes {len(pictures)} pictures; one or two are understood')
    styles = [info for info in pictures if "style" in info.name.lower()]
    style = styles[-1] if styles and len(pictures) == 2 else pictures[-1]
    image = next((info for info in pictures if info is not style), pictures[0])
    others = []
    for info in engine.inputs:
        if info is image:
            continue
        role: Role = "style" if info is style else _small_role(info, path)
        layout: Layout = "NHWC" if len(info.shape) == 4 and info.shape[3] == 3 else "NCHW"
        others.append(
            Port(
                info.name,
                role,
                info.shape,
                info.dtype if info.dtype in DTYPES else "float32",  # type: ignore[arg-type]
                layout,
                default=1.0 if role == "scalar" else None,
            )
        )
    layout = overrides.get("layout", "NCHW")
    port = Port(image.name, "image", image.shape, image.dtype, layout)  # type: ignore[arg-type]
    return port, tuple(others)


def _small_role(info: TensorInfo, path: Path) -> Role:
    size = int(np.prod([axis if isinstance(axis, int) else 1 for axis in info.shape]))
    if info.dtype not in ("float32", "float16"):
        raise CardMismatch(f'"{path}": what to feed to "{info.name}" ({info.dtype}) is unknown')
    return "scalar" if size == 1 else "code"


def _layouts(engine: Engine, image: Port) -> list[Layout]:
    """Orders of axes worth trying; a layout the user gave is already the port's."""
    shape = image.shape
    if shape[1] == 3 and shape[3] != 3:
        return ["NCHW"]
    if shape[3] == 3 and shape[1] != 3:
        return ["NHWC"]
    return [image.layout, "NHWC" if image.layout == "NCHW" else "NCHW"]


def _output_layout(result: np.ndarray, side: tuple[int, int], layout: Layout) -> Layout | None:
    """The output's order of axes, None if it is no picture of about the input's size."""
    if result.ndim != 4:
        return None
    for candidate in (layout, "NHWC" if layout == "NCHW" else "NCHW"):
        port = Port("output", layout=candidate)  # type: ignore[arg-type]
        row, column, channel = arrays.spatial_axes(port)
        close = all(
            length / 2 <= found <= length * 2
            for length, found in zip(side, (result.shape[row], result.shape[column]), strict=True)
        )
        if result.shape[channel] == 3 and close:
            return candidate  # type: ignore[return-value]
    return None


def _note(card: ModelCard, path: Path, ranged: str, colored: str, scaled: bool) -> str:
    """What was inferred, in one line."""
    image, output = card.port("image"), card.outputs[0]
    fixed = arrays.fixed_size(image)
    if fixed:
        size = f"{fixed[1]}x{fixed[0]} only"
    else:
        size = f"any size in multiples of {card.multiple_of}, from {card.minimum}"
    values = _words((image.low, image.high))
    if (output.low, output.high) != (image.low, image.high):
        values += f" in, {_words((output.low, output.high))} out"
    colors = image.colors + (f" in, {output.colors} out" if output.colors != image.colors else "")
    hint = " (--colors BGR if red and blue are swapped)" if colored == "assumed" else ""
    parts = [
        f"{image.layout} {image.dtype}",
        f"values {values} ({ranged})",
        f"{colors} {colored}{hint}",
        size + (", answers scaled to the picture's size" if scaled else ""),
    ]
    style = [port.name for port in card.inputs if port.role == "style"]
    parts += [f'style picture in "{style[0]}"'] if style else []
    return f"{path.name} has no Impasto card; inferred: {'; '.join(parts)}"
