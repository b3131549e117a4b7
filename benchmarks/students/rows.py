"""Rows of `benchmarks.students`: what each student reaches, its targets, and met or missed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.source import load_source
from export.verify import evaluator
from export.verify.parity import psnr
from export.verify.photos import cover
from runtime.checksum import sha256
from runtime.errors import UsageError
from runtime.frame import Image
from runtime.model.session import StyleSession, open_session
from runtime.model.variants import GRADES, variant_of

from ..measuring import results
from ..measuring.results import Document, Metrics, Row
from ..measuring.rounds import Rounds
from ..measuring.statistics import paired_ratio, summary
from ..measuring.structure import structure
from ..measuring.subjects import Subject
from ..metrics.border_artifact import border_artifact
from ..metrics.periodicity import flat_periodicity
from ..metrics.phase_roughness import phase_roughness
from ..metrics.shift_equivariance import shift_equivariance
from .held_normalization import HeldNormalization

if TYPE_CHECKING:
    from training.objective import Objective

ROW_ID = ("model",)
# Targets of the project. Objective: times the teacher's, by grade; times faster than the network of
# Johnson et al. in fp32, by grade.
OBJECTIVE = {"quality": 1.05, "default": 1.10, "fast": 1.20}
FASTER = {"default": 75.0, "fast": 140.0}
# Ours: a painting has .02, networks trained without the grid term .3 and more.
GRID = 0.05
# (width, height) of a large frame: small photos are smooth on it, as a camera's full frame is.
LARGE = (1920, 1080)
# Everybody's: objective of int8, times that of its fp32 counterpart, and dB of the worst photo;
# L-BFGS iterations whose picture is as good; a tenth of the EQ of an ordinary style network, .24;
# periodic share of the texture in flat windows, and mean difference along
# the border.
TARGETS = {
    "int8_objective": 1.01,
    "int8_psnr_db": 40.0,
    "iterations": 100.0,
    "eq": 0.024,
    "lock_flat": 0.05,
    "grid": GRID,
    "grid_large": GRID,
    "frame": 0.015,
}
# Smaller is better for all others.
LARGER_IS_BETTER = ("iterations", "faster", "int8_psnr_db")


@dataclass(frozen=True)
class Student:
    """A student's file and its float forms, open.

    Attributes:
        name: of the file.
        style, grade: what it paints, and how well it is meant to.
        session: the file.
        exact: the fp32 counterpart, `<name>-fp32.onnx` beside it; None if there is none.
        network: the checkpoint, `<name>.safetensors` beside it, likewise.
    """

    name: str
    style: str
    grade: str
    session: StyleSession
    exact: StyleSession | None = None
    network: HeldNormalization | None = None


@contextmanager
def open_student(path: Path) -> Iterator[Student]:
    """A student on one thread.

    Raises:
        UsageError: the model holds no recipe, so that its objective is unknown.
    """
    counterpart = path.with_name(f"{path.stem}-fp32{path.suffix}")
    checkpoint = path.with_suffix(".safetensors")
    with ExitStack() as stack:
        session = stack.enter_context(open_session(path, threads=1))
        if not session.card.recipe:
            raise UsageError(f'model "{path.name}" carries no recipe: its objective is unknown')
        exact = network = None
        if counterpart.is_file():
            exact = stack.enter_context(open_session(counterpart, threads=1))
        if checkpoint.is_file():
            network = HeldNormalization(load_source(checkpoint, path.stem).generator)
        variant = variant_of(path, session.card)
        yield Student(path.stem, variant.style, variant.grade, session, exact, network)


def teachers(students: Sequence[Student]) -> dict[str, str]:
    """Style -> name of the student of the best grade, which taught the others."""
    found: dict[str, Student] = {}
    for student in students:
        best = found.setdefault(student.style, student)
        if GRADES.index(student.grade) < GRADES.index(best.grade):
            found[student.style] = student
    return {style: student.name for style, student in found.items()}


def evaluate_all(
    students: Sequence[Student], photos: Sequence[Image], step: Callable[[], object]
) -> dict[str, dict[str, float | None]]:
    """Name -> figures over the photos at `judge.SIZE`: means, of dB the worst; "grid_large" at
    `LARGE`.

    Everybody of a style is judged by its teacher's objective: "objective" of the file,
    "objective_float" of its counterpart. "eq", "lock_flat" and "grid" are the file's, "frame" is
    the float network's, whose statistics can be held; what is not there to be measured is None.
    """
    by_name = {student.name: student for student in students}
    objectives = {
        style: evaluator.build_objective(by_name[name].session.card.recipe)
        for style, name in teachers(students).items()
    }
    found: dict[str, dict[str, float | None]] = {}
    for student in students:
        each = []
        for photo in photos:
            each.append(_figures(student, photo, objectives[student.style]))
            step()
        keys = dict.fromkeys(key for row in each for key in row)
        found[student.name] = {key: float(np.mean([row[key] for row in each])) for key in keys}
        if "int8_psnr_db" in keys:
            found[student.name]["int8_psnr_db"] = min(row["int8_psnr_db"] for row in each)
    return found


def _figures(student: Student, whole: Image, objective: "Objective") -> dict[str, float]:
    photo = cover(whole, *evaluator.SIZE)

    def paint(picture: Image) -> Image:
        student.session.reset()
        return student.session.stylize(picture)

    painted = paint(photo)
    found = {
        "objective": evaluator.score(painted, photo, objective)["total"],
        "eq": shift_equivariance(paint, photo),
        "lock_flat": flat_periodicity(painted, photo),
        "grid": phase_roughness(painted),
        "grid_large": phase_roughness(paint(cover(whole, *LARGE))),
    }
    if student.exact is not None:
        exact = student.exact.stylize(photo)
        found["objective_float"] = evaluator.score(exact, photo, objective)["total"]
        found["int8_psnr_db"] = psnr(painted / 255.0, exact / 255.0)
    if student.network is not None:
        network = student.network
        found["frame"] = border_artifact(network.paint, photo, network.paint_held)
    return found


def times_of(chosen: Sequence[Subject], rounds: Rounds) -> dict[str, Metrics]:
    """sha256 -> processor time of a whole picture, and times faster than the first peer."""
    peer = next((subject.case.name for subject in chosen if subject.role == "peer"), None)
    found: dict[str, Metrics] = {}
    for subject in chosen:
        name = subject.case.name
        metrics: Metrics = summary(rounds.times(name, "cpu"), "cpu")
        if peer is not None:
            pair = paired_ratio(*(rounds.by_round(n, "cpu") for n in (name, peer)))
            metrics |= dict(zip(("faster", "faster_low", "faster_high"), pair, strict=True))
        found[subject.session.sha256] = metrics
    return found


def times_from(
    latency: Document, files: Sequence[Path], size: tuple[int, int]
) -> dict[str, Metrics]:
    """As `times_of`, of a result file of `benchmarks.latency`: by one thread at this size, of the
    file itself, or of the model of its name or the first one with the same graph."""
    known: dict[object, Metrics] = {}
    for row in latency["rows"]:
        labels, metrics = row["labels"], row["metrics"]
        if (labels["size"], labels["threads"]) == ("{}x{}".format(*size), 1):
            taken = {"cpu_p50_ms": metrics["cpu_p50_ms"], "faster": metrics.get("speedup_cpu")}
            graph = labels.get("structure")
            for key in (labels["sha256"], (labels["model"], graph), graph):
                known.setdefault(key, taken)
    found = {}
    for path in files:
        digest, graph = sha256(path), structure(path)
        keys = (digest, (path.stem, graph), graph)
        found[digest] = next((known[key] for key in keys if key in known), {})
    return found


def rows(
    students: Sequence[Student],
    found: Mapping[str, Mapping[str, float | None]],
    times: Mapping[str, Metrics],
    iterations: Mapping[str, float],
) -> list[Row]:
    """One row per student: figures, `<figure>_aim` and `<figure>_met` (1 or 0) where one is set."""
    taught_by = teachers(students)
    made = []
    for student in students:
        teacher = taught_by[student.style]
        own, best = found[student.name].get, found[teacher].get
        figures: Metrics = {
            **found[student.name],
            "objective_ratio": _ratio(own("objective"), best("objective")),
            "float_ratio": _ratio(own("objective_float"), best("objective_float")),
            "int8_objective": _ratio(own("objective"), own("objective_float")),
            "iterations": iterations.get(student.name),
            **times.get(student.session.sha256, {}),
        }
        metrics: Metrics = {}
        targets = targets_of(student, teacher)
        for key, value in figures.items():
            metrics[key] = value
            if key in targets:
                met = None if value is None else int(meets(key, value, targets[key]))
                metrics |= {f"{key}_aim": targets[key], f"{key}_met": met}
        labels = {
            "model": student.name,
            "grade": student.grade,
            "teacher": teacher,
            "precision": student.session.card.precision,
            "sha256": student.session.sha256,
        }
        made.append(results.row(labels, metrics, ROW_ID))
    return made


def targets_of(student: Student, teacher: str) -> dict[str, float]:
    """Figure -> target. A teacher is not compared with itself."""
    targets = dict(TARGETS)
    if student.name != teacher:
        targets |= dict.fromkeys(("objective_ratio", "float_ratio"), OBJECTIVE[student.grade])
    if student.grade in FASTER:
        targets["faster"] = FASTER[student.grade]
    return targets


def meets(key: str, value: float, target: float) -> bool:
    """Whether a figure is as good as its target."""
    return value >= target if key in LARGER_IS_BETTER else value <= target


def missed(made: Sequence[Row]) -> list[str]:
    """A few words for each target that was not met."""
    found = []
    for row in made:
        metrics = row["metrics"]
        for key in (k.removesuffix("_met") for k, met in metrics.items() if _is_miss(k, met)):
            words = f"{key.replace('_', ' ')} {metrics[key]:.3g}, target {metrics[key + '_aim']:g}"
            found.append(f"{row['labels']['model']}: {words}")
    return found


def _is_miss(key: str, met: object) -> bool:
    return key.endswith("_met") and met == 0


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / max(base, 1e-12)
