"""What a model eats and gives, carried inside the model file.

The card is the only place where facts about a model live: the runtime reads it, the export writes
it. In ONNX it is JSON under `metadata_props["impasto.card"]`; formats that cannot carry metadata
have it beside them as `<file>.card.json`.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast, get_args

from .errors import CardMismatch, UsageError
from .fields import Between, fill

# What `json` reads where a file has {...}: to be looked at value by value.
JsonObject = dict[str, Any]

KEY = "impasto.card"
# Beside the card: the figures of a model that is folded for each scene (`runtime.model.folding`).
FOLDING_KEY = "impasto.folding"
FORMAT = 1

Role = Literal["image", "style", "code", "noise", "scalar", "state", "mask"]
Layout = Literal["NCHW", "NHWC"]
Dtype = Literal["float32", "float16", "uint8"]
Colors = Literal["RGB", "BGR"]
# px. Sides are padded to multiples of this, which for more would be the whole picture.
STEPS = Between(1, 8192)
Step = Annotated[int, STEPS]
# px that a pixel of the answer sees on each side.
Reach = Annotated[int, Between(0, 65536)]
# What such a number of axes has.
PICTURE_AXES = 4


class CardFacts(TypedDict, total=False):
    """Facts that replace those of a model's card, or those that probing found where it has none.

    Keys:
        layout: order of the axes.
        range: of the values in and out: "0..1", "-1..1", "0..255".
        input_range, output_range: where they differ.
        output: name of the output that is the painted picture.
        colors: order of the color channels.
        size: the only (height, width) that the graph accepts.
        multiple_of: sizes that the graph accepts.
        mean, std: of the channels, in their order and the range of the values in: what is fed is
            (value - mean) / std.
    """

    layout: Layout
    range: str
    input_range: str
    output_range: str
    output: str
    colors: Colors
    size: tuple[int, int]
    multiple_of: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph.

    Attributes:
        name: name of the graph's input or output.
        role: "image" (the frame), "style" (a style picture), "code" (a style vector), "noise"
            (N(0, 1): one of many answers), "scalar" (a parameter such as strength), "state" (kept
            from frame to frame, zeroed by reset).
        shape: one entry per axis; a name means free ("N", "H", "W"), a number means fixed.
        dtype: element type of the tensor.
        layout: order of the axes of picture-like ports.
        colors: order of the color channels of picture-like ports.
        low, high: value range of the tensor: 0..1 for our float graphs, 0..255 for bytes.
        default: value of a scalar port, or of every element of a code port, when none is given.
        companion: for a code port, the file (beside this one) whose graph makes it from a style.
        names: for a code port, what each of its elements stands for (paintings, to be mixed).
    """

    name: str
    role: Role = "image"
    shape: tuple[int | str, ...] = ("N", 3, "H", "W")
    dtype: Dtype = "float32"
    layout: Layout = "NCHW"
    colors: Colors = "RGB"
    low: float = 0.0
    high: float = 1.0
    default: float | None = None
    companion: str | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, kind, what in (
            (self.role, Role, "role"),
            (self.layout, Layout, "layout"),
            (self.dtype, Dtype, "dtype"),
            (self.colors, Colors, "colors"),
        ):
            if value not in get_args(kind):
                allowed = ", ".join(get_args(kind))
                raise CardMismatch(
                    f'port "{self.name}": {what} is "{value}", allowed are {allowed}'
                )
        if not self.low < self.high:
            raise CardMismatch(f'port "{self.name}": range {self.low}..{self.high} is empty')


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything a runtime must know to run a model, and a person to trust it.

    Attributes:
        name: short name, as typed after `--model`.
        method: how it was made: "perceptual", "adain", "wct", "cyclegan", "pix2pix", "foreign".
        inputs, outputs: ports, in graph order.
        multiple_of: height and width must be multiples of this; the runtime pads and crops.
        minimum: smallest height and width the graph accepts.
        overlap: pixels of context a tile needs on each side (half the receptive field).
        target: what the file is for: "onnx", "ort", "openvino", ...
        precision: "fp32", "fp16", "int8".
        grade: which of several networks for one style it is: "quality", "default" or "fast"; ""
            leaves it to the file name (`runtime.model.variants`).
        network: name and configuration of the network, enough to rebuild it.
        normalization: "instance" if the output depends on whole-picture statistics, else "none".
        recipe: the resolved training recipe.
        checkpoint_sha256: of the checkpoint it was exported from.
        style: title, artist, license and source of the style picture.
        license: license of the weights.
        parity: result of the check against the source (`max_abs`, `psnr_db`, ...).
        format: version of this card's layout.
    """

    name: str
    method: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    multiple_of: Step = 1
    minimum: Step = 1
    overlap: Reach = 0
    target: str = "onnx"
    precision: str = "fp32"
    grade: str = ""
    network: JsonObject = field(default_factory=JsonObject)
    normalization: Literal["instance", "none"] = "none"
    recipe: JsonObject = field(default_factory=JsonObject)
    checkpoint_sha256: str = ""
    style: dict[str, str] = field(default_factory=dict[str, str])
    license: str = ""
    parity: dict[str, float] = field(default_factory=dict[str, float])
    format: int = FORMAT

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives the same card back."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str, where: str = "the model") -> "ModelCard":
        """Read a card.

        Args:
            text: what `to_json` wrote.
            where: the file it came from, named in error messages.

        Raises:
            CardMismatch: not JSON, a newer format, or a field missing or unknown.
        """
        try:
            read: object = json.loads(text)
            # JSON can write halves of characters ("\\ud800"), which no file and no page takes.
            json.dumps(read, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise CardMismatch(f"the card in {where} is not JSON ({error})") from None
        data = cast("JsonObject", read) if isinstance(read, dict) else {}
        if data.get("format") != FORMAT:
            found = data.get("format") if isinstance(read, dict) else type(read).__name__
            raise CardMismatch(
                f"the card in {where} has format {str(found)[:40]}, this version reads {FORMAT}; "
                "use the release that made the model, or export it again"
            )
        try:
            card = fill(ModelCard, data, "it", "fact")
            _check_ports(card)
        except UsageError as error:
            raise CardMismatch(f"the card in {where} is damaged: {error}") from None
        return card

    def port(self, role: Role) -> Port:
        """The first input port of this role. Raises CardMismatch when there is none."""
        for candidate in self.inputs:
            if candidate.role == role:
                return candidate
        roles = ", ".join(p.role for p in self.inputs)
        raise CardMismatch(f'model "{self.name}" has no "{role}" input (it has: {roles})')

    def has_scalar(self, name: str) -> bool:
        """Whether the model has a parameter of this name, such as "strength"."""
        return any(port.role == "scalar" and port.name == name for port in self.inputs)

    @property
    def recurrent(self) -> bool:
        """Whether the model remembers the pictures before."""
        return any(port.role == "state" for port in self.inputs)

    def with_parity(self, **figures: float) -> "ModelCard":
        """The same card with measured figures added."""
        return replace(self, parity={**self.parity, **figures})


def beside(model: Path) -> Path:
    """Where the card of a file lies that cannot carry it: `starry.tflite.card.json`."""
    return model.with_name(model.name + ".card.json")


def image_metadata(card: ModelCard) -> dict[str, str]:
    """The standard ONNX `Image.*` metadata for the card's image input (ONNX MetadataProps.md)."""
    port = card.port("image")
    ranges = {
        (0.0, 255.0): "NominalRange_0_255",
        (0.0, 1.0): "Normalized_0_1",
        (-1.0, 1.0): "Normalized_1_1",
    }
    return {
        "Image.BitmapPixelFormat": "Rgb8" if port.colors == "RGB" else "Bgr8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": ranges.get((port.low, port.high), "NominalRange_0_255"),
    }


def _check_ports(card: ModelCard) -> None:
    """Raises CardMismatch for ports that no graph can have."""
    if not card.inputs or not card.outputs:
        raise CardMismatch("it has no inputs, or no outputs")
    for port in (*card.inputs, *card.outputs):
        if any(isinstance(axis, int) and axis < 1 for axis in port.shape):
            raise CardMismatch(f'port "{port.name}" has the shape {list(port.shape)}')
        if port.role in ("image", "style") and len(port.shape) != PICTURE_AXES:
            raise CardMismatch(f'port "{port.name}" is a picture of {len(port.shape)} axes, not 4')
    for ports in (card.inputs, card.outputs):
        if len({port.name for port in ports}) < len(ports):
            raise CardMismatch("two of its ports have one name")
