"""Runs a foldable model: measures a scene, folds its statistics, and follows the scene's drift.

A first picture (and the first after `reset` or a cut) is measured exactly, so stills equal instance
normalization up to rounding. In a moving scene the statistics drift: then a
smaller copy of the picture is measured in a second thread, and the fold follows in small steps, so
that no frame shows one. What a smaller copy measures differs from the whole picture; that
difference is taken once per scene, from the first picture, and added back.

Everything depends on the sequence of pictures only, not on the machine's speed: a measurement that
was begun is used a fixed number of frames later, and waited for if it is late.
"""

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engines import Engine, SharingEngine, TensorInfo
from ..errors import CardMismatch
from ..onnxfile import read_onnx, without_metadata
from .background import Aside
from .folding import Folding, Scene

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from ..engines.onnxruntime import OnnxRuntimeEngine

# Side of the smaller copy that is measured while a scene moves, as a share: a sixth of the work;
# and what the shorter side has at least. Strokes and borders have a fixed size, so that smaller
# copies measure something else: of 636x476 pixels, starry-fast painted a wall (177, 174, 129) by
# 254x190, (161, 163, 138) by 256 rows, (154, 159, 141) by 320, (145, 153, 145) by the whole; of
# 380x284, (217, 201, 107) by 152x112 and (151, 156, 142) by the whole.
COPY, LEAST_SIDE = 0.4, 320
# A copy with more than this share of the side is not worth having.
NEARLY = 0.8
# Seconds that a model which cannot be opened waits for its measuring graph, which is small.
PATIENCE_S = 10.0
# Graphs that are kept of a model for its next start: the one that is folded, the measuring one.
KEPT_GRAPHS = 2
# Frames between beginning a measurement and using it: time for a second core to finish it.
DELAY = 4
# Frames between using a measurement and beginning the next one: together with DELAY one a second,
# which has to follow people and daylight, not a camera that turns; three a second where it is
# urgent, more would be work for figures that flicker, and with two a scene that drifts quickly is
# taken for a cut.
REST, SHORT_REST = 26, 6
# Frames after which a scene that was begun in a hurry is measured whole: the start is over by then.
SETTLED = 10
# Every this many frames the fold moves by this share of the way to new statistics: half of it in 5
# frames, 95 % in 20, two thirds of a second at 30 per second. A fold costs 2 to 3 ms of a core. (3
# and 0.4 took 17 to 33 % more folds and were no nearer to a fold of each frame's own statistics:
# PSNR of starry-fast at 512x288 33.6 against 33.8 on a fast pan, 36.0 and 36.2 on people, 46.7 and
# 46.8 on a plant held by hand; the largest step was a tenth smaller.)
PACE = 4
STEP = 0.45
# A fold nearer than this to its goal (mean in deviations, deviation as a logarithm) has arrived:
# that is below what rounding to bytes does to the picture anyway.
ARRIVED = 0.02
# Change of a picture's own statistics (`signature`) that begins a measurement, and change of its
# colors that is a new scene. Between: people walking, camera moves; beyond: cuts. Texture alone
# makes no cut: fine grain loses half of it and gains it again as the camera moves by half pixels.
DRIFT = 0.06
CUT = 0.5
# ... and that is not left for later, long before it would be taken for a cut.
URGENT = 0.12
# A picture of another size whose colors changed less than this is the same scene, scaled; the
# texture is left out, because scaling changes it.
SAME = 0.1
COLORS = 6
# Half of one level of 255: keeps ratios of nearly flat pictures finite.
FLOOR = 0.002
# Sides of the smaller copy are multiples of this, as all our networks' demand.
GRID = 16
# Side of a picture that is measured for the sake of a run: 1 ms.
SMALL = 64
# Every this many pixels are looked at for the signature.
STRIDE = 8

# Variances below this are those of a flat picture; their logarithm would only be noise.
TINY = 1e-6

Fold = Callable[[dict[str, np.ndarray]], Engine]


@dataclass(frozen=True)
class _Known:
    """A picture's smaller copy, and the exact statistics of the picture."""

    small: np.ndarray
    exact: np.ndarray


@dataclass(frozen=True)
class _Evidence:
    """What is measured: a smaller copy, and one of what tells how far that is from exact."""

    small: np.ndarray
    whole: np.ndarray | None = None
    first: _Known | None = None
    correction: np.ndarray | None = None


class FoldingEngine:
    """An `Engine` around a foldable model.

    Args:
        base: the file opened as it is.
        folding: its figures.
        fold: opens the file again with other initializers.
        measuring: the measuring graph, opened or about to be.
    """

    def __init__(
        self, base: Engine, folding: Folding, fold: Fold, measuring: Engine | Aside[Engine]
    ) -> None:
        self.inputs: tuple[TensorInfo, ...] = base.inputs
        self.outputs: tuple[TensorInfo, ...] = base.outputs
        self.metadata, self.device, self.note = base.metadata, base.device, base.note
        self._engine: Engine | None = base
        self.folding, self._fold, self._measuring = folding, fold, measuring
        self._worker: ThreadPoolExecutor | None = None
        self._hurried = self._observing = False
        self.folds = 0
        self.measurements = 0
        self.reset()

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """As the base engine, folded for the scene of the picture given."""
        if self._engine is None:
            raise ValueError("this engine was closed")
        self._observing = False
        self._follow(feeds[self.inputs[0].name])
        return self._engine.run(feeds, outputs)

    def observe(self, picture: np.ndarray) -> None:
        """Follow the scene to a picture, given as to `run`, that is not painted: the next one that
        is comes behind a `reset`."""
        self._observing = True
        self._follow(picture)

    def reset(self) -> None:
        """The next picture begins a new scene."""
        self._current: np.ndarray | None = None
        self._goal: np.ndarray | None = None
        self._correction: np.ndarray | None = None
        self._first: _Known | None = None
        self._signature = np.zeros(0)
        self._shape: tuple[int, ...] = ()
        self._pending: Future[tuple[np.ndarray, np.ndarray | None]] | None = None
        self._rough = False
        self._due = 0
        self._rested = -REST
        self._frame = 0

    @property
    def begins_scene(self) -> bool:
        """Whether nothing before the last picture mattered to it, or will to those behind it."""
        return self._frame == 0

    def scene(self) -> Callable[[], Scene | None]:
        """What is known now, worked out when it is asked for (a measurement may be under way);
        None before a scene's first picture."""
        current, goal, first = self._current, self._goal, self._first
        if current is None or goal is None:
            return lambda: None
        correction, pending = self._correction, self._pending
        known = Scene(
            current=current,
            goal=goal,
            signature=self._signature,
            shape=self._shape,
            frame=self._frame,
            due=self._due,
            rested=self._rested,
            rough=self._rough,
        )

        def settle() -> Scene:
            begun = None if pending is None else pending.result()
            exact = correction
            if exact is None and first is not None:
                # The first picture does not travel: what it would be needed for does.
                exact = first.exact - self._thread().submit(self._measure, first.small).result()
                if self._first is first:
                    self._correction = exact
            return replace(known, correction=exact, begun=begun)

        return settle

    def restore(self, scene: Scene | None) -> None:
        """Go on behind what another process, or this one, knew; None: a new scene."""
        self.reset()
        if scene is None:
            return
        self._observing = False
        self._goal, self._correction = scene.goal, scene.correction
        self._signature, self._shape = scene.signature, scene.shape
        self._frame, self._due, self._rested = scene.frame, scene.due, scene.rested
        self._rough = scene.rough
        if scene.begun is not None:
            from concurrent.futures import Future

            self._pending = Future()
            self._pending.set_result(scene.begun)
        self._install(scene.current)

    def hurry(self) -> None:
        """From now on a new scene's first picture is measured on its smaller copy: a sixth of the
        time at 1280x720, about 25 ms instead of 130. The exact figures follow a third of a second
        later, like any drift."""
        self._hurried = True

    def folded(self, found: dict[str, np.ndarray]) -> Engine:
        """The model, folded for what its measuring graph answered elsewhere. Close it after use."""
        return self._folded(_statistics(found))

    def close(self) -> None:
        """Free everything; may be called twice."""
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)
            self._worker = None
        if self._engine is not None:
            self._engine.close()
            self._give_back()
            self._measurer().close()
        self._engine = None

    def _give_back(self) -> None:
        """Sessions that share their memory leave it to the next one: there may be none."""
        measurer = self._measurer()
        if isinstance(measurer, SharingEngine) and self.measurements:
            measurer.give_back({self.inputs[0].name: np.zeros((1, SMALL, SMALL, 3), np.uint8)})

    def _follow(self, picture: np.ndarray) -> None:
        if self._current is None:
            self._begin(picture)
            return
        now = signature(picture)
        if _change(self._signature[:COLORS], now[:COLORS]) > CUT:
            self._begin(picture, now)
            return
        self._frame += 1
        if picture.shape != self._shape:
            if _change(self._signature[:COLORS], now[:COLORS]) > SAME:
                self._begin(picture, now)
                return
            self._resize(picture, now)
        if self._pending is not None and self._frame >= self._due:
            self._accept()
        elif self._pending is None and (
            (
                (change := _change(self._signature, now)) > DRIFT
                and self._frame >= self._rested + (SHORT_REST if change > URGENT else REST)
            )
            or (self._rough and self._frame >= SETTLED)
        ):
            self._rough = False
            self._signature = now
            self._ask(picture)
        if self._frame % PACE == 0:
            self._approach()

    def _begin(self, picture: np.ndarray, now: np.ndarray | None = None) -> None:
        """A new scene: measured and folded before its first picture is painted."""
        self.reset()
        small = smaller(picture) if self._hurried else picture
        measuring = Aside(lambda: self._measure(small), "impasto-measure")
        # A process's first picture loads OpenCV here, while it is measured.
        self._shape, self._signature = picture.shape, signature(picture) if now is None else now
        found = measuring.result()
        self._install(found)
        self._goal = found
        self._rough = small is not picture
        if not self._rough:
            small = smaller(picture)
            self._first = None if small is picture else _Known(small, found)

    def _resize(self, picture: np.ndarray, now: np.ndarray) -> None:
        """The same scene at another size, as live controllers choose it: the fold stays for the
        moment, because a measurement now would cost several frames exactly when time is short."""
        self._shape, self._signature = picture.shape, now
        self._correction = self._first = None
        self._ask(picture)

    def _ask(self, picture: np.ndarray) -> None:
        """Begin a measurement in the worker."""
        self._due = self._frame + DELAY
        self._pending = self._thread().submit(self._remeasure, self._evidence(picture))

    def _measure(self, picture: np.ndarray) -> np.ndarray:
        found = self._measurer().run({self.inputs[0].name: picture})
        self.measurements += 1
        return _statistics(found)

    def _measurer(self) -> Engine:
        """The measuring graph, waited for if it is still being opened."""
        if isinstance(self._measuring, Aside):
            self._measuring = self._measuring.result()
        return self._measuring

    def _evidence(self, picture: np.ndarray) -> "_Evidence":
        """What the worker measures: also what tells a correction, as long as there is none.

        The whole picture is a copy: the caller may write its next frame into the same memory.
        """
        small = smaller(picture)
        if small is picture:
            return _Evidence(picture.copy())
        if self._correction is not None:
            return _Evidence(small, correction=self._correction)
        if self._first is not None:
            return _Evidence(small, first=self._first)
        return _Evidence(small, whole=picture.copy())

    def _remeasure(self, evidence: "_Evidence") -> tuple[np.ndarray, np.ndarray | None]:
        """The statistics to aim at, and the correction for those that follow."""
        estimate, correction = self._measure(evidence.small), evidence.correction
        if evidence.whole is not None:
            exact = self._measure(evidence.whole)
            return exact, exact - estimate
        if evidence.first is not None:
            correction = evidence.first.exact - self._measure(evidence.first.small)
        return (estimate if correction is None else estimate + correction), correction

    def _accept(self) -> None:
        if self._pending is None:
            return
        self._goal, correction = self._pending.result()
        self._pending = None
        self._rested = self._frame
        self._correction = correction

    def _approach(self) -> None:
        if self._goal is None or self._current is None or self._goal is self._current:
            return
        rest = self._goal - self._current
        deviation = np.exp(0.5 * self._current[1])
        distance = max(np.abs(rest[0] / deviation).max(), 0.5 * np.abs(rest[1]).max())
        if distance < ARRIVED:
            self._goal = self._current
        else:
            self._install(self._current + STEP * rest)

    def _install(self, statistics: np.ndarray) -> None:
        self._current = statistics
        if self._observing:
            return
        new = self._folded(statistics)
        if self._engine is not None:
            self._engine.close()
        self._engine = new
        self.folds += 1

    def _folded(self, statistics: np.ndarray) -> Engine:
        values = np.stack([statistics[0], np.exp(statistics[1])])
        return self._fold(self.folding.initializers(values))

    def _thread(self) -> "ThreadPoolExecutor":
        if self._worker is None:
            from concurrent.futures import ThreadPoolExecutor  # with it logging: not before a frame

            self._worker = ThreadPoolExecutor(1, "impasto-fold")
        return self._worker


def open_folded(model: Path, metadata: dict[str, str], device: str, threads: int | None) -> Engine:
    """Open a foldable ONNX file, or what was kept of it when it was opened before
    (`runtime.engines._optimized`); the measuring graph is opened beside it, in a second thread.

    Args:
        model: the file.
        metadata: of the file.
        device, threads: how to open it.

    Raises:
        CardMismatch: the folding figures are damaged.
    """
    from ..engines import _optimized
    from ..engines.onnxruntime import OnnxRuntimeEngine, version_on_cpu

    folding, data = _folding(metadata), read_onnx(model)
    place = _optimized.place(data, version_on_cpu(device))
    kept = _optimized.load(place)
    if len(kept) == KEPT_GRAPHS:
        source, graph = kept
        opening = Aside(
            lambda: OnnxRuntimeEngine.open(source, device, threads, optimized=True), "impasto-open"
        )
        coming = Aside(lambda: _open_kept(graph, folding, device, threads), "impasto-open")
        importlib.import_module("cv2")  # 14 ms of a start, while other threads open
        with suppress(CardMismatch):  # another library of the same version: opened from the file
            base = opening.result()
            base.metadata = metadata
            source = without_metadata(source)  # a tenth of a fold, to read it again each time
            return _engine(base, source, folding, coming, device, threads, optimized=True)
    keep = place is not None
    measuring = Aside(lambda: _open_measuring(folding, device, threads, keep=keep), "impasto-open")
    try:
        source = folding.with_vectors(data, model.name)
        base = OnnxRuntimeEngine.open(source, device, threads, keep=True)
    except BaseException:
        measuring.wait(PATIENCE_S)
        raise
    measurer = measuring.result()
    _optimized.save(place, (base.optimized, measurer.optimized))
    optimized = base.optimized is not None
    source = without_metadata(base.optimized or source)
    return _engine(base, source, folding, measurer, device, threads, optimized=optimized)


def wrap(engine: Engine, model: Path, name: str, device: str, threads: int | None) -> Engine:
    """A foldable model of another kind of file, opened already, with its folding.

    Raises:
        CardMismatch: the folding figures are damaged, or another engine than ONNX Runtime was
            asked for.
    """
    check_engine(model, name)
    folding = _folding(engine.metadata)
    measuring = _open_measuring(folding, device, threads)
    return _engine(engine, model.read_bytes(), folding, measuring, device, threads)


def check_engine(model: Path, name: str) -> None:
    """Raises CardMismatch for an engine that cannot fold."""
    if name != "onnxruntime":
        raise CardMismatch(
            f'"{model}" is folded for each scene, which --engine {name} cannot do; use --engine '
            "onnxruntime, or an int8 file exported for that engine (python -m export --list)"
        )


def _folding(metadata: dict[str, str]) -> Folding:
    folding = Folding.from_metadata(metadata)
    if folding is None:
        raise CardMismatch("the model has no folding figures; export it again")
    return folding


def _open_measuring(
    folding: Folding, device: str, threads: int | None, *, keep: bool = False
) -> "OnnxRuntimeEngine":
    return _open_shared(folding.graph, device, threads, keep=keep)


def _open_kept(graph: bytes, folding: Folding, device: str, threads: int | None) -> Engine:
    """The measuring graph as it was kept; where that does not open, as the model has it."""
    try:
        return _open_shared(graph, device, threads, optimized=True)
    except CardMismatch:
        return _open_measuring(folding, device, threads)


def _open_shared(
    graph: bytes,
    device: str,
    threads: int | None,
    *,
    keep: bool = False,
    optimized: bool = False,
) -> "OnnxRuntimeEngine":
    from ..engines.onnxruntime import OnnxRuntimeEngine

    # Without patterns: a whole picture is measured rarely, and the block reserved for the next one
    # would be the largest of the process (45 MB at 640x480).
    return OnnxRuntimeEngine.open(
        graph, device, threads, shared=True, patterns=False, keep=keep, optimized=optimized
    )


def _engine(
    base: Engine,
    source: bytes,
    folding: Folding,
    measuring: Engine | Aside[Engine],
    device: str,
    threads: int | None,
    *,
    optimized: bool = False,
) -> Engine:
    from ..engines.onnxruntime import OnnxRuntimeEngine

    def fold(values: dict[str, np.ndarray]) -> Engine:
        return OnnxRuntimeEngine.open(
            source, device, threads, values, shared=True, optimized=optimized
        )

    return FoldingEngine(base, folding, fold, measuring)


def _statistics(found: dict[str, np.ndarray]) -> np.ndarray:
    """(2, channels) of the measuring graph's answers: mean and logarithm of the variance. In the
    logarithm, steps and differences are ratios, and nothing can become negative."""
    return np.stack([found["mean"][0], np.log(np.maximum(found["variance"][0], TINY))])


def signature(picture: np.ndarray) -> np.ndarray:
    """Cheap figures of a picture (1, H, W, 3) in bytes, in parts of the full range: mean and
    deviation of each color, mean step between neighbors (texture, which normalizations see)."""
    import cv2  # loaded late: see `_begin`

    # Words of four bytes are picked out in a third of the time that three bytes take, and OpenCV's
    # sums over bytes need an eighth of those over arrays of floats: 0.12 ms at 1280x720.
    words = cv2.cvtColor(picture[0, ::STRIDE], cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
    points, neighbors = _pixels(words[:, ::STRIDE]), _pixels(words[:, 1::STRIDE])
    mean, deviation = cv2.meanStdDev(points)
    texture = 0.0
    if neighbors.size:
        beside = np.ascontiguousarray(points[:, : neighbors.shape[1]])
        # The fourth byte is 255 everywhere: no step.
        steps = cv2.norm(beside, neighbors, cv2.NORM_L1)
        texture = steps / (neighbors.size // 4 * 3)
    return np.concatenate([mean[:3, 0], deviation[:3, 0], [texture]]) / 255


def _pixels(words: np.ndarray) -> np.ndarray:
    """(h, w, 4) bytes of (h, w) words."""
    return np.ascontiguousarray(words)[..., None].view(np.uint8)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    """How much a scene changed: mean of a color in deviations, deviations and texture as ratios."""
    spread = before[3:6].mean() + FLOOR
    shift = np.abs(after[:3] - before[:3]).max() / spread
    ratio = np.abs(np.log((after[3:] + FLOOR) / (before[3:] + FLOOR))).max()
    return float(max(shift, ratio))


def smaller(picture: np.ndarray) -> np.ndarray:
    """The copy that is measured in moving scenes; the picture itself if it is small already."""
    _, height, width, _ = picture.shape
    scale = max(COPY, LEAST_SIDE / min(height, width))
    if scale > NEARLY:
        return picture
    import cv2

    size = (round(width * scale) // GRID * GRID, round(height * scale) // GRID * GRID)
    whole: np.ndarray = picture[0]
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return small[None]
