"""What a latency run times: every model at every size on every engine, opened and ready."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from runtime import engines, plugins
from runtime.engines import Engine
from runtime.errors import EngineUnavailable, UsageError
from runtime.frame import Image
from runtime.model import formats, store
from runtime.model.session import StyleSession
from runtime.sources.synthetic import SyntheticSource

from . import onnx_counts
from .cuda import DeviceGraph
from .opening import engine_label, open_any
from .results import Labels
from .rounds import Case, Parts
from .structure import structure

Size = tuple[int, int]  # (width, height)


class Stopwatch:
    """An engine in front of another that notes when the graph begins and ends.

    So one call of `StyleSession.stylize` gives three times: what is before the graph (padding,
    layout, range), the graph, and what is after it (rounding, cropping).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.metadata, self.device, self.note = engine.metadata, engine.device, engine.note
        self.began = self.ended = 0.0

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """As the engine's; results are numpy arrays, so a GPU has finished when it returns."""
        self.began = time.perf_counter()
        results = self._engine.run(feeds, outputs)
        self.ended = time.perf_counter()
        return results

    def close(self) -> None:
        """Close the engine behind."""
        self._engine.close()


@dataclass(slots=True)
class Subject:
    """One combination, open and ready.

    Attributes:
        model: name for people: the file's, with its folder if two files are called the same.
        path: the file.
        size: of the pictures; a model of one fixed size is timed at that.
        role: "ours" or "peer".
        session: open on `engine`, `device`, `threads`.
        threads: None where the engine decides (GPU).
        watch: the stopwatch inside the session.
        images: what it paints, in turn.
        conditions: a style, for models that need one.
        device: the same graph timed by CUDA events, on a GPU.
        calls: how often it has painted.
    """

    model: str
    path: Path
    size: Size
    role: str
    session: StyleSession
    threads: int | None
    watch: Stopwatch
    images: list[Image]
    conditions: dict[str, Any] = field(default_factory=dict)
    device: DeviceGraph | None = None
    calls: int = 0

    @property
    def labels(self) -> Labels:
        """Labels of its result row."""
        card = self.session.card
        return {
            "model": self.model,
            "size": f"{self.size[0]}x{self.size[1]}",
            "engine": engine_label(self.session),
            "device": self.session.device,
            "threads": self.threads,
            "precision": card.precision,
            "role": self.role,
            "weights": card.recipe.get("weights", "trained" if card.recipe else "unknown"),
            "normalization": card.normalization,
            "sha256": self.session.sha256,
            "structure": structure(self.path),
        }

    @property
    def case(self) -> Case:
        """The case to be timed: parts "total", "pre", "model", "post" and "cpu" (processor time of
        all threads) in milliseconds, and on a GPU "device": the graph without copies, which "model"
        includes."""
        labels = self.labels
        keys = ("model", "size", "engine", "device", "threads")
        return Case("/".join(str(labels[key]) for key in keys), self._call)

    def _call(self) -> Parts:
        image = self.images[self.calls % len(self.images)]
        self.calls += 1
        processor = time.process_time()
        begun = time.perf_counter()
        self.session.stylize(image, **self.conditions)
        done = time.perf_counter()
        processor = time.process_time() - processor
        parts = {
            "total": (done - begun) * 1e3,
            "pre": (self.watch.began - begun) * 1e3,
            "model": (self.watch.ended - self.watch.began) * 1e3,
            "post": (done - self.watch.ended) * 1e3,
            "cpu": processor * 1e3,
        }
        return parts if self.device is None else {**parts, "device": self.device.run_ms()}


@dataclass(frozen=True, slots=True)
class Axes:
    """What to combine; `peer_sizes` for the peers, which are slow."""

    models: list[str]
    peers: list[Path]
    sizes: list[Size]
    peer_sizes: list[Size]
    engines: list[str]
    devices: list[str]
    threads: list[int]
    precisions: list[str]
    values: str = ""  # range of models without a card


def check_engine(engine: str) -> None:
    """Raise UsageError unless this is "auto", or an engine with a hint it knows or none."""
    name, colon, hint = engine.partition(":")
    if name == "auto" and not colon:
        return
    plugin = plugins.load(engines, name)
    if colon and hint not in plugin.hints:
        allowed = ", ".join(plugin.hints) or "none"
        raise UsageError(f'--engines "{engine}": the hints of {name} are {allowed}')


def size_of(path: Path) -> int:
    """Bytes of a model, its second file included."""
    other = formats.beside(path)
    return path.stat().st_size + (other.stat().st_size if other is not None else 0)


def find_peers(where: list[str]) -> list[Path]:
    """Model files named, or lying in the folders named.

    Raises:
        UsageError: a folder without models.
    """
    found: list[Path] = []
    for name in where:
        folder = Path(name)
        if not folder.is_dir():
            found.append(store.resolve(name))
            continue
        inside = sorted(p for p in folder.iterdir() if formats.is_model(p))
        if not inside:
            raise UsageError(
                f'no models in "{folder}"; python -m benchmarks.peers --output {folder} makes them'
            )
        found += inside
    return found


def open_subjects(axes: Axes, skipped: list[str]) -> list[Subject]:
    """Open every combination in a session of its own.

    A session remembers: states of recurrent models, the scene a model was folded for, work space of
    one size. Sharing one between sizes would time the forgetting.

    Args:
        axes: what to combine.
        skipped: filled with a sentence for each combination this machine cannot run.

    Raises:
        EngineUnavailable: nothing at all can run here.
        ModelNotFound, CardMismatch: a file is missing or is no model.
    """
    paths = [(store.resolve(name), "ours", axes.sizes) for name in axes.models]
    paths += [(path, "peer", axes.peer_sizes) for path in axes.peers]
    names = _names([path for path, _, _ in paths])
    pictures: dict[Size, list[Image]] = {}
    subjects: list[Subject] = []
    for (path, role, sizes), engine, device in product(paths, axes.engines, axes.devices):
        name = names[path]
        if not _reads(path, engine):
            skipped.append(f"{name} on {engine}: it does not read {path.suffix} files")
            continue
        every = product(axes.threads if device == "cpu" else [None], sizes)
        for threads, asked in every:
            try:
                session = open_any(path, engine, device, threads, axes.values)
            except EngineUnavailable as error:
                skipped.append(f"{name} on {engine}/{device}: {error}")
                break
            if axes.precisions and session.card.precision not in axes.precisions:
                skipped.append(f"{name}: its precision is {session.card.precision}")
                session.close()
                break
            size = _own_size(session) or asked
            if size not in pictures:
                # A still scene: what a model does at cuts and drifts is part of whole clips.
                pictures[size] = frames(size, 1)
            subjects.append(_subject(session, name, path, role, threads, size, pictures[size]))
            if size != asked:
                skipped += [f"{name} at other sizes: it takes {size[0]}x{size[1]} only"]
                break
    if not subjects:
        raise EngineUnavailable("nothing to measure here: " + "; ".join(dict.fromkeys(skipped)))
    return subjects


def _names(paths: list[Path]) -> dict[Path, str]:
    """What to call each model: its bare name; with the folder or the kind, where that is needed."""
    bare = {path: formats.bare_name(path) for path in paths}
    found = {}
    for path in paths:
        same = [other for other in paths if bare[other] == bare[path] and other != path]
        if not same:
            found[path] = bare[path]
        elif any(other.parent == path.parent for other in same):
            found[path] = path.name
        else:
            found[path] = f"{path.parent.name}-{bare[path]}"
    return found


def _reads(path: Path, engine: str) -> bool:
    """Whether the engine reads such files; kinds that nobody knows are left to its own words."""
    name = engine.partition(":")[0]
    suffix = formats.suffix_of(path)
    return name == "auto" or not suffix or name in formats.readers()[suffix]


def _own_size(session: StyleSession) -> Size | None:
    """(width, height) of a model that takes one size only."""
    height, width = session.padded_size(1, 1)
    return (width, height) if (height, width) == session.padded_size(4096, 4096) else None


def _subject(
    session: StyleSession,
    name: str,
    path: Path,
    role: str,
    threads: int | None,
    size: Size,
    pictures: list[Image],
) -> Subject:
    # The one place outside the runtime that reaches inside a session: to time the graph alone.
    watch = Stopwatch(session._engine)
    session._engine = watch
    needs_style = any(port.role in ("style", "code") for port in session.card.inputs)
    conditions = {"style": pictures[0]} if needs_style else {}
    subject = Subject(*(name, path, size, role, session, threads, watch, pictures), conditions)
    if session.engine == "onnxruntime" and session.device.startswith("cuda"):
        padded = session.padded_size(size[1], size[0])
        number = int(session.device.partition(":")[2] or 0)
        inputs = onnx_counts.feeds(path, session.card, *padded)
        subject.device = DeviceGraph(str(path), inputs, number)
    return subject


def frames(size: Size, count: int) -> list[Image]:
    """The first frames of the runtime's synthetic picture: the same everywhere."""
    source = SyntheticSource(size=size, num_frames=count)
    return [frame.image for frame in source]


def close(subjects: list[Subject]) -> None:
    """Close all sessions."""
    for subject in subjects:
        if subject.device is not None:
            subject.device.close()
        subject.session.close()
