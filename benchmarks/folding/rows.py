"""What `benchmarks.folding` measures, as rows of its result file.

The yardstick is always the float network with live instance normalization on the same picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import UsageError
from runtime.frame import Image
from runtime.model.folding import Folding
from runtime.model.folding_engine import smaller
from runtime.model.session import StyleSession, open_session

from ..measuring import results, statistics
from ..measuring import rounds as measure
from ..measuring.results import Metrics, Row
from ..metrics.ssim import ssim
from ..metrics.static_flicker import static_flicker
from ..temporal import synthetic_clips
from ..temporal.rows import read_painting
from ..temporal.style_gate import try_style_loss

# A pan goes by this share of the width ...
PAN = 0.25
# ... in so many frames, 1.5 s at 30 per second; every LOOK-th is compared on the way ...
PAN_FRAMES, LOOK = 45, 5
# ... and then rests so long: the fold needs 18 frames for 95 % of a step.
REST = 30
# Frames before and after a cut.
BEFORE, AFTER = 10, 30
# Frames of the still scene, and the standard deviation of its noise in levels (`clips.NOISE`).
STILL_FRAMES = 60
# PSNR of equal pictures is infinite; JSON has no such number.
MOST_PSNR = 99.0


@dataclass
class Subject:
    """A foldable file and its float network.

    Attributes:
        name: of the file.
        live: the file as the runtime runs it.
        exact: the float network.
        folding: the file's figures.
        threads: of the engines.
        style_loss: of pictures, None if it cannot be measured; `style_note` says why.
    """

    name: str
    path: Path
    live: StyleSession
    exact: StyleSession
    folding: Folding
    threads: int | None
    style_loss: Any
    style_note: str

    @staticmethod
    def open(
        model: str, exact: str, style: str | None, weights: Path | None, threads: int | None
    ) -> "Subject":
        """Open both files.

        Raises:
            UsageError: the model is not foldable.
        """
        live = open_session(model, threads=threads)
        metadata = OnnxRuntimeEngine.open(live.model_path, "cpu", threads).metadata
        folding = Folding.from_metadata(metadata)
        if folding is None:
            live.close()
            raise UsageError(
                f'--model: "{live.model_path}" is not folded for scenes; take an int8 file of a '
                "lean network with instance normalization (python -m export --precision int8)"
            )
        painting = None if style is None else read_painting(style)
        loss, note = try_style_loss(weights, painting)
        other = open_session(exact, threads=threads)
        return Subject(
            live.model_path.stem, live.model_path, live, other, folding, threads, loss, note
        )

    def close(self) -> None:
        """Free both sessions."""
        self.live.close()
        self.exact.close()

    def frozen(self, picture: Image) -> StyleSession:
        """The file folded for this picture, whatever follows."""
        feeds = self.live.feeds(self.fitting(picture), {})
        measuring = OnnxRuntimeEngine.open(self.folding.graph, "cpu", self.threads)
        found = measuring.run(feeds)
        measuring.close()
        statistics_ = np.stack([found["mean"][0], found["variance"][0]])
        values = self.folding.initializers(statistics_)
        model = self.folding.with_vectors(self.path.read_bytes())
        engine = OnnxRuntimeEngine.open(model, "cpu", self.threads, values)
        return StyleSession(engine, self.live.card, self.path, "onnxruntime", self.live.sha256)

    def fitting(self, picture: Image) -> Image:
        """The picture at a size the graph accepts (edges repeated)."""
        height, width = picture.shape[:2]
        rows, columns = self.live.padded_size(height, width)
        return np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")

    def compare(self, picture: Image, painted: Image) -> dict[str, float | None]:
        """How far a painted picture is from the float network's."""
        exact = self.exact.stylize(picture)
        found: dict[str, float | None] = {
            "psnr_db": psnr(exact, painted),
            "ssim": ssim(exact, painted),
            "style_ratio": None,
        }
        if self.style_loss is not None:
            found["style_ratio"] = self.style_loss([painted]) / self.style_loss([exact])
        return found


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio of two byte pictures in dB: 10 log10(255^2 / mean (a - b)^2)."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return min(MOST_PSNR, 10 * float(np.log10(255**2 / max(error, 1e-12))))


def measure_photo(subject: Subject, name: str, other: str, size: tuple[int, int]) -> list[Row]:
    """All quality rows of one photograph.

    Args:
        subject: the file and its float network.
        name, other: photographs (`clips.load_photo`); the other one is cut to.
        size: (height, width).
    """
    height, width = size
    shift = round(PAN * width)
    photo = _middle(
        synthetic_clips.load_photo(name, (height, width + shift)), height, width + shift
    )
    second = _middle(synthetic_clips.load_photo(other, size), height, width)
    labels = {"model": subject.name, "photo": Path(name).stem, "size": f"{width}x{height}"}

    def row(what: str, metrics: Metrics) -> Row:
        return results.row({**labels, "what": what}, metrics, ("model", "what", "photo"))

    first, last = _view(photo, 0, width), _view(photo, shift, width)
    subject.live.reset()
    rows = [row("still", subject.compare(first, subject.live.stylize(first)))]
    with subject.frozen(first) as frozen:
        rows.append(row("pan, not followed", subject.compare(last, frozen.stylize(last))))
    on_the_way, arrived = _pan(subject, photo, width, shift)
    rows.append(row("pan, on the way", on_the_way))
    rows.append(row("pan, then rest", arrived))
    at_once, later = _cut(subject, first, second)
    return [*rows, row("cut, first frame", at_once), row("cut, a second later", later)]


def _pan(
    subject: Subject, photo: Image, width: int, shift: int
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The mean of what is seen while the camera pans (its worst PSNR, too), and the end of a
    rest."""
    subject.live.reset()
    seen, painted, view = [], None, None
    for t in range(PAN_FRAMES + REST):
        at = round(shift * min(1.0, t / (PAN_FRAMES - 1)))
        view = _view(photo, at, width)
        painted = subject.live.stylize(view)
        if t % LOOK == LOOK - 1 and t < PAN_FRAMES:
            seen.append(subject.compare(view, painted))
    if view is None or painted is None:
        raise ValueError("a pan has frames")
    worst = min(float(found["psnr_db"] or 0.0) for found in seen)
    return {**_mean(seen), "worst_psnr_db": worst}, subject.compare(view, painted)


def _cut(
    subject: Subject, first: Image, second: Image
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The first frame after a cut, and a later one."""
    subject.live.reset()
    for _ in range(BEFORE):
        subject.live.stylize(first)
    at_once = subject.compare(second, subject.live.stylize(second))
    painted = second
    for _ in range(AFTER):
        painted = subject.live.stylize(second)
    return at_once, subject.compare(second, painted)


def measure_flicker(subject: Subject, name: str, size: tuple[int, int]) -> Row:
    """One row: how much a still scene with sensor noise boils, folded once, followed, in floats."""
    clip = synthetic_clips.build("still", name, size=size, num_frames=STILL_FRAMES)
    frames = clip.frames
    with subject.frozen(frames[0]) as frozen:
        once = static_flicker([frozen.stylize(frame) for frame in frames])
    subject.live.reset()
    live = static_flicker([subject.live.stylize(frame) for frame in frames])
    exact = static_flicker([subject.exact.stylize(frame) for frame in frames])
    labels = {
        "model": subject.name,
        "photo": Path(name).stem,
        "size": f"{size[1]}x{size[0]}",
        "what": "still scene with noise",
    }
    metrics = {
        "flicker": live,
        "flicker_folded_once": once,
        "flicker_float": exact,
        "flicker_added": live - once,
        "flicker_source": static_flicker(frames),
    }
    return results.row(labels, metrics, ("model", "what", "photo"))


def measure_costs(subject: Subject, name: str, size: tuple[int, int], plan: measure.Plan) -> Row:
    """One row: milliseconds of a fold, of a measurement, and of a frame, interleaved."""
    height, width = size
    photo = _middle(synthetic_clips.load_photo(name, size), height, width)
    whole = subject.fitting(photo)[None]
    small = smaller(whole)
    key = subject.live.card.port("image").name
    source = subject.folding.with_vectors(subject.path.read_bytes())
    measuring = OnnxRuntimeEngine.open(subject.folding.graph, "cpu", subject.threads)
    found = measuring.run({key: whole})
    figures = np.stack([found["mean"][0], found["variance"][0]])
    frozen = subject.frozen(photo)

    def fold() -> None:
        values = subject.folding.initializers(figures)
        OnnxRuntimeEngine.open(source, "cpu", subject.threads, values).close()

    cases = {
        "fold": fold,
        "measure": lambda: measuring.run({key: whole}),
        "measure_small": lambda: measuring.run({key: small}),
        "frame": lambda: frozen.stylize(photo),
    }
    rounds = measure.interleave(
        [measure.Case(case, measure.timed(call)) for case, call in cases.items()], plan
    )
    frozen.close()
    measuring.close()
    metrics: Metrics = {}
    for case in cases:
        times = rounds.times(case)
        metrics[f"{case}_p50_ms"] = statistics.median(times)
        metrics[f"{case}_p95_ms"] = statistics.percentile(times, 95)
    metrics["samples"] = len(rounds.order)
    labels = {
        "model": subject.name,
        "photo": Path(name).stem,
        "size": f"{width}x{height}",
        "what": "cost",
        "threads": subject.threads,
    }
    return results.row(labels, metrics, ("model", "what", "size"))


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """One row per kind of measurement: means over the photographs, and the worst PSNR of them."""
    found = []
    for what in dict.fromkeys(row["labels"]["what"] for row in rows):
        same = [row for row in rows if row["labels"]["what"] == what]
        metrics = _mean([row["metrics"] for row in same])
        if "psnr_db" in metrics:
            key = "worst_psnr_db"
            metrics[key] = min(row["metrics"].get(key, row["metrics"]["psnr_db"]) for row in same)
        labels = {**same[0]["labels"], "photo": "mean"}
        found.append(results.row(labels, metrics, ("model", "what", "photo")))
    return found


def _mean(rows: Sequence[Metrics]) -> dict[str, float | None]:
    """Means of each metric over the rows that have it."""
    means: dict[str, float | None] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if row.get(key) is not None]
        means[key] = float(np.mean(values)) if values else None
    return means


def _middle(photo: Image, height: int, width: int) -> Image:
    """The middle of a photo of at least this size."""
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    return np.ascontiguousarray(photo[top : top + height, left : left + width])


def _view(photo: Image, left: int, width: int) -> Image:
    return np.ascontiguousarray(photo[:, left : left + width])
