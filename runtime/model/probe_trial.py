"""Small pictures through an unknown model: which sizes, ranges and channel orders make sense."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from ..card import CardFacts, Colors, Layout, Port
from ..engines import Engine
from ..errors import CardMismatch, StyleError, UsageError
from ..plugins import suggest
from . import arrays
from .probe_graph import RANGES, Ends
from .probe_picture import alike, channel_match, fills, probe_picture

DTYPES = ("float32", "float16", "uint8")
# Sizes tried for graphs of free size: what small and deep networks (five halvings) need.
SIZES = (128, 256, 512, 64)
# How many times larger an answer may be: networks for super-resolution go to 8.
LARGEST = 8
# Side of the smallest pictures that are painted as they are; smaller ones are mirrored up to it.
LEAST = 64
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
MINIMA = (1, 2, 4, 8, 16, 32, 64)
# A range must be this much more likely than the next, or both must give the same picture.
CLEARLY = 0.1
# Weight of edges that lie where the picture's do: they blur and double where values are too large.
ALIKE = 2.0
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
        self._answers: dict[tuple[float, float], np.ndarray] = {}
        self.unchanged = False  # whether the answer is the picture itself

    def use(self, image: Port) -> Port:
        """Assume this from now on."""
        self.image = image
        return image

    def run(self, view: np.ndarray, port: Port) -> np.ndarray:
        """The answer to a float picture in 0..1. Raises StyleError if the graph refuses."""
        return self.engine.run(self.feeds(view, port), [self.output.name])[self.output.name]

    def answer(self, low_high: tuple[float, float]) -> np.ndarray:
        """The answer to the picture of the probe in this range; each is asked for once."""
        if low_high not in self._answers:
            port = replace(self.image, low=low_high[0], high=low_high[1])
            self._answers[low_high] = self.run(probe_picture(*self.size), port)
        return self._answers[low_high]

    def feeds(self, view: np.ndarray, port: Port) -> dict[str, np.ndarray]:
        """All inputs for a float picture in 0..1."""
        feeds = {port.name: arrays.float_to_tensor(view, port)}
        for other in self.others:
            if other.role == "style":
                fixed = arrays.fixed_size(other)
                style = probe_picture(*(fixed or view.shape[:2]), seed=5)
                # A style is a picture of the same kind.
                likewise = replace(other, low=port.low, high=port.high, colors=port.colors)
                feeds[other.name] = arrays.float_to_tensor(style, likewise)
            elif other.role == "state":
                feeds[other.name] = np.zeros(
                    arrays.tensor_shape(other, *view.shape[:2]), other.dtype
                )
            else:
                feeds[other.name] = _stand_in(other)
        return feeds

    def settle_layout(self, size: tuple[int, int] | None = None, output: str | None = None) -> Port:
        """Find an order of axes, a size and an output that run and give three channels.

        Args:
            size: (height, width) if the user gave one.
            output: name of the picture's output if the user gave one.

        Raises:
            CardMismatch: there is none.
            UsageError: there is no output of this name.
        """
        known = [info.name for info in self.engine.outputs]
        if output is not None and output not in known:
            raise UsageError(f'no output "{output}".{suggest(output, known)}')
        wanted = [output] if output is not None else _pictures(self.engine)
        reasons: list[str] = []
        for layout in _layouts(self.engine, self.image):
            port = replace(self.image, layout=layout)
            if size is not None:
                port = replace(port, shape=sized(port, *size))
            fixed = arrays.fixed_size(port)
            for side in (fixed,) if fixed else ((size, size) for size in SIZES):
                feeds = self.feeds(probe_picture(*side), port)
                try:
                    results = self.engine.run(feeds, wanted)
                except StyleError as error:
                    reasons.append(str(error))
                    continue
                found = self._choose(results, feeds[port.name], side, layout, reasons)
                if found is not None:
                    self.output, self.size = found, side
                    self._answers = {(port.low, port.high): results[found.name]}
                    return self.use(port)
        last = f": {reasons[-1]}" if reasons else ""
        raise CardMismatch(f'"{self.path}" does not work as an image-to-image model{last}')

    def _choose(
        self,
        results: dict[str, np.ndarray],
        given: np.ndarray,
        side: tuple[int, int],
        layout: Layout,
        reasons: list[str],
    ) -> Port | None:
        """The output that is a painted picture: features, masks and the picture itself may come
        before it."""
        found: list[Port] = []
        for name, result in results.items():
            order = _output_layout(result, side, layout)
            if order is None:
                reasons.append(f"it answers {list(side)} with {list(np.shape(result))}")
            elif str(result.dtype) not in DTYPES:
                reasons.append(f"it answers in {result.dtype}")
            else:
                found.append(Port(name, layout=order, dtype=str(result.dtype)))  # type: ignore[arg-type]
        changed = [port for port in found if not _same(results[port.name], given)]
        self.unchanged = bool(found) and not changed
        return next(iter(changed or found), None)

    def settle_size(self, given: int | None, stride: int = 0) -> tuple[int, int, bool]:
        """(multiple_of, minimum, whether answers have another size than the picture).

        Args:
            given: `multiple_of` if the user gave one.
            stride: what the graph says (`probe_strides`), 0 if it cannot be read: one run shows
                whether it is right.
        """
        if arrays.fixed_size(self.image) is not None:
            return 1, 1, False
        base = self.size[0]
        expected = given or stride
        if expected:
            least = -(-LEAST // expected) * expected
            if self._keeps_size(least, least + expected):
                return expected, least, False
        multiple = given or next((m for m in MULTIPLES if self._keeps_size(base + m)), 0)
        if not multiple:
            works = next((m for m in MULTIPLES if self._shape(base + m)), 0)
            if not works:
                # One size ran and its neighbors do not: what looks free is fixed inside.
                self.use(replace(self.image, shape=sized(self.image, *self.size)))
                return 1, 1, False
            return works, base, True
        small = (m for m in MINIMA if m % multiple == 0 or m == multiple)
        minimum = next((m for m in small if self._keeps_size(m)), base)
        return multiple, minimum, False

    def _shape(self, height: int, width: int = 0) -> tuple[int, ...] | None:
        try:
            return self.run(probe_picture(height, width or height), self.image).shape
        except StyleError:
            return None

    def _keeps_size(self, height: int, width: int = 0) -> bool:
        row, column, _ = arrays.spatial_axes(self.output)
        shape = self._shape(height, width)
        return shape is not None and (shape[row], shape[column]) == (height, width or height)

    def settle_range(
        self, overrides: CardFacts, ends: Ends
    ) -> tuple[tuple[float, float], tuple[float, float], str]:
        """Value ranges in and out, and how they are known: "given", "stated", why (from the
        graph's ends), or "probed"."""
        byte = RANGES["0..255"]
        inputs = [byte] if self.image.dtype == "uint8" else list(RANGES.values())
        outputs = [byte] if self.output.dtype == "uint8" else list(RANGES.values())
        stated = NOMINAL.get(self.engine.metadata.get("Image.NominalPixelRange", ""))
        given = overrides.get("range")
        taken = overrides.get("input_range", given) or stated or ends.input_range
        made = overrides.get("output_range", given) or stated or ends.output_range
        if taken and self.image.dtype != "uint8":
            inputs = [value_range(taken)]
        if made and self.output.dtype != "uint8":
            outputs = [value_range(made)]
        how = "given" if given or {"input_range", "output_range"} & set(overrides) else "probed"
        if how == "probed" and (stated or ends.reasons):
            how = "stated" if stated else f"it {' and '.join(ends.reasons)}"
        if len(inputs) == len(outputs) == 1:
            return inputs[0], outputs[0], how
        ranked = sorted(
            (self._score(one, other) for one, other in product(inputs, outputs)),
            key=lambda entry: -entry[0],
        )
        best = ranked[0]
        if best[0] <= 0.0:
            raise UsageError(
                f'no value range makes the answers of "{self.path}" a picture; say which it wants '
                "and gives: --range 0..1, -1..1 or 0..255, or --input-range and --output-range"
            )
        near = [entry for entry in ranked if best[0] - entry[0] < CLEARLY]
        others = [pair for _, pair, picture in near if not _alike_inside(picture, best[2])]
        if others:
            raise UsageError(_question(self.path, [best[1], *others]))
        # What answers alike whatever it is fed is fed what it gives.
        chosen = next((pair for _, pair, _ in near if pair[0] == pair[1]), best[1])
        return chosen[0], chosen[1], how

    def outside(self, low_high: tuple[float, float], output_range: tuple[float, float]) -> float:
        """Share of the answer's values that lie clearly outside this range."""
        low, high = output_range
        room = 0.1 * (high - low)
        values = self.answer(low_high)
        return float(np.mean((values < low - room) | (values > high + room)))

    def _score(
        self, low_high: tuple[float, float], output_range: tuple[float, float]
    ) -> tuple[float, tuple[tuple[float, float], tuple[float, float]], np.ndarray]:
        """How much the answer looks like a picture under these ranges, and the picture."""
        view = probe_picture(*self.size)
        result = self.answer(low_high)
        output = replace(self.output, low=output_range[0], high=output_range[1])
        picture = arrays.tensor_to_float(result, output)
        score = fills(result[0].astype(np.float64), *output_range)
        score += ALIKE * alike(_inside(view), _inside(picture)) + SAME_RANGE_BONUS * (
            low_high == output_range
        )
        return score, (low_high, output_range), picture

    def settle_colors(
        self,
        overrides: CardFacts,
        ends: Ends,
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
        elif ends.colors:
            how, colors = "by its graph", ends.colors
        elif "bgr" in self.image.name.lower():
            how, colors = "named", "BGR"
        view = probe_picture(*self.size)
        output = replace(self.output, low=output_range[0], high=output_range[1])
        painted = arrays.tensor_to_float(self.answer(low_high), output)
        swapped = channel_match(view, painted) < 0.0
        other: Colors = "RGB" if colors == "BGR" else "BGR"
        return colors, other if swapped else colors, how  # type: ignore[return-value]


Ranges = tuple[tuple[float, float], tuple[float, float]]


def _question(path: Path, pairs: Sequence[Ranges]) -> str:
    """What only the user can tell: pairs of ranges in and out that make equally good pictures."""
    inputs, outputs = (list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
    if len(inputs) == 1:
        return (
            f'cannot tell whether "{path}" gives values in {_or(outputs)}: say it with '
            "--output-range"
        )
    alike = all(low_high == made for low_high, made in pairs)
    flag = "--range" if alike else "--input-range, and if need be with --output-range"
    return f'cannot tell whether "{path}" wants values in {_or(inputs)}: say it with {flag}'


def _or(ranges: Sequence[tuple[float, float]]) -> str:
    return " or ".join(map(range_words, ranges))


def _alike_inside(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are the same but for their border."""
    return float(np.abs(_inside(one) - _inside(other)).max()) * 255 <= SAME_LEVELS


def _inside(picture: np.ndarray) -> np.ndarray:
    """Without the border, where convolutions see zeros, which mean another color in each range."""
    rows, columns = (side // 8 for side in picture.shape[:2])
    return picture[rows:-rows, columns:-columns]


def _pictures(engine: Engine) -> list[str]:
    """Outputs that may be pictures: four axes, or three, or who knows."""
    names = [info.name for info in engine.outputs if len(info.shape) in (0, 3, 4)]
    return names or [engine.outputs[0].name]


def _same(result: np.ndarray, given: np.ndarray) -> bool:
    """Whether an output is the input, in its own axes or the other order."""
    if result.size != given.size:
        return False
    for view in (result, np.moveaxis(result, 1, -1), np.moveaxis(result, -1, 1)):
        if view.shape == given.shape and np.allclose(view, given, atol=1e-3):
            return True
    return False


def _stand_in(port: Port) -> np.ndarray:
    """Something for an input that is no picture: the first of its styles, or its default."""
    shape = tuple(axis if isinstance(axis, int) else 1 for axis in port.shape)
    values = np.full(shape, port.default or 0.0, port.dtype)
    if port.role == "code" and port.default is None:
        values.ravel()[0] = 1.0
    return values


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
    # Engines of others may answer with lists.
    if not isinstance(result, np.ndarray) or result.ndim != 4:  # pyright: ignore[reportUnnecessaryIsInstance]
        return None
    for candidate in (layout, "NHWC" if layout == "NCHW" else "NCHW"):
        port = Port("output", layout=candidate)  # type: ignore[arg-type]
        row, column, channel = arrays.spatial_axes(port)
        close = all(
            length / 2 <= found <= length * LARGEST
            for length, found in zip(side, (result.shape[row], result.shape[column]), strict=True)
        )
        if result.shape[channel] == 3 and close:
            return candidate  # type: ignore[return-value]
    return None
