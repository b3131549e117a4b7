"""One export from checkpoint to receipt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image

from runtime import plugins
from runtime.frame import Image
from runtime.session import open_session

from . import several, targets
from .delivery import deliver
from .judge import judge, refuse_worse, sheet
from .parity import SIZES, Parity, check, refuse
from .photos import load_photos
from .receipt import make_receipt, milliseconds, write_receipt
from .source import load_source
from .targets import Options, Written
from .tensors import torch_session

# Photos compared at each size; more find nothing new and take minutes on a small machine.
CHECKED_PHOTOS = 5
# Rows of the contact sheet.
SHEET_PHOTOS = 3
# Photos that set the activation ranges of an int8 graph (students.md, section 4).
CALIBRATION_PHOTOS = 100


@dataclass(frozen=True)
class Request:
    """What to export; the fields are the command's flags."""

    checkpoint: Path
    target: str
    path: Path
    name: str
    precision: str = "fp32"
    size: tuple[int, int] | None = None
    opset: int = 18
    photos: Path | None = None
    calibration: Path | None = None
    measure: bool = False
    judge: bool = False
    sheet: Path | None = None
    settings: tuple[str, ...] = ()


def export(request: Request, tell: Callable[[str], None]) -> dict[str, Any]:
    """Write, check and deliver one artefact, and its receipt.

    Args:
        request: what to do.
        tell: called with one line about each stage.

    Returns:
        the receipt.

    Raises:
        ParityError: the artefact does not match its source; it is left as `<name>.rejected`.
    """
    source = load_source(request.checkpoint, request.name, request.settings)
    target = plugins.load(targets, request.target)
    photos = load_photos(request.photos, CHECKED_PHOTOS)
    if hasattr(source.generator, "exports"):
        return several.export(request, source, photos, tell)
    calibration = (
        load_photos(request.calibration or request.photos, CALIBRATION_PHOTOS)
        if request.precision == "int8"
        else photos
    )
    options = Options(request.precision, request.size, request.opset, calibration)
    sizes = SIZES if request.size is None else (request.size, *SIZES[1:2])
    written: list[Written] = []
    parities: list[Parity] = []
    judged: list[dict[str, Any]] = []
    pictures: list[Image] = []

    def write(path: Path) -> None:
        tell(f"writing {request.precision} for {request.target}")
        written.append(target.write(source, path, options))

    def verify(path: Path) -> None:
        tell("comparing with PyTorch at " + ", ".join(f"{w}x{h}" for w, h in sizes))
        with torch_session(source, request.size) as ours, open_session(path) as theirs:
            parities.append(check(ours, theirs, photos, request.precision, sizes))
            if request.judge and parities[0].passed:
                tell("judging with the loss network it was trained with")
                judged.append(judge(source, ours, theirs, photos, request.precision))
            if request.sheet is not None:
                pictures.append(sheet(ours, theirs, photos[:SHEET_PHOTOS]))
        refuse(parities[0], request.path.name)
        for report in judged:
            refuse_worse(report, request.path.name)

    deliver(request.path, write, verify)
    (made,), (parity,) = written, parities
    extra = dict(made.facts)
    if judged:
        extra["judged"] = judged[0]
    if request.sheet is not None:
        PIL.Image.fromarray(pictures[0]).save(request.sheet)
    if request.measure:
        tell("measuring")
        with open_session(request.path) as session:
            extra["milliseconds"] = milliseconds(session, photos[0], list(sizes))
            extra["device"] = session.device
    receipt = make_receipt(source, request.path, made.steps, parity, extra)
    write_receipt(receipt, request.path)
    worst = parity.figures()
    tell(f"{request.path.name}: {worst['psnr_db']:.1f} dB at worst, SSIM {worst['ssim']:.4f}")
    return receipt
