"""A folder for app developers: a style in every format, with reports, card, license, checksums and
sample code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.card import JsonObject, ModelCard
from runtime.checksum import sha256
from runtime.errors import EngineUnavailable, ParityError, UsageError
from runtime.inputs import inside
from runtime.model import formats, zoo
from runtime.model.arrays import fixed_size
from runtime.model.session import open_session

from ..verify.photos import load_photos
from ..verify.report import Report, milliseconds, report_path
from . import Options, Target, Written
from ._sample_code import SAMPLES, fill

SUMS = "SHA256SUMS"
# The text of our license, in a checkout and in an installed wheel alike.
LICENSE = "Apache-2.0"
# (width, height) timed of models for any size: a camera's.
TIMED = (640, 480)


@dataclass(frozen=True)
class Part:
    """One model of a bundle.

    Attributes:
        path: file or folder.
        report: that it comes with.
        card: of the model.
        times: size -> percentiles of a picture's milliseconds; empty if nothing here runs it.
    """

    path: Path
    report: Report
    card: ModelCard
    times: JsonObject

    @property
    def files(self) -> list[Path]:
        """Itself, and what lies beside it and belongs to it."""
        others = (entry["file"].split("/")[0] for entry in self.report.get("files", ()))
        names = dict.fromkeys((self.path.name, *others))
        what = f'the report of "{self.path.name}"'
        return [inside(self.path.parent, name, what) for name in names]


class BundleTarget(Target):
    """See `export.targets.Target`."""

    folder = True
    examined_by = "its checksums"
    runs_on = "a folder for developers of apps and pages"
    starts_from = "models"
    takes_all = True
    options = {  # noqa: RUF012 -- as the contract declares it
        "targets": "from --checkpoint: only these, as onnx,litert (default: all this machine makes)"
    }

    @staticmethod
    def write(models: Sequence[Path], folder: Path, options: Options) -> Written:
        """Write everything into `folder`.

        Raises:
            UsageError: a model without a report of this very file, or without a card.
        """
        parts = [read_part(model) for model in models]
        card = parts[0].card
        (folder / "models").mkdir(parents=True)
        (folder / "receipts").mkdir()
        for part in parts:
            for source in part.files:
                target = folder / "models" / source.name
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                else:
                    shutil.copyfile(source, target)
            report = report_path(part.path)
            shutil.copyfile(report, folder / "receipts" / report.name)
        code = write_samples(parts, folder / "samples")
        pretty = json.dumps(json.loads(card.to_json()), indent=2)
        (folder / "card.json").write_text(pretty + "\n", encoding="utf-8")
        (folder / "LICENSE").write_text(license_text(card), encoding="utf-8")
        (folder / "README.md").write_text(readme(parts, code), encoding="utf-8")
        write_sums(folder)
        steps = [
            f"{len(parts)} models with reports, card, license",
            f"sample code: {', '.join(code)}",
        ]
        return Written(card, steps, {"models": [part.path.name for part in parts]})

    @staticmethod
    def check(models: Sequence[Path], folder: Path, options: Options) -> list[str]:
        """Compare every file with the list of checksums.

        Raises:
            ParityError: a file differs, is missing, or is not listed.
        """
        listed = {}
        for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
        there = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file() and path.name != SUMS
        }
        wrong = sorted(set(listed) ^ set(there))
        wrong += [name for name in listed if name in there and sha256(there[name]) != listed[name]]
        if wrong:
            raise ParityError(f"{folder.name}: {SUMS} does not fit {', '.join(wrong)}")
        return [f"{len(listed)} files as {SUMS} lists them"]


def read_part(model: Path) -> Part:
    """A model with its report and card.

    Raises:
        UsageError: one of them is missing, or the report is of another file.
        StyleError: the runtime cannot open it.
    """
    path = report_path(model)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f'"{model.name}" has no report "{path.name}" beside it: bundles hold what was proven; '
            "export it again"
        ) from None
    if report.get("sha256") != sha256(model):
        raise UsageError(f'the report "{path.name}" is of another file than "{model.name}"')
    card = _card_in_ort(model) if model.suffix == ".ort" else zoo.read_card(model)
    if card is None:
        raise UsageError(f'"{model.name}" has no card, inside or beside it: export it again')
    return Part(model, report, card, report.get("milliseconds") or time_here(model, card))


def _card_in_ort(model: Path) -> ModelCard:
    """The card of a file in ONNX Runtime's own format, which only ONNX Runtime reads."""
    with open_session(model) as session:
        return session.card


def time_here(model: Path, card: ModelCard) -> Report:
    """Milliseconds of pictures (`report.milliseconds`); empty without the engine for it."""
    height, width = fixed_size(card.port("image")) or TIMED[::-1]
    try:
        with open_session(model) as session:
            photo = load_photos(None, 1)[0]
            return milliseconds(session, photo, [(width, height)])
    except EngineUnavailable:
        return {}


def write_samples(parts: Sequence[Part], folder: Path) -> list[str]:
    """Fill each template for the first model it fits; returns the places, sorted."""
    made = []
    for sample in SAMPLES:
        part = next((part for part in parts if sample.fits(part.path, part.card)), None)
        if part is None:
            continue
        place = folder / sample.place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(fill(sample, part.path, part.card), encoding="utf-8")
        made.append(f"samples/{sample.place}")
    return sorted(made)


def license_text(card: ModelCard) -> str:
    """What may be done with the weights, and who painted."""
    style = card.style
    painter = ", ".join(style[key] for key in ("title", "artist") if style.get(key))
    lines = [f'Weights of the model "{card.name}": {card.license or "no license is stated"}.']
    if painter:
        lines.append(f"Style: {painter}" + (f" ({style['license']})" if "license" in style else ""))
    if style.get("source"):
        lines.append(f"Source of the painting: {style['source']}")
    text = Path(__file__).resolve().parents[2] / "LICENSE"
    if card.license == LICENSE and text.is_file():
        lines += ["", text.read_text(encoding="utf-8").strip()]
    elif card.license == LICENSE:
        lines += ["", "The text of the license: https://www.apache.org/licenses/LICENSE-2.0"]
    return "\n".join(lines) + "\n"


def readme(parts: Sequence[Part], code: Sequence[str]) -> str:
    """What is in the folder, for people."""
    card = parts[0].card
    lines = [
        f"# {card.style.get('title') or card.name}",
        "",
        f'A style of pictures by Impasto: model "{card.name}", network '
        f'"{card.network.get("name", "unknown")}". What may be done with it: LICENSE.',
        "",
        "| file in models/ | target | precision | bytes | parity dB | objective | ms here | takes "
        "| runs on |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- |",
        *(_row(part) for part in parts),
        "",
        "Parity is the worst picture's distance from PyTorch, objective the training objective "
        "relative to the",
        "network the file was made from (1 is the same; – was not judged), ms the median of whole "
        "pictures of the",
        "size named, on the machine that made this folder (– does not run there). The reports "
        "say more.",
        f"`sha256sum -c {SUMS}` checks all files.",
        "",
        "## Sample code",
        "",
        *(f"- `{name}`" for name in code),
    ]
    return "\n".join(lines) + "\n"


def _row(part: Part) -> str:
    report = part.report
    sizes = report.get("parity", {}).get("sizes", ())
    parity = f"{min(entry['psnr_db'] for entry in sizes):.1f}" if sizes else "not run"
    judged = report.get("judged", {}).get("objective_ratio")
    took = [f"{name}: {numbers['p50']:.0f}" for name, numbers in part.times.items()]
    image = part.card.port("image")
    size = "x".join(str(side) for side in image.shape)
    cells = (
        f"`{part.path.name}`",
        part.card.target,
        part.card.precision,
        str(report["bytes"]),
        parity,
        "–" if judged is None else f"{judged:.3f}",
        ", ".join(took) or "–",
        f"{image.dtype} {image.layout} {size}, {image.low:g}..{image.high:g}",
        _runs_on(part.card.target),
    )
    return "| " + " | ".join(cells) + " |"


def _runs_on(target: str) -> str:
    from ..listing import load_all

    known = load_all().get(target)
    return known.runs_on if known else ""


def write_sums(folder: Path) -> None:
    """`sha256sum`'s format, sorted by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    text = "".join(lines)
    (folder / SUMS).write_text(text, encoding="utf-8")


def find_models(folder: Path, checkpoint_sha256: str) -> dict[Path, str]:
    """Models in a folder whose reports say that they are of this checkpoint -> their target."""
    found = {}
    for path in sorted(folder.iterdir()):
        if not formats.is_model(path) or not report_path(path).is_file():
            continue
        try:
            report = json.loads(report_path(path).read_text(encoding="utf-8"))
        except ValueError:
            continue
        same = report.get("source", {}).get("sha256") == checkpoint_sha256
        if same and report.get("sha256") == sha256(path):
            found[path] = report.get("target", "onnx")
    return found


PLUGIN = BundleTarget
