"""`--target all`: every artifact this machine can make of one checkpoint, into one folder."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from runtime import plugins
from runtime.checksum import sha256
from runtime.errors import DONE, FAILED, GATE_REFUSED, EngineUnavailable, StyleError, UsageError

from . import foreign_environments, listing
from .artifact import Request, export
from .targets import EVERY, Target
from .targets.bundle import find_models
from .verify.delivery import check_place
from .verify.report import Report


def export_all(
    request: Request,
    folder: Path,
    *,
    overwrite: bool,
    tell: Callable[[str], None],
    without: Collection[str] = (),
) -> Report:
    """Make what can be made; what cannot is skipped, with the reason.

    Args:
        request: `name`, `checkpoint` and what applies to all targets; `precision` is "" (of each
            target the default), "all", or one (targets that do not write it are skipped).
        folder: where everything goes: `<name><suffix>`, `<name>-<precision><suffix>` for other
            precisions than the target's default, `<name>-<target>` for folders without a suffix.
        overwrite: whether older artifacts are replaced.
        tell: called with one line about each stage.
        without: targets that are not even tried.

    Returns:
        {"made": reports, "skipped": [{"target", "precision", "reason"}], "failed": the same}.

    Raises:
        StyleError: nothing was made, and every target had the same reason (a wrong flag).
    """
    made: list[Report] = []
    skipped: list[dict[str, str]] = []
    failed: list[dict[str, str]] = []
    errors: list[StyleError] = []
    for name, target, precision in plan(request.precision):
        if name in without:
            continue
        entry = {"target": name, "precision": precision}
        reason = _why_not(target, name, precision, made)
        if reason:
            skipped.append({**entry, "reason": reason})
            continue
        try:
            path = check_place(
                folder / file_name(request.name, name, target, precision),
                target,
                overwrite=overwrite,
            )
            wanted = _is_model if target.takes_all else _is_start
            models = tuple(folder / report["file"] for report in made if wanted(report))
            made.append(
                export(
                    replace(
                        request,
                        target=name,
                        path=path,
                        precision=precision,
                        checkpoint=request.checkpoint,
                        models=models if target.starts_from == "models" else (),
                        # Options belong to one target; those of others do not harm it.
                        extra={k: v for k, v in request.extra.items() if k in target.options},
                        sheet=None,
                    ),
                    tell,
                )
            )
        except (EngineUnavailable, UsageError) as error:
            skipped.append({**entry, "reason": str(error)})
            errors.append(error)
        except StyleError as error:
            failed.append({**entry, "reason": str(error), "code": str(error.exit_code)})
    if not made and not failed and errors:
        raise errors[0]
    return {"made": made, "skipped": skipped, "failed": failed}


def exit_code(summary: Report) -> int:
    """0 if everything that could be made passed, 4 if something was refused, else 1."""
    codes = {int(entry["code"]) for entry in summary["failed"]}
    return DONE if not codes else (GATE_REFUSED if codes == {GATE_REFUSED} else FAILED)


def plan(precision: str) -> list[tuple[str, type[Target], str]]:
    """(name, target, precision) of everything to try: those that start from models last."""
    targets = sorted(
        listing.load_all().items(),
        key=lambda item: (item[1].starts_from == "models", item[0] != "onnx", item[0]),
    )
    return [
        (name, target, each)
        for name, target in targets
        if target.in_all
        for each in (
            target.precisions if precision == EVERY else (precision or target.precisions[0],)
        )
    ]


def file_name(model: str, name: str, target: type[Target], precision: str) -> str:
    """What the artifact of a target is called in the common folder."""
    stem = model if precision == target.precisions[0] else f"{model}-{precision}"
    return stem + target.suffix if target.suffix else f"{stem}-{name}"


def _why_not(target: type[Target], name: str, precision: str, made: list[Report]) -> str:
    if precision not in target.precisions:
        return f"writes {', '.join(target.precisions)} only"
    wanted = _is_model if target.takes_all else _is_start
    if target.starts_from == "models" and not any(wanted(report) for report in made):
        return f"{name} starts from the ONNX file, which was not made"
    return foreign_environments.missing(target)


def gather(request: Request, folder: Path, tell: Callable[[str], None]) -> list[Path]:
    """Models of a checkpoint for a target that takes them all: those beside it that are proven to
    be of it, and in `folder` one of each further target that this machine can make.

    Args:
        request: of that target; its option "targets" may name the only ones to take.
        folder: where new ones are put.
        tell: called with one line about each stage, and about each target that is left out.

    Raises:
        UsageError: "targets" names one that there is not.
        StyleError: there is none, and none can be made.
    """
    assert request.checkpoint is not None
    known = {name: target for name, target in listing.load_all().items()}
    asked = [name for name in request.extra.get("targets", "").split(",") if name]
    for name in asked:
        if name not in known or known[name].starts_from != "checkpoint":
            makes = [name for name in known if known[name].starts_from == "checkpoint"]
            raise UsageError(f'targets: no "{name}".{plugins.suggest(name, makes)}')
    found: dict[Path, str] = {}
    from training.checkpoint import checkpoint_of

    checkpoint = checkpoint_of(request.checkpoint)
    if checkpoint.is_file():
        digest = sha256(checkpoint)
        found = find_models(checkpoint.resolve().parent, digest)
    models = [path for path, name in found.items() if not asked or name in asked]
    without = {
        name
        for name, target in known.items()
        if target.starts_from == "models" or name in found.values() or (asked and name not in asked)
    }
    summary = export_all(
        # Timed where they are made: what packs them may not be able to run them.
        replace(request, precision="", extra={}, sheet=None, measure=True),
        folder,
        overwrite=True,
        tell=tell,
        without=without,
    )
    for entry in (*summary["skipped"], *summary["failed"]):
        tell(f"left out: {entry['target']} {entry['precision']}: {entry['reason']}")
    models += [folder / report["file"] for report in summary["made"]]
    if not models:
        raise UsageError("there is no model of this checkpoint to pack, and none can be made here")
    return models


def _is_model(report: Report) -> bool:
    return "checkpoint" in report.get("source", {})


def _is_start(report: Report) -> bool:
    return report.get("target") == "onnx" and report.get("precision") == "fp32"
