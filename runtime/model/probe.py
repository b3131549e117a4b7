"""Models without our card: what they eat is worked out from the graph and a few small pictures.

The graph tells element types, and mostly the order of axes and fixed sizes. The rest is tried:
which sizes run, and which value range makes the answer look like a picture of its own range. What
stays undecided (red first or blue first cannot be seen from outside) is said in the note, and every
finding can be replaced by a flag.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from ..card import STEPS, CardFacts, Layout, ModelCard, Port, Role
from ..engines import Engine, TensorInfo
from ..errors import CardMismatch, UsageError
from ..onnxfile import OnnxFile, read_onnx
from ..plugins import suggest
from . import arrays
from .adapter import WHOLE, normalized
from .probe_graph import Ends, order_of, read_ends
from .probe_strides import downsampling
from .probe_trial import DTYPES, Trial, range_words, sized, value_range

OVERRIDES = tuple(CardFacts.__annotations__)
# Share of values outside their range from which a model's answer is suspect.
OUTSIDE = 0.05
# A whole number of unknown meaning: the largest that a float holds exactly.
WHOLE_MOST = 2.0**24
NO_MEAN, NO_STD = (0.0,), (1.0,)
# Means above this are those of bytes.
BYTE_MEANS = 2.0
# Names of an input that is the frame painted before.
PREVIOUS = re.compile(r"prev|last|past|history|recurr|t_?1$", re.IGNORECASE)


def override(card: ModelCard, **overrides: Unpack[CardFacts]) -> ModelCard:
    """The card with facts replaced by what the user says; see `session.open_session`."""
    for name in overrides:
        if name not in OVERRIDES:
            raise UsageError(f'unknown override "{name}".{suggest(name, list(OVERRIDES))}')
    if not overrides:
        return card
    if "mean" in overrides or "std" in overrides:
        raise UsageError(f'--mean and --std: the card of "{card.name}" says what it takes')
    _check_step(overrides)

    def changed(port: Port) -> Port:
        if port.role not in ("image", "style"):
            return port
        port = replace(
            port,
            layout=overrides.get("layout", port.layout),
            colors=overrides.get("colors", port.colors),
        )
        side = "input_range" if port in card.inputs else "output_range"
        wanted = overrides.get(side, overrides.get("range"))
        if wanted is not None:
            low, high = value_range(wanted)
            port = replace(port, low=low, high=high)
        if "size" in overrides and port.role == "image":
            port = replace(port, shape=sized(port, *overrides["size"]))
        return port

    outputs = card.outputs
    if "output" in overrides:
        named = [port for port in outputs if port.name == overrides["output"]]
        if not named:
            known = [port.name for port in outputs]
            raise UsageError(
                f'no output "{overrides["output"]}".{suggest(overrides["output"], known)}'
            )
        outputs = (*named, *(port for port in outputs if port not in named))
    return replace(
        card,
        inputs=tuple(changed(port) for port in card.inputs),
        outputs=tuple(changed(port) for port in outputs),
        multiple_of=overrides.get("multiple_of", card.multiple_of),
    )


def _check_step(overrides: CardFacts) -> None:
    step = overrides.get("multiple_of", 1)
    if not STEPS.low <= step <= STEPS.high:
        raise UsageError(f"--multiple-of is {step}, allowed is {STEPS}")


def foreign_card(
    engine: Engine, path: Path, graph: OnnxFile | None, **overrides: Unpack[CardFacts]
) -> tuple[ModelCard, list[str]]:
    """Work out a card for a model that has none.

    Args:
        engine: the open model, its pictures in our form (`adapter`).
        path: its file, for messages.
        graph: the file's content, None if it is of another kind.
        overrides: facts the user gave; they are not probed.

    Returns:
        the card, and one line that says what was inferred.

    Raises:
        CardMismatch: not an image-to-image model.
        UsageError: something cannot be decided; the message says which flag decides it.
    """
    for name in overrides:  # before any work
        if name not in OVERRIDES:
            raise UsageError(f'unknown override "{name}".{suggest(name, list(OVERRIDES))}')
    _check_step(overrides)
    image, others = _roles(engine, path, overrides)
    if "mean" in overrides or "std" in overrides:
        engine, overrides = _normalizing(engine, image, others, overrides)
    beginning = _ends(graph, image.name, "")
    taken = overrides.get("input_range", overrides.get("range", beginning.input_range))
    if taken and image.dtype != "uint8":
        low, high = value_range(taken)
        image = replace(image, low=low, high=high)
    trial = Trial(engine, path, image, others)
    trial.settle_layout(overrides.get("size"), overrides.get("output"))
    stride = downsampling(graph, image.name) if graph is not None else 0
    multiple, minimum, scaled = trial.settle_size(overrides.get("multiple_of"), stride)
    ends = _ends(graph, image.name, trial.output.name)
    low_high, output_range, ranged = trial.settle_range(overrides, ends)
    colors, output_colors, colored = trial.settle_colors(overrides, ends, low_high, output_range)
    image = replace(trial.image, low=low_high[0], high=low_high[1], colors=colors)
    result = replace(trial.output, low=output_range[0], high=output_range[1], colors=output_colors)
    styles = tuple(
        replace(port, low=image.low, high=image.high, colors=colors)
        if port.role == "style"
        else port
        for port in others
    )
    # A previous frame is what was painted last.
    states = tuple(replace(result, role="state") for port in others if port.role == "state")
    card = ModelCard(
        name=path.stem,
        method="foreign",
        inputs=(image, *styles),
        outputs=(result, *states),
        multiple_of=multiple,
        minimum=minimum,
    )
    notes = [_note(card, path, ranged, colored, scaled)]
    if trial.unchanged:
        notes.append(
            f'{path.name} gives the picture back unchanged in "{trial.output.name}"; if another '
            "output is the painted one, name it with --output-name"
        )
    if trial.outside(low_high, output_range) > OUTSIDE:
        notes.append(
            f"many of its values lie outside {range_words(output_range)}; if the picture looks "
            "burnt out, say what it gives with --output-range"
        )
    return card, notes


def _normalizing(
    engine: Engine, image: Port, others: tuple[Port, ...], facts: CardFacts
) -> tuple[Engine, CardFacts]:
    """The engine fed with normalized pictures, and what follows from their means: those of bytes,
    and blue first, if nothing else is said."""
    known, mean = CardFacts(**facts), facts.get("mean", NO_MEAN)
    if not {"range", "input_range"} & set(known):
        known["input_range"] = "0..255" if max(mean) > BYTE_MEANS else "0..1"
    colors = order_of(np.array(mean))
    if "colors" not in known and colors is not None:
        known["colors"] = colors
    return fed(engine, (image, *others), facts), known


def fed(engine: Engine, ports: tuple[Port, ...], facts: CardFacts) -> Engine:
    """The engine, fed with pictures normalized as the user says.

    Args:
        engine: open, its pictures in our form.
        ports: its inputs; those that are pictures are meant.
        facts: `mean` and `std`; without them it is the engine itself.
    """
    if "mean" not in facts and "std" not in facts:
        return engine
    pictures = [port.name for port in ports if port.role in ("image", "style")]
    return normalized(engine, pictures, facts.get("mean", NO_MEAN), facts.get("std", NO_STD))


def encoder_card(engine: Engine, path: Path) -> ModelCard:
    """A card for a graph that turns a style picture into a code and says nothing about itself.

    Raises:
        CardMismatch: it takes no picture.
    """
    pictures = [info for info in engine.inputs if _is_picture(info)]
    if not pictures:
        raise CardMismatch(f'"{path}" takes no picture, so it cannot be a style encoder')
    info = pictures[0]
    layout: Layout = "NHWC" if info.shape[3] == 3 else "NCHW"
    ends = _ends(read_graph(path), info.name, engine.outputs[0].name)
    low, high = value_range(ends.input_range or "0..1")
    image = Port(
        info.name,
        "style",
        info.shape,
        info.dtype,  # type: ignore[arg-type]
        layout,
        ends.colors or "RGB",
        low,
        high,
    )
    outputs = tuple(Port(output.name, "code", output.shape) for output in engine.outputs)
    return ModelCard(path.stem, "foreign", (image,), outputs)


def read_graph(path: Path) -> OnnxFile | None:
    """The file taken apart, None if it is of a kind that cannot be."""
    if path.suffix != ".onnx":
        return None
    try:
        return OnnxFile.parse(read_onnx(path))
    except (OSError, CardMismatch, UsageError):
        return None


def _ends(graph: OnnxFile | None, picture: str, answer: str) -> Ends:
    return Ends() if graph is None else read_ends(graph, picture, answer)


def _is_picture(info: TensorInfo) -> bool:
    """Four axes, a type of ours, and three channels (or room for them)."""
    if len(info.shape) != 4 or info.dtype not in DTYPES:
        return False
    first, last = info.shape[1], info.shape[3]
    return 3 in (first, last) or isinstance(first, str) or isinstance(last, str)


def _roles(engine: Engine, path: Path, overrides: CardFacts) -> tuple[Port, tuple[Port, ...]]:
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
    before = [info for info in pictures if PREVIOUS.search(info.name)]
    before = before if len(pictures) == 2 and len(before) == 1 else []
    styles = [info for info in pictures if "style" in info.name.lower()]
    style = styles[-1] if styles and len(pictures) == 2 else pictures[-1]
    style = None if before else style
    image = next((info for info in pictures if info not in (style, *before)), pictures[0])
    others: list[Port] = []
    for info in engine.inputs:
        if info is image:
            continue
        role: Role = (
            "style" if info is style else "state" if info in before else _small_role(info, path)
        )
        layout: Layout = "NHWC" if len(info.shape) == 4 and info.shape[3] == 3 else "NCHW"
        others.append(
            Port(
                info.name,
                role,
                _free(info, layout) if role == "state" else info.shape,
                info.dtype if info.dtype in DTYPES else "float32",  # type: ignore[arg-type]
                layout,
                high=WHOLE_MOST if info.dtype in WHOLE else 1.0,
                default=None if role != "scalar" else 0.0 if info.dtype in WHOLE else 1.0,
                names=_numbers(info) if role == "code" else (),
            )
        )
    layout = overrides.get("layout", "NCHW")
    port = Port(image.name, "image", image.shape, image.dtype, layout)  # type: ignore[arg-type]
    return port, tuple(others)


def _free(info: TensorInfo, layout: Layout) -> tuple[int | str, ...]:
    """The shape with the usual names for its free axes, by which a state is made."""
    usual = ("N", 3, "H", "W") if layout == "NCHW" else ("N", "H", "W", 3)
    return tuple(
        axis if isinstance(axis, int) else name
        for axis, name in zip(info.shape, usual, strict=True)
    )


def _numbers(info: TensorInfo) -> tuple[str, ...]:
    """Names of the styles of a vector that weighs them: their numbers, as nobody says more."""
    return tuple(map(str, range(_length(info))))


def _length(info: TensorInfo) -> int:
    return int(np.prod([axis if isinstance(axis, int) else 1 for axis in info.shape]))


def _small_role(info: TensorInfo, path: Path) -> Role:
    if info.dtype in WHOLE and _length(info) == 1:
        return "scalar"
    if info.dtype not in ("float32", "float16"):
        raise CardMismatch(f'"{path}": what to feed to "{info.name}" ({info.dtype}) is unknown')
    return "scalar" if _length(info) == 1 else "code"


def _note(card: ModelCard, path: Path, ranged: str, colored: str, scaled: bool) -> str:
    """What was inferred, in one line."""
    image, output = card.port("image"), card.outputs[0]
    fixed = arrays.fixed_size(image)
    if fixed:
        size = f"{fixed[1]}x{fixed[0]} only"
    else:
        size = f"any size in multiples of {card.multiple_of}, from {card.minimum}"
    values = range_words((image.low, image.high))
    if (output.low, output.high) != (image.low, image.high):
        values += f" in, {range_words((output.low, output.high))} out"
    colors = image.colors + (f" in, {output.colors} out" if output.colors != image.colors else "")
    hint = " (--colors BGR if red and blue are swapped)" if colored == "assumed" else ""
    parts = [
        f"{image.layout} {image.dtype}",
        f"values {values} ({ranged})",
        f"{colors} {colored}{hint}",
        size + (", answers scaled to the picture's size" if scaled else ""),
    ]
    for port in card.inputs:
        if port.role == "style":
            parts.append(f'style picture in "{port.name}"')
        elif port.role == "state":
            parts.append(f'the frame painted before in "{port.name}"')
        elif port.role == "code":
            parts.append(
                f'styles 0 to {len(port.names) - 1} in "{port.name}" (--style 3 or '
                "--style 3:0.5,7:0.5; --style-encoder FILE if pictures make them)"
            )
        elif port.role == "scalar":
            parts.append(f'"{port.name}" is {port.default:g} (--parameter {port.name}=NUMBER)')
    return f"{path.name} has no Impasto card; inferred: {'; '.join(parts)}"
