"""Small pictures through an unknown model: which sizes, ranges and channel orders make sense."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from ..card import CardFacts, Colors, Layout, Port
from ..engines import Engine
from ..errors import CardMismatch, StyleError, UsageError
from . import arrays
from .probe_picture import alike, channel_match, fills, probe_picture

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
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


class Trial:
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
                self.use(replace(self.image, shape=sized(self.image, *self.size)))
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
        self, overrides: CardFacts
    ) -> tuple[tuple[float, float], tuple[float, float], str]:
        """Value ranges in and out, and how they are known: "given", "stated" or "probed"."""
        byte = RANGES["0..255"]
        inputs = [byte] if self.image.dtype == "uint8" else list(RANGES.values())
        outputs = [byte] if self.output.dtype == "uint8" else list(RANGES.values())
        stated = NOMINAL.get(self.engine.metadata.get("Image.NominalPixelRange", ""))
        known = overrides.get("range") or stated
        if known:
            value = value_range(known)
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
                    f'cannot tell whether "{self.path}" wants values in '
                    f"{range_words(best[1][0])} or {range_words(pair[0])}: say it with --range"
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
        overrides: CardFacts,
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


def value_range(text: str) -> tuple[float, float]:
    """Read "-1..1" as numbers. Raises UsageError listing what is allowed."""
    if text not in RANGES:
        raise UsageError(f'range "{text}" is unknown, allowed are {", ".join(RANGES)}')
    return RANGES[text]


def range_words(low_high: tuple[float, float]) -> str:
    """(-1.0, 1.0) as "-1..1"."""
    return next(text for text, value in RANGES.items() if value == low_high)


def sized(port: Port, height: int, width: int) -> tuple[int | str, ...]:
    """The port's shape with this size fixed."""
    shape = list(port.shape)
    row, column, _ = arrays.spatial_axes(port)
    shape[row], shape[column] = height, width
    return tuple(shape)


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
