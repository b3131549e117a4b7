"""Sample code for app developers: templates in `samples/`, filled from a model's card."""

import re
from dataclasses import dataclass
from pathlib import Path

from runtime.card import ModelCard
from runtime.errors import UsageError
from runtime.model.arrays import fixed_size

FOLDER = Path(__file__).resolve().parents[1] / "samples"
PLACE = re.compile(r"@([A-Z]+)@")


@dataclass(frozen=True)
class Sample:
    """One template.

    Attributes:
        template: file in `samples/`, without ".txt" (which keeps tools from taking it for code).
        place: where it goes, inside the bundle's "samples".
        suffix: of the models it is for.
        dtype: element type of the picture those models must take; "" for any.
        language: for people.
    """

    template: str
    place: str
    suffix: str
    dtype: str
    language: str

    def fits(self, model: Path, card: ModelCard) -> bool:
        """Whether it can be filled for this model."""
        takes = card.port("image").dtype
        return model.name.endswith(self.suffix) and self.dtype in ("", takes)


SAMPLES = (
    Sample(
        "StylePainterLiteRt.kt", "android/StylePainterLiteRt.kt", ".tflite", "float32", "Kotlin"
    ),
    Sample(
        "StylePainterExecuTorch.kt",
        "android/StylePainterExecuTorch.kt",
        ".pte",
        "float32",
        "Kotlin",
    ),
    Sample("StylePainter.swift", "ios/StylePainter.swift", ".mlpackage", "", "Swift"),
    Sample("stylize.mjs", "web/stylize.mjs", ".onnx", "float32", "JavaScript"),
    Sample("stylize.py", "python/stylize.py", ".onnx", "float32", "Python"),
)


def fill(sample: Sample, model: Path, card: ModelCard) -> str:
    """The template's text for one model.

    Raises:
        UsageError: the template asks for a size, and the model has none.
    """
    image, (styled, *_) = card.port("image"), card.outputs
    values = {
        "MODEL": model.name,
        "STEM": model.stem,
        "MULTIPLE": str(card.multiple_of),
        "MINIMUM": str(card.minimum),
        "INPUT": image.name,
        "OUTPUT": styled.name,
    }
    size = fixed_size(image)
    if size is not None:
        values |= {"HEIGHT": str(size[0]), "WIDTH": str(size[1])}

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise UsageError(f'"{model.name}" has no {found[1].lower()}, which its sample needs')
        return values[found[1]]

    return PLACE.sub(value, (FOLDER / f"{sample.template}.txt").read_text(encoding="utf-8"))
