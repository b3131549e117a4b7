"""A model, open and ready: pictures in, painted pictures out.

The session does what every user of the model would have to do by hand: pad to the sizes the graph
accepts, convert to its layout and value range, feed parameters and memory, crop, round back.
All of that is read from the model's card; no fact about any model is written here.
"""

import json
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

import numpy as np

from ..card import FOLDING_KEY, CardFacts, ModelCard, Port
from ..checksum import sha256
from ..engines import Engine, RecordingEngine, RememberingEngine, library_of, why_not
from ..errors import CardMismatch, StyleError, UsageError
from ..frame import Image, check_image
from ..onnxfile import read_onnx
from ..state import State, nest, part
from . import arrays, formats, loops, store, zoo
from .card_check import card_of, fitted
from .conditions import Condition, Conditions
from .folding import Folding, Scene, SceneEngine
from .formats import open_model

if TYPE_CHECKING:
    from .gpu.byte_path import BytePath

# Picture (height, width) that engines are compared with.
TRIAL_SIZE = (480, 640)


class StyleSession:
    """One open model.

    A model without memory may be shared by several threads: one picture at a time goes through it.
    A session that remembers a scene (see `remembers`) refuses two pictures at once, because each
    thread's scene would be painted with what the other's left: open a session for each.

    Attributes:
        card: what the model eats and gives.
        engine: name of the engine ("onnxruntime").
        device: where it really runs ("cpu", "cuda:0").
        precision_hint: "bf16" if the engine was allowed to be inexact so, else None.
        model_path: the file.
        sha256: of the file; computed when it is first asked for.
        notes: what a user should know about how the model was opened, one line each.
        steady: whether its pictures are stabilized already (a stream of a server is).
    """

    def __init__(
        self,
        engine: Engine,
        card: ModelCard,
        model_path: Path,
        engine_name: str,
        sha256: str = "",
        threads: int | None = None,
        hint: str | None = None,
        encoder: Path | None = None,
        byte_path: "BytePath | None" = None,
    ) -> None:
        self.card = card
        self.engine = engine_name
        self.device = engine.device
        self.model_path = model_path
        self._sha256 = sha256
        self.notes: list[str] = []
        self.steady = False
        self._engine = engine
        self._memory = engine if isinstance(engine, RememberingEngine) else None
        self._scene = engine if isinstance(engine, SceneEngine) else None
        self._painting = threading.Lock()
        self._threads = threads
        self.precision_hint = hint
        self._image = card.port("image")
        self._output = _image_output(card)
        self._conditions = Conditions(card, model_path, engine_name, engine.device, encoder)
        self._buffer: np.ndarray | None = None
        # A faster way for pictures of bytes, once it has painted one as the model does.
        self._bytes = byte_path
        self._checked = False

    @property
    def sha256(self) -> str:
        """Of the model's file, 64 hexadecimal digits."""
        self._sha256 = self._sha256 or sha256(self.model_path)
        return self._sha256

    def stylize(
        self,
        image: Image,
        *,
        strength: float = 1.0,
        offset: np.ndarray | None = None,
        **conditions: Condition,
    ) -> Image:
        """Paint one picture.

        Args:
            image: (H, W, 3) uint8 RGB, any size.
            strength: 0 gives the picture back, 1 the full style; between them a blend, unless the
                model has a parameter of that name.
            offset: (H, W) or (H, W, 3) float32 added to the network's view of the picture, in
                units of the full range (input noise, `runtime.input_noise.still.StillNoise`).
            conditions: what else the model takes: `style=` (a picture, its path, or a list of
                (picture, weight) pairs), `code=` (a style vector), `variation=` (a
                number that chooses one of many answers), scalars by their port's name.

        Returns:
            (H, W, 3) uint8 RGB of the same size.

        Raises:
            UsageError: a condition the model does not take, or another thread's picture is being
                painted and the session remembers a scene.
        """
        check_image(image)
        parameter = self.card.has_scalar("strength")
        if not parameter and strength <= 0.0:
            return image.copy()
        if parameter:
            conditions["strength"] = strength
        with self._alone():
            if offset is not None:
                view = arrays.image_to_float(image) + _three_channels(offset)
                styled = arrays.float_to_image(self._run_float(view, conditions))
            else:
                styled = self._run_bytes(image, conditions)
        if parameter or strength >= 1.0:
            return styled
        import cv2

        return cv2.addWeighted(styled, strength, image, 1.0 - strength, 0.0)

    def stylize_float(
        self,
        image: np.ndarray,
        *,
        strength: float = 1.0,
        offset: np.ndarray | None = None,
        **conditions: Condition,
    ) -> np.ndarray:
        """As `stylize`, for (H, W, 3) float32 RGB in 0..1: nothing is rounded to bytes on the way
        (unless the graph itself works on bytes)."""
        parameter = self.card.has_scalar("strength")
        if not parameter and strength <= 0.0:
            return image.copy()
        if parameter:
            conditions["strength"] = strength
        view = image if offset is None else image + _three_channels(offset)
        with self._alone():
            styled = self._run_float(view, conditions)
        if parameter or strength >= 1.0:
            return styled
        return image + np.float32(strength) * (styled - image)

    def reset(self) -> None:
        """Forget what earlier pictures left in the model: the memory of recurrent ones, the fold
        of those that are folded for each scene (after a cut or a seek)."""
        with self._alone():
            self._conditions.reset()
            if self._memory is not None:
                self._memory.reset()

    @property
    def remembers(self) -> bool:
        """Whether a picture depends on those before it: recurrent models, and those that are folded
        for each scene. `reset` begins anew."""
        return self._memory is not None or self.card.recurrent

    @property
    def begins_scene(self) -> bool:
        """Whether the last picture began a scene by itself, without `reset`: a run that is to go on
        behind it may begin there. Models without a memory always do."""
        if self.card.recurrent:
            return False
        return self._memory is None or self._memory.begins_scene

    def observe(self, image: Image) -> bool:
        """Follow the scene to this picture without painting it: what `begins_scene` would say.

        `reset` before the next picture that is painted.
        """
        with self._alone():
            if self._scene is not None:
                padded, _ = self._place(image)
                self._scene.observe(arrays.to_tensor(padded, self._image))
        return self.begins_scene

    @property
    def continues(self) -> bool:
        """Whether another process can go on behind any picture, with what `scene` says: what
        recurrent models remember does not travel."""
        return not self.card.recurrent and (self._memory is None or self._scene is not None)

    def scene(self) -> Callable[[], Scene | None]:
        """What is known of the scene now, worked out when it is asked for; None where nothing
        before the next picture matters."""
        return (lambda: None) if self._scene is None else self._scene.scene()

    def restore(self, scene: Scene | None) -> None:
        """Go on behind what `scene` said of a session of this model, here or elsewhere."""
        self.reset()
        if self._scene is not None:
            with self._alone():
                self._scene.restore(scene)

    def state(self) -> State | None:
        """What earlier pictures left, recurrent models' memory as well, for `resume` of another
        session of this model; None if it lies elsewhere (in a server)."""
        if self._memory is not None and self._scene is None:
            return None
        scene = self.scene()()
        known = {} if scene is None else {"scene": np.array(json.dumps(scene.to_json()))}
        return {**known, **nest("conditions", self._conditions.state())}

    def resume(self, state: State) -> None:
        """Go on where another session was: the next picture comes out as it would have there."""
        known = state.get("scene")
        self.restore(None if known is None else Scene.from_json(json.loads(str(known))))
        self._conditions.resume(part("conditions", state))

    def hurry(self) -> None:
        """Prefer frames in time to the last bit of exactness where a scene begins: models that are
        folded for each scene measure a smaller copy of its first frame, and correct it later."""
        if self._scene is not None:
            self._scene.hurry()

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._engine.close()
        self._drop_bytes()
        self._conditions.close()
        self._buffer = None

    def __enter__(self) -> "StyleSession":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def feeds(self, view: np.ndarray, conditions: Mapping[str, Condition]) -> dict[str, np.ndarray]:
        """All tensors for a picture that already has a size the graph accepts.

        Args:
            view: (H, W, 3) RGB, uint8, or float32 in 0..1.
            conditions: as for `stylize`.
        """
        convert = arrays.to_tensor if view.dtype == np.uint8 else arrays.float_to_tensor
        others = self._conditions.feeds(conditions, view.shape[0], view.shape[1])
        return {self._image.name: convert(view, self._image), **others}

    def picture(self, result: np.ndarray) -> np.ndarray:
        """The graph's answer as (H, W, 3) float32, 0..1."""
        return arrays.tensor_to_float(result, self._output)

    @property
    def output_name(self) -> str:
        """Name of the graph's picture output."""
        return self._output.name

    @property
    def recorded_graphs(self) -> int:
        """How many CUDA graphs the engine launches, one for a size of picture; 0 on a CPU."""
        engines = [self._engine, *([self._bytes.engine] if self._bytes is not None else [])]
        return sum(e.recorded for e in engines if isinstance(e, RecordingEngine))

    @property
    def has_fixed_size(self) -> bool:
        """Whether the graph accepts one size only (pictures are scaled to it and back)."""
        return arrays.fixed_size(self._image) is not None

    def open_part(self, model: bytes) -> Engine:
        """Another graph (a part of this one) on the same engine, device and threads."""
        return open_model(model, self.engine, self.device, self._threads, self.precision_hint)

    @property
    def folding(self) -> Folding | None:
        """The figures of a model that is folded for each scene, None of another."""
        return None if self._scene is None else self._scene.folding

    def open_folded(self, found: dict[str, np.ndarray]) -> Engine:
        """Such a model, folded for what its measuring graph answered elsewhere."""
        if self._scene is None:
            raise ValueError("this model is not folded for each scene")
        return self._scene.folded(found)

    def graphs(self) -> list[bytes]:
        """The ONNX graphs that a picture goes through: the file itself, if it is one, and what
        measures the picture first, if the model is folded for each scene."""
        found = [] if self.folding is None else [self.folding.graph]
        if self.model_path.suffix == ".onnx":
            found.append(read_onnx(self.model_path))
        return found

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) the graph runs at for a picture of this size."""
        fixed = arrays.fixed_size(self._image)
        if fixed is not None:
            return fixed
        return arrays.padded_size(height, width, self.card.multiple_of, self.card.minimum)

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """While a picture is painted, no other thread's is: see the class."""
        if not self._painting.acquire(blocking=not self.remembers):
            raise UsageError(
                f'"{self.model_path.name}" is painting in another thread, and remembers the scene '
                "it paints; open a session for each thread (or for each clip)"
            )
        try:
            yield
        finally:
            self._painting.release()

    def _run_bytes(self, image: Image, conditions: Mapping[str, Condition]) -> Image:
        padded, inner = self._place(image)
        others = self._conditions.feeds(conditions, padded.shape[0], padded.shape[1])
        if self._bytes is not None and self._bytes.tried:
            styled, results = self._bytes.paint(padded, others)
            self._conditions.remember(results)
        else:
            tensor = arrays.to_tensor(padded, self._image, self._buffer)
            if tensor.dtype == np.float32:
                self._buffer = tensor
            styled = arrays.to_image(self._run(tensor, others), self._output)
            if self._bytes is not None and not self._bytes.agrees(padded, others, styled):
                self._drop_bytes()
        return _cut(styled, padded.shape[:2], inner, image.shape[:2])

    def _drop_bytes(self) -> None:
        if self._bytes is not None:
            self._bytes.close()
            self._bytes = None

    def _run_float(self, image: np.ndarray, conditions: Mapping[str, Condition]) -> np.ndarray:
        padded, inner = self._place(image)
        tensor = arrays.float_to_tensor(padded, self._image)
        others = self._conditions.feeds(conditions, padded.shape[0], padded.shape[1])
        result = self._run(tensor, others)
        styled = arrays.tensor_to_float(result, self._output)
        return _cut(styled, padded.shape[:2], inner, image.shape[:2])

    def _place(self, image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        """The picture at a size the graph accepts, and how much of it is picture."""
        fixed = arrays.fixed_size(self._image)
        if fixed is not None:
            return arrays.fit(image, *fixed)
        height, width = image.shape[:2]
        return arrays.pad_to(image, *self.padded_size(height, width)), (height, width)

    def _run(self, tensor: np.ndarray, others: dict[str, np.ndarray]) -> np.ndarray:
        results = self._engine.run({self._image.name: tensor, **others})
        self._conditions.remember(results)
        result = results[self._output.name]
        if not self._checked:
            _check_result(result, self._output, self.model_path)
            self._checked = True
        return result


def open_session(
    model: str | Path,
    *,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision_hint: str | None = None,
    style_encoder: str | Path | None = None,
    probe_timeout: float = loops.TIMEOUT_S,
    **overrides: Unpack[CardFacts],
) -> StyleSession:
    """Open a model file.

    Args:
        model: path or name (`runtime.model.store.resolve`).
        engine: the name of a module in `runtime.engines`; "auto": by the file's suffix;
            "fastest": of those that read it on a CPU, measured once (`runtime.engines._fastest`).
        device: "auto" (a GPU if one really works), "cpu", "cuda" or "cuda:1", and what else the
            engine knows.
        threads: threads of the engine; None leaves it to the engine (all cores).
        precision_hint: "bf16", "f16" let engines that can compute faster and less exactly; None is
            exact.
        style_encoder: model that turns style pictures into this one's code, for models whose card
            names none.
        probe_timeout: seconds in which a model must open (on a GPU: one without a card), and a
            graph with loops, or without a card, answer to a small picture.
        overrides: facts that replace the card's or the probe's: `layout` ("NCHW", "NHWC"),
            `range` ("0..1", "-1..1", "0..255"), `input_range` and `output_range` where they differ,
            `output` (the name of the painted picture), `colors` ("RGB", "BGR"), `size` ((height,
            width), for graphs whose free axes accept one size only), `multiple_of`; `mean` and
            `std` of what is fed, for models without a card.

    Raises:
        ModelNotFound, CardMismatch: no such file, or not an image-to-image model.
        EngineUnavailable: the engine's library or the device is absent.
        UsageError: the engine does not read such files, or does not take such a hint.
    """
    path = store.resolve(model)
    name = formats.choose(path, engine)
    notes: list[str] = []
    if engine == formats.FASTEST and device in ("auto", "cpu") and precision_hint is None:
        name, notes = _fastest(path, name, threads)
    if path.is_file() and path.stat().st_size == 0:
        raise CardMismatch(f'"{path}" is empty (0 bytes); copy or export the model again')
    other = formats.beside(path)
    if other is not None and not other.is_file():
        raise CardMismatch(f'"{path}" needs "{other.name}" beside it; copy or export both again')
    opened = loops.opened(
        lambda: _open(path, name, device, threads, precision_hint),
        path,
        name,
        device,
        probe_timeout,
        overrides,
    )
    loaded = opened
    try:
        loaded, card, more = _card(loaded, path, overrides, probe_timeout)
        encoder = store.resolve(style_encoder) if style_encoder is not None else None
        quick = None
        if loaded is opened and name == formats.DEFAULT and loaded.device.startswith("cuda"):
            from .gpu import byte_path

            quick = byte_path.open_bytes(
                loaded, card, path, lambda graph: open_model(graph, name, device, threads)
            )
        session = StyleSession(
            loaded, card, path, name, "", threads, precision_hint, encoder, quick
        )
    except BaseException:
        loaded.close()
        raise
    session.notes = [*([loaded.note] if loaded.note else []), *notes, *more]
    return session


def open_remote(address: str, model: str) -> StyleSession:
    """Open a model that runs on a Triton server (`python -m export --target triton`).

    Args:
        address: "grpc://host:8001"; "grpcs://" is encrypted.
        model: its name there: "starry" paints each picture for itself, "starry_stream" frame after
            frame, and keeps strokes still.

    Raises:
        UsageError: no such address.
        EngineUnavailable: tritonclient is not installed, or nobody answers there.
        CardMismatch: the server has no such model, or none for pictures or frames.
    """
    from ..engines import _triton

    engine, served = _triton.connect(address, model)
    session = StyleSession(engine, served.card, Path(model), _triton.ENGINE, served.sha256)
    session.steady = served.steady
    session.notes = [f"{model} is painted by {address}"]
    return session


def _open(
    path: Path, name: str, device: str, threads: int | None, precision_hint: str | None
) -> Engine:
    """The file on its engine, with its folding if it is folded for each scene."""
    metadata = _metadata(path) if path.name.endswith(".onnx") else {}
    if FOLDING_KEY in metadata:
        from . import folding_engine

        folding_engine.check_engine(path, name)  # before it stumbles over the graph
        if precision_hint is None:
            return folding_engine.open_folded(path, metadata, device, threads)
    loaded = open_model(path, name, device, threads, precision_hint)
    if FOLDING_KEY not in loaded.metadata:
        return loaded
    from . import folding_engine

    try:
        return folding_engine.wrap(loaded, path, name, device, threads)
    except BaseException:
        loaded.close()
        raise


def _fastest(path: Path, usual: str, threads: int | None) -> tuple[str, list[str]]:
    """The engine that runs a file fastest here, and a note of what was measured; the usual one
    where no other is installed or reads it, or folds it for each scene."""
    names = [usual] + [
        name
        for name in formats.readers().get(formats.suffix_of(path), ())
        if name != usual and not why_not(name)
    ]
    if len(names) == 1 or path.is_dir() or FOLDING_KEY in _metadata(path):
        return usual, []
    from ..engines import _fastest

    def open_run(name: str) -> tuple[Callable[[], Image], Callable[[], None]]:
        session = open_session(path, engine=name, device="cpu", threads=threads)
        picture = np.random.default_rng(0).integers(0, 255, (*TRIAL_SIZE, 3), np.uint8)
        return lambda: session.stylize(picture), session.close

    facts = [[*_versions(names)], threads]
    name, times = _fastest.fastest(names, path.read_bytes(), facts, open_run)
    shown = ", ".join(
        f"{name} {ms:g} ms" if ms else f"{name} does not run it" for name, ms in times.items()
    )
    width, height = TRIAL_SIZE[::-1]
    return name, [f"{name} is the fastest engine here ({width}x{height}: {shown})"]


def _versions(names: Sequence[str]) -> list[str]:
    """Of the engines' libraries."""
    import importlib.metadata  # 10 ms that only a choice by measurement takes

    from .. import engines, plugins

    modules = [library_of(plugins.load(engines, name)) for name in names]
    return [f"{module} {importlib.metadata.version(module)}" for module in modules]


def _metadata(path: Path) -> dict[str, str]:
    """Of an ONNX file, without opening it; empty where it cannot be read so."""
    try:
        return zoo.read_metadata(path)
    except (OSError, EOFError, UnicodeDecodeError):
        return {}


def _card(
    engine: Engine, path: Path, overrides: CardFacts, probe_timeout: float
) -> tuple[Engine, ModelCard, list[str]]:
    """The model's own card, or one worked out by probing; and what to tell the user. The engine is
    the given one, or one around it for pictures of another form."""
    card = card_of(engine, path)
    if card is None:
        from . import adapter, probe

        graph = probe.read_graph(path)
        engine = adapter.adapt(engine, graph)
        found = loops.in_time(
            lambda counted: probe.foreign_card(counted, path, graph, **overrides),
            engine,
            path,
            probe_timeout,
        )
        return probe.fed(engine, found[0].inputs, overrides), *found
    card, notes = fitted(card, engine, path)
    if overrides:
        from . import probe

        card = probe.override(card, **overrides)
    return engine, card, notes


def _image_output(card: ModelCard) -> Port:
    for port in card.outputs:
        if port.role == "image":
            return port
    raise CardMismatch(f'model "{card.name}" gives no picture (it is a companion of another model)')


def _three_channels(offset: np.ndarray) -> np.ndarray:
    return offset if offset.ndim == 3 else offset[:, :, None]


def _cut(
    styled: np.ndarray, padded: Sequence[int], inner: tuple[int, int], size: Sequence[int]
) -> np.ndarray:
    """Remove the padding; scale back what was scaled to a fixed size."""
    if styled.shape[:2] != tuple(padded):
        # Graphs that round sizes down or up: put their answer back on the input's grid.
        styled = arrays.resize(styled, padded[0], padded[1])
    styled = styled[: inner[0], : inner[1]]
    return np.ascontiguousarray(arrays.resize(styled, size[0], size[1]))


def _check_result(result: np.ndarray, port: Port, path: Path) -> None:
    """Catch a model whose first answer cannot be a picture."""
    axis = 1 if port.layout == "NCHW" else 3
    if result.ndim != 4 or result.shape[axis] != 3:
        raise CardMismatch(
            f'"{path}" gave {list(result.shape)}, not a {port.layout} picture of 3 channels'
        )
    if result.dtype.kind == "f" and not np.isfinite(result).all():
        raise StyleError(
            f'"{path}" gave values that are not numbers (overflow in float16?); '
            "use the float32 file of this model"
        )
