"""One export from checkpoint, or from finished models, to report."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import PIL.Image

from runtime import plugins
from runtime.errors import EngineUnavailable, UsageError
from runtime.frame import Image
from runtime.model.session import StyleSession, open_session
from training.pairs import held_out

from . import companions, foreign_environments, targets
from .source import ExportSource, load_source
from .targets import Options, Target, Written
from .verify.delivery import deliver
from .verify.evaluator import evaluate, refuse_worse, sheet
from .verify.parity import SIZES, Parity, check, refuse
from .verify.photos import load_photos
from .verify.report import (
    Report,
    make_report,
    milliseconds,
    origin_of,
    origin_of_models,
    write_report,
)
from .verify.teacher_evaluator import evaluate_by_pairs, refuse_further
from .verify.torch_session import torch_session

# Photos compared at each size; more find nothing new and take minutes on a small machine.
CHECKED_PHOTOS = 5
# Rows of the contact sheet.
SHEET_PHOTOS = 3
# Photos that set the activation ranges of an int8 graph.
CALIBRATION_PHOTOS = 100


@dataclass(frozen=True)
class Request:
    """What to export; the fields are the command's flags.

    Attributes:
        path: where the artifact goes (`delivery.check_place`).
        checkpoint: for targets that start from one.
        models: for targets that start from finished models; without any, one is made of the
            checkpoint first.
    """

    target: str
    path: Path
    name: str
    checkpoint: Path | None = None
    models: tuple[Path, ...] = ()
    precision: str = "fp32"
    size: tuple[int, int] | None = None
    opset: int = 18
    photos: Path | None = None
    calibration: Path | None = None
    measure: bool = False
    evaluate: bool = False
    sheet: Path | None = None
    settings: tuple[str, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)


@dataclass
class _Findings:
    """What the check of one artifact left for its report."""

    proof: Parity | list[str] = field(default_factory=list)
    checks: Parity | list[str] = field(default_factory=list)
    evaluation: Report | None = None
    picture: Image | None = None


def export(request: Request, tell: Callable[[str], None]) -> Report:
    """Write, check and deliver one artifact, and its report.

    Args:
        request: what to do.
        tell: called with one line about each stage.

    Returns:
        the report.

    Raises:
        ParityError: the artifact does not match its source; it is left as `<name>.rejected`.
    """
    target: type[Target] = plugins.load(targets, request.target)
    if target.starts_from == "models":
        return _pack(request, target, tell)
    if request.checkpoint is None:
        raise UsageError(f"--target {request.target} needs --checkpoint")
    if python := foreign_environments.find(target):
        return foreign_environments.export(request, python, tell)
    if target.environment and (reason := target.available()):
        raise EngineUnavailable(f"--target {request.target} {reason}")
    source = load_source(request.checkpoint, request.name, request.settings)
    photos = load_photos(request.photos, CHECKED_PHOTOS)
    if hasattr(source.generator, "exports"):
        return companions.export(request, source, photos, tell)
    size = request.size or target.default_size
    calibration = (
        load_photos(request.calibration or request.photos, CALIBRATION_PHOTOS)
        if request.precision == "int8"
        else photos
    )
    options = Options(request.precision, size, request.opset, calibration, request.extra, tell)
    written: list[Written] = []
    findings = _Findings()

    def write(path: Path) -> None:
        tell(f"writing {request.precision} for {request.target}")
        written.append(target.write(source, path, options))

    def verify(path: Path) -> None:
        session = (
            open_session(path, engine=target.engine) if target.engine else target.emulate(path)
        )
        if session is not None:
            _compare(request, source, session, size, photos, findings, tell)
        if target.engine is None:
            tell(f"checking (nothing here runs {request.target})")
            found = target.check(source, path, options)
            if session is None:
                findings.proof = found
            elif isinstance(found, list):
                findings.checks = found

    delivered = deliver(request.path, write, verify)
    (made,) = written
    extra = {"target": request.target, "precision": request.precision, **made.facts}
    if findings.checks:
        extra["checks"] = findings.checks
    if findings.evaluation is not None:
        extra["judged"] = findings.evaluation
    if request.sheet is not None and findings.picture is not None:
        PIL.Image.fromarray(findings.picture).save(request.sheet)
    if request.measure and target.engine is not None:
        tell("measuring")
        with open_session(request.path, engine=target.engine) as session:
            extra["milliseconds"] = milliseconds(session, photos[0], list(sizes_of(size)))
            extra["device"] = session.device
    report = make_report(origin_of(source), delivered, made.steps, findings.proof, extra)
    write_report(report, request.path)
    if isinstance(findings.proof, Parity):
        worst = findings.proof.figures()
        tell(f"{request.path.name}: {worst['psnr_db']:.1f} dB at worst, SSIM {worst['ssim']:.4f}")
    return report


def _pack(request: Request, target: type[Target], tell: Callable[[str], None]) -> Report:
    """The same for a target that starts from finished models."""
    if not request.models and request.checkpoint is not None:
        with tempfile.TemporaryDirectory() as folder:
            if target.takes_all:
                from .all_targets import gather  # which exports in its turn

                models = gather(request, Path(folder), tell)
                return _pack(replace(request, models=tuple(models)), target, tell)
            first = Path(folder) / f"{request.name}.onnx"
            export(replace(request, target="onnx", path=first, extra={}, sheet=None), tell)
            return _pack(replace(request, models=(first,)), target, tell)
    options = Options(request.precision, request.size, request.opset, (), request.extra)
    models = list(request.models)
    written: list[Written] = []
    findings = _Findings()

    def write(path: Path) -> None:
        tell(f"writing {request.target} from {', '.join(model.name for model in models)}")
        written.append(target.write(models, path, options))

    def verify(path: Path) -> None:
        tell("checking")
        findings.proof = target.check(models, path, options)

    delivered = deliver(request.path, write, verify)
    (made,) = written
    for step in made.steps:
        tell(step)
    facts = {"target": request.target, **made.facts}
    report = make_report(origin_of_models(models), delivered, made.steps, findings.proof, facts)
    write_report(report, request.path)
    return report


def sizes_of(size: tuple[int, int] | None) -> tuple[tuple[int, int], ...]:
    """(width, height) of the pictures compared; a graph of one size is also given an odd one."""
    return SIZES if size is None else (size, *SIZES[1:2])


def _compare(
    request: Request,
    source: ExportSource,
    theirs: StyleSession,
    size: tuple[int, int] | None,
    photos: list[Image],
    findings: _Findings,
    tell: Callable[[str], None],
) -> None:
    """Run the artifact beside PyTorch, and close it; raises ParityError if they do not agree."""
    sizes = sizes_of(size)
    if size is not None and theirs.card.port("image").dtype == "uint8":
        # Other sizes are resampled first, and then rounded for bytes, which is not its doing.
        sizes = sizes[:1]
    tell("comparing with PyTorch at " + ", ".join(f"{w}x{h}" for w, h in sizes))
    with theirs, torch_session(source, size) as ours:
        parity = check(ours, theirs, photos, request.precision, sizes)
        findings.proof = parity
        if parity.passed and (request.evaluate or request.precision == "int8"):
            findings.evaluation = _evaluate(request, source, ours, theirs, photos, tell)
        if request.sheet is not None:
            findings.picture = sheet(ours, theirs, photos[:SHEET_PHOTOS])
    refuse(parity, request.path.name)
    if findings.evaluation is not None and "skipped" not in findings.evaluation:
        refused = refuse_further if "psnr_lost_db" in findings.evaluation else refuse_worse
        refused(findings.evaluation, request.path.name)


def _evaluate(
    request: Request,
    source: ExportSource,
    ours: StyleSession,
    theirs: StyleSession,
    photos: list[Image],
    tell: Callable[[str], None],
) -> Report:
    """A filter by its teacher's pictures, another network by the objective it was trained with."""
    pairs = held_out.read(source.recipe, source.path.parent)
    if pairs is not None:
        tell(f"judging by {len(pairs.images)} pictures of the teacher")
        return evaluate_by_pairs(pairs, ours, theirs, request.precision)
    tell("judging with the loss network it was trained with")
    try:
        return evaluate(source, ours, theirs, photos, request.precision)
    except (UsageError, EngineUnavailable) as absent:
        # Rounded networks are evaluated whenever the painting and the weights are here.
        if request.evaluate:
            raise
        tell(f"not evaluated: {absent}")
        return {"skipped": "the painting, its objective or the loss network is not here"}
