"""What `benchmarks.temporal` measures, as rows of its result file and as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtime.clips.noisy import NoisyPainter
from runtime.frame import Image
from runtime.input_noise.scene import SceneNoise
from runtime.model.session import StyleSession

from ..measuring import results
from ..measuring.results import Labels, Metrics, Row
from ..metrics.border_difference import border_difference
from ..metrics.periodicity import flat_periodicity, periodicity
from ..metrics.shift_equivariance import shift_errors
from . import gates, stability, synthetic_clips
from .after_cut import MOMENTS, measure_after_cut
from .degenerate import DEGENERATE
from .drift import measure_drift
from .scenes import Scene
from .slices import side_by_side, time_slices, write_png
from .style_gate import try_style_loss
from .warped_lpips import try_warped_lpips

# Columns of the printed table: key, heading, format.
COLUMNS = (
    ("warp_ratio", "E", ".3f"),
    ("warp_long_ratio", "E5", ".3f"),
    ("excess_ratio", "excess", ".3f"),
    ("sharpness", "sharp", ".2f"),
    ("style_ratio", "style", ".3f"),
    ("warped_lpips", "lpips", ".3f"),
    ("palette", "palette", ".2f"),
    ("flicker", "flicker", ".2f"),
    ("drift", "drift", ".3f"),
    ("ghost", "ghost", ".2f"),
    ("tile_edges", "squares", ".2f"),
    ("lag_frames", "lag", ".0f"),
    ("cost_p95_ms", "p95 ms", ".1f"),
)
# Shorter side the painting is reduced to for the style gate, as in training.
STYLE_SIDE = 384


class Subject:
    """A model under test.

    Attributes:
        name: of its file; stylize: picture to picture, the next of a clip; begin: tells it that
            another clip begins, as the commands do (models folded for a scene remember it); still:
            a picture by itself. With `noise`, the network sees frames with this much input noise.
        style_loss: of a sequence of pictures, or None and `style_note` says why.
        warped_lpips: see `benchmarks.temporal.warped_lpips`; None where its weights are absent.
    """

    def __init__(
        self,
        session: StyleSession,
        model: str,
        style: str | None,
        weights: Path | None,
        noise: float = 0.0,
    ):
        self.name = Path(model).stem + (f", noise {noise:g}" if noise else "")
        self.sha256 = session.sha256
        painter = NoisyPainter(session, SceneNoise(noise)) if noise else session
        self.stylize: Callable[[Image], Image] = painter.stylize
        self.begin: Callable[[], None] = painter.reset
        self._own: dict[int, float] = {}
        painting = None if style is None else read_painting(style)
        self.style_loss, self.style_note = try_style_loss(weights, painting)
        self.warped_lpips = try_warped_lpips(weights)

    def still(self, picture: Image) -> Image:
        """One picture, whatever came before it."""
        self.begin()
        return self.stylize(picture)

    def own_style_loss(self, base: stability.Baseline) -> float:
        """Style loss of the network's own frames, computed once per scene."""
        if id(base) not in self._own:
            assert self.style_loss is not None
            self._own[id(base)] = self.style_loss(base.painted)
        return self._own[id(base)]

    def describe(self) -> str:
        """One line for people."""
        gate = "measured" if self.style_loss else f"not measured: {self.style_note}"
        return f"{self.name}: style gate {gate}"


def read_painting(path: str) -> Image:
    """A painting for the style gate, reduced to the size of training."""
    import cv2

    picture = synthetic_clips.load_photo(path, (1, 1))
    scale = STYLE_SIDE / min(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@dataclass
class Report:
    """Rows for the file and lines for the table.

    Attributes:
        failures: "model/stabilizer: gates" of every stabilizer (not null) that was refused.
        notes: lines for people below the table.
        shown: outputs kept for pictures, by model, scene and stabilizer.
    """

    rows: list[Row] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: dict[tuple[str, str, str], dict[str, list[Image]]] = field(default_factory=dict)

    def add(self, labels: Labels, metrics: Metrics) -> None:
        """One row; not-a-number becomes null."""
        clean = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in metrics.items()
        }
        self.rows.append(results.row(labels, clean))

    def table(self) -> str:
        """The summary lines in aligned columns, then the notes."""
        head = ["model", "stabilizer", "over", *(title for _, title, _ in COLUMNS), "gates"]
        table = [head, *self.lines] if self.lines else []
        widths = [max(len(line[k]) for line in table) for k in range(len(head))] if table else []
        left = (0, 1, 2, len(head) - 1)
        rows = [
            "  ".join(
                cell.ljust(width) if k in left else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        return "\n".join([*rows, *self.notes])


def measure_model(
    report: Report,
    subject: Subject,
    scenes: list[Scene],
    names: list[str],
    strength: float,
    with_degenerate: bool,
    progress: Callable[[], None],
) -> None:
    """All stabilizers (and degenerate baselines) on all scenes: a row each, a summary per truth."""
    bases = [stability.baseline(scene, subject.stylize, subject.begin) for scene in scenes]
    for name in names:
        measured = []
        for scene, base in zip(scenes, bases, strict=True):
            subject.begin()
            outputs, costs = stability.run_stabilizer(name, strength, scene.frames, subject.stylize)
            figures = _figures(subject, scene, base, outputs, costs if name != "off" else None)
            measured.append((scene, figures))
            labels = {"clip": scene.name, "photo": scene.photo, "truth": scene.truth}
            report.add({"model": subject.name, "stabilizer": name, **labels}, figures)
            _keep(report, subject, scene, name, outputs)
            progress()
        _summaries(report, subject, name, measured, null=False)
    if with_degenerate:
        _measure_degenerate(report, subject, scenes, bases)


def _figures(
    subject: Subject,
    scene: Scene,
    base: stability.Baseline,
    outputs: list[Image],
    costs: list[float] | None,
) -> Metrics:
    figures: Metrics = stability.measure(scene, outputs, base, costs)
    figures["warped_lpips"] = None
    if subject.warped_lpips is not None:
        figures["warped_lpips"] = subject.warped_lpips(outputs, scene.motion)
    figures["style_ratio"] = None
    if subject.style_loss is not None:
        own = subject.own_style_loss(base)
        figures["style_ratio"] = subject.style_loss(outputs) / own if own > 0 else None
    return figures


def _measure_degenerate(
    report: Report, subject: Subject, scenes: list[Scene], bases: list[stability.Baseline]
) -> None:
    for name, wrap in DEGENERATE.items():
        measured = []
        for scene, base in zip(scenes, bases, strict=True):
            paint = wrap(subject.stylize)
            subject.begin()
            outputs = [paint(frame) for frame in scene.frames]
            measured.append((scene, _figures(subject, scene, base, outputs, None)))
        _summaries(report, subject, f"null:{name}", measured, null=True)


def _summaries(
    report: Report,
    subject: Subject,
    name: str,
    measured: list[tuple[Scene, Metrics]],
    null: bool,
) -> None:
    for truth in dict.fromkeys(scene.truth for scene, _ in measured):
        chosen = [(scene, figures) for scene, figures in measured if scene.truth == truth]
        summary: Metrics = stability.summarize(chosen)
        verdicts = gates.verdicts(summary, name)
        failed = gates.refused(verdicts)
        for gate, verdict in verdicts.items():
            summary[f"gate_{gate}"] = None if verdict is None else float(verdict)
        labels = {"clip": "mean", "photo": f"{len(chosen)} scenes", "truth": truth}
        report.add({"model": subject.name, "stabilizer": name, **labels}, summary)
        if failed and not null and name != "off":
            report.failures.append(f"{subject.name}/{name}/{truth}: {', '.join(failed)}")
        unknown = [gate for gate, verdict in verdicts.items() if verdict is None]
        verdict = f"refused: {', '.join(failed)}" if failed else "passed"
        if unknown:
            verdict += f" (not measured: {', '.join(unknown)})"
        cells = [_cell(summary.get(key), form) for key, _, form in COLUMNS]
        report.lines.append([subject.name, name, truth, *cells, verdict])


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None or not np.isfinite(value) else format(value, form)


def measure_still(report: Report, subject: Subject, photo: str, size: tuple[int, int]) -> None:
    """What the network does to one picture: EQ per shift in x, periodicity, border difference."""
    picture = np.ascontiguousarray(synthetic_clips.load_photo(photo, size)[: size[0], : size[1]])
    painted = subject.still(picture)
    errors = shift_errors(subject.still, picture)
    variance = float((painted / 255.0).reshape(-1, 3).var(axis=0).mean())
    mean = float(np.mean(list(errors.values())))
    report.add(
        {"model": subject.name, "stabilizer": "network", "clip": "picture", "photo": photo},
        {
            "shift_error": mean,
            "shift_error_relative": mean / variance if variance > 0 else None,
            **{f"shift_error_dx{dx}": errors[dx, 0] for dx in (1, 2, 3)},
            "lock": periodicity(painted),
            "lock_flat": flat_periodicity(painted, picture),
            "border_difference": border_difference(subject.still, picture),
        },
    )


def measure_drifts(
    report: Report,
    subject: Subject,
    names: list[str],
    strength: float,
    minutes: float,
    noise: float,
    progress: Callable[[], None],
) -> None:
    """The drift test of every stabilizer but `off`, frame by frame, still and moving."""
    for name in names:
        if name != "live":
            continue  # `off` has no memory, `best` has the same one frame by frame
        for moving in (False, True):
            subject.begin()
            figures = measure_drift(
                subject.stylize,
                name,
                strength,
                minutes,
                moving=moving,
                noise=noise,
                progress=progress,
            )
            kind = "circling camera" if moving else "still camera"
            labels = {"model": subject.name, "stabilizer": name, "clip": f"drift, {kind}"}
            report.add(labels, figures)
            report.notes.append(
                f"{subject.name}, {name}, {kind}: {minutes:g} min, means and contrasts moved by "
                f"{figures['drift']:.2f}/255 at most, {figures['drift_last']:.2f} at the end; "
                f"sharpness {figures['sharpness']:.2f} of the start"
            )


def measure_after_cuts(
    report: Report,
    subject: Subject,
    names: list[str],
    strength: float,
    clips: Mapping[str, list[Image]],
) -> None:
    """Squares some seconds after a cut, of every stabilizer but `off`; the gate is that of the
    rest."""
    for name in names:
        if name == "off":
            continue
        for clip, frames in clips.items():
            subject.begin()
            figures = measure_after_cut(subject.stylize, name, strength, frames)
            worst = max(figures.values())
            labels = {"model": subject.name, "stabilizer": name, "clip": f"after a cut, {clip}"}
            report.add(labels, {**figures, "gate_no_squares": float(worst <= gates.TILE_LIMIT)})
            if worst > gates.TILE_LIMIT:
                report.failures.append(f"{subject.name}/{name}/after a cut, {clip}: no_squares")
            values = ", ".join(f"{value:.2f}" for value in figures.values())
            seconds = ", ".join(map(str, MOMENTS))
            report.notes.append(
                f"{subject.name}, {name}, {clip}: squares of {values} levels "
                f"{seconds} s after a cut ({gates.TILE_LIMIT:g} at most)"
            )


def _keep(report: Report, subject: Subject, scene: Scene, name: str, outputs: list[Image]) -> None:
    shelf = report.shown.setdefault((subject.name, scene.name, scene.photo), {})
    shelf.setdefault("input", scene.frames)
    shelf[name] = outputs


def draw(
    report: Report, subject: Subject, folder: Path, shares: tuple[float, ...], overwrite: bool
) -> None:
    """A strip and an x-t slice of every scene of this model, as PNG."""
    for (model, clip, photo), columns in report.shown.items():
        if model != subject.name:
            continue
        count = len(next(iter(columns.values())))
        times = [min(count - 1, int(share * count)) for share in shares]
        stem = "_".join(part for part in (model, clip, photo) if part)
        write_png(folder / f"{stem}_strip.png", side_by_side(columns, times), overwrite)
        if count > 6:
            write_png(folder / f"{stem}_slice.png", time_slices(columns), overwrite)
    report.shown.clear()
