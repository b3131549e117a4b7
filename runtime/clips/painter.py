"""One clip from file to file: source, stabilizer, sink, resume."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from .. import plugins, sinks, sources, stabilizers
from ..errors import StyleError, UsageError
from ..frame import Frame, Image
from ..input_noise.scene import SceneNoise
from ..invocation import command
from ..media.color import UNSPECIFIED
from ..media.container import ClipInfo
from ..media.journal import identity_of
from ..meter import Meter
from ..model import arrays
from ..model.background import Aside
from ..model.conditions import Condition, Style
from ..model.options import open_stylizer
from ..model.stylizer import Effects, Stylizer, together
from ..regions.matte import Matte, mix
from ..sinks import Sink, SinkOptions
from ..sources import Source, SourceInfo, SourceOptions
from ..sources.pipe import is_pipe
from ..sources.stream import StreamSource
from ..stabilizers import ShotStabilizer, Stabilizer
from ..stabilizers._views import agree_in_frame, check_halves
from . import pipeline
from .batch import Job
from .checkpoints import Beginning, Checkpoints
from .excerpt import Excerpt, Span, open_excerpt
from .noisy import NoisyPainter
from .options import ClipOptions
from .steady import Painter

# Seconds between two looks whether a run was told to stop before its input had opened.
LOOK_S = 0.2


class ClipFacts(TypedDict):
    """What `--json` says of a clip; `damage` counts what was concealed, by kind."""

    input: str
    output: str
    frames_in: int
    frames_out: int
    width: int
    height: int
    fps: float
    seconds: float
    resumed_frames: int
    interrupted: bool
    audio: list[str]
    damage: dict[str, int]
    notes: list[str]
    codec: NotRequired[str]
    encoder: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip; `facts` are for `--json`, `notes` for people.

    `rest` is the time in the input from which on pictures have another size and are not in the
    output (`SourceOptions.on_size_change`).
    """

    job: Job
    interrupted: bool
    facts: ClipFacts
    notes: list[str]
    failed: bool = False
    rest: Fraction | None = None


def paint_clip(
    job: Job,
    stylizer: Stylizer,
    options: ClipOptions,
    meter: Meter,
    *,
    stop: threading.Event | None = None,
    begin: Callable[[int | None], pipeline.Watcher] | None = None,
) -> Outcome:
    """Paint one clip.

    Args:
        job: where from and where to.
        stylizer: the open model with its effects.
        options: see `ClipOptions`.
        meter: gets the stage times.
        stop: set it to end early with a playable output.
        begin: called with the number of frames to come (None if unknown); returns what is told how
            far the run is.

    Raises:
        StyleError: see `open_source`, `open_sink` and `pipeline.run`.
    """
    if options.resume and _comes_once(job.input):
        raise UsageError(f'"{job.input}" cannot be resumed: a pipe or a broadcast is read once')
    reading = options.source.copy()
    if is_pipe(job.input) and not is_pipe(job.output):
        reading["spool"] = Path(job.output).absolute().parent
    source = _opened(job, options, reading, stop)
    sink: Sink | None = None
    closing = contextlib.ExitStack()
    try:
        if source.info.live and not StreamSource.accepts(job.input):
            raise UsageError(f'"{job.input}" never ends; use {command("webcam")}')
        info, clip, scale = scaled(source, options.size)
        if options.views:
            check_halves(info.height, info.width, options.views)
        if clip is not None and options.source.get("on_size_change") == "split":
            clip = replace(clip, excerpt=True)  # where the first part ends is not known yet
        other = options.regions.beside
        beside = [closing.enter_context(open_stylizer(other))] if other is not None else []
        layers, finish, matte = layers_of([stylizer, *beside], options, closing)
        writing: SinkOptions = {
            **options.sink,
            "clip": clip,
            "overwrite": options.overwrite,
            "resume": options.resume,
            "strict": options.source.get("strict", False),
            "settings": {**_input_of(job, clip), **fingerprint(stylizer, options, beside)},
            "provenance": together([stylizer, *beside]) if options.provenance else None,
            "signer": options.signer,
        }
        sink = sinks.open_sink(job.output, info, **writing)
        notes = list(clip.notes) if clip is not None else []
        first = sink.frames
        checkpoints = None
        if sink.unfinished is not None:
            checkpoints = checkpoints_of(sink.unfinished, sink, layers, matte)
        beginning = Beginning() if checkpoints is None else checkpoints.beginning
        if first:
            source = _continue(source, sink, beginning, job, options.span, reading)
            notes.append(f"continuing behind frame {first}")
        # What comes again before the first new frame is painted, too.
        total = None if info.num_frames is None else max(0, info.num_frames - beginning.frame)
        report = pipeline.run(
            source,
            layers,
            [sink],
            meter,
            finish=finish,
            on_shot=None if matte is None else matte.reset,
            stop=stop,
            watcher=begin(total) if begin else None,
            first=first,
            prepare=scale,
            checkpoints=checkpoints,
        )
        if checkpoints is not None and checkpoints.taken:
            notes.append(
                f"{checkpoints.taken} frames were painted already when the run was stopped"
            )
    except StyleError as error:
        raise _with_remains(error, sink, job) from error
    finally:
        closing.close()
        source.close()
        _forget_spool(source)
    return _outcome(job, source, sink, info, report, first, notes)


def _input_of(job: Job, clip: ClipInfo | None) -> dict[str, object]:
    """What tells inputs apart that are no video files; of those the sink sees to it."""
    if _comes_once(job.input) or (clip is not None and clip.path is not None):
        return {}
    path = Path(job.input)
    return dict(identity_of(path)) if path.is_file() else {"input": str(path.absolute())}


def _opened(
    job: Job, options: ClipOptions, reading: SourceOptions, stop: threading.Event | None
) -> Source:
    """The input. Nobody may write to a pipe or answer at an address: whoever stops the run before
    somebody does is not kept waiting."""
    if stop is None or not _comes_once(job.input):
        return open_excerpt(job.input, options.span, **reading)
    opening = Aside(lambda: open_excerpt(job.input, options.span, **reading), "impasto-input")
    while not opening.wait(LOOK_S):
        if stop.is_set():
            raise KeyboardInterrupt
    return opening.result()


def _with_remains(error: StyleError, sink: Sink | None, job: Job) -> StyleError:
    """The error, with a word about what was saved if there is something."""
    if sink is None:
        return error
    try:
        sink.abort()
    except StyleError as second:
        return type(error)(
            f"{error}; besides, {second}" if str(second) != str(error) else f"{error}"
        )
    if not sink.saved or "--resume" in str(error):
        return error
    if _comes_once(job.input):
        where = f'"{job.output}" plays' if sink.plays else "they are not lost"
        return type(error)(f"{error}; {sink.saved} frames came before: {where}")
    where = f'in "{job.output}", which plays' if sink.plays else "safe"
    return type(error)(
        f"{error}; the {sink.saved} frames before it are {where}, and --resume goes on behind them"
    )


def scaled(
    source: Source, box: tuple[int, int] | None
) -> tuple[SourceInfo, ClipInfo | None, Callable[[Image], Image] | None]:
    """Size of the output, the clip's description at that size, and what brings frames to it."""
    info, clip = source.info, source.clip
    if box is None:
        return info, clip, None
    width, height = arrays.fitted_size(info.width, info.height, box)
    # Even, as most encoders need: a pixel less here is better than a repeated one there.
    width, height = max(1, width - width % 2), max(1, height - height % 2)
    if (width, height) == (info.width, info.height):
        return info, clip, None
    if clip is not None and clip.tagged.matrix == UNSPECIFIED:
        # Players guess the matrix of untagged clips from their size; that guess must not change.
        clip = replace(clip, tagged=replace(clip.tagged, matrix=clip.colors.matrix))
    info = replace(info, width=width, height=height)
    return info, clip, lambda image: arrays.resize(image, height, width)


def _comes_once(spec: str) -> bool:
    return is_pipe(spec) or StreamSource.accepts(spec)


def checkpoints_of(
    folder: Path,
    sink: Sink,
    layers: Sequence[pipeline.Layer],
    matte: Matte | None,
    *,
    pictures: bool = True,
) -> Checkpoints:
    """Of a run whose output can be resumed; see `Checkpoints`."""
    stabilizer = layers[0].stabilizer
    return Checkpoints(
        folder,
        sink,
        context=stabilizer.context if isinstance(stabilizer, ShotStabilizer) else 0,
        layers=len(layers),
        beside=() if matte is None else (matte,),
        pictures=pictures,
    )


def _continue(
    source: Source,
    sink: Sink,
    beginning: Beginning,
    job: Job,
    span: Span,
    reading: SourceOptions,
) -> Source:
    """The source again, from the frame behind which painting must go on."""
    behind = beginning.behind
    if behind[0] < 0:
        return source
    if not source.seekable:
        return _Skipping(source, behind[0])
    source.close()
    again: SourceOptions = {**reading, "after": behind, "seek": not sink.damage}
    if isinstance(source, Excerpt):
        return Excerpt(job.input, span, again, source.begins)
    return sources.open_source(job.input, **again)


class _Skipping(Source):
    """A source without its first frames, for sources that cannot seek."""

    def __init__(self, source: Source, behind: int) -> None:
        self.info, self.clip = source.info, source.clip
        self.damage, self.remarks = source.damage, source.remarks
        self._source, self._behind = source, behind

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame in self._source if frame.index > self._behind)

    def close(self) -> None:
        self._source.close()


def _forget_spool(source: Source) -> None:
    """Remove the copy of standard input once its sound has been taken over."""
    clip = source.clip
    if clip is not None and clip.path is not None and clip.path.suffix == ".copy":
        clip.path.unlink(missing_ok=True)


def open_stabilizer(options: ClipOptions) -> Stabilizer | ShotStabilizer | None:
    """A fresh stabilizer for one clip, or None for none."""
    if options.stabilizer == "off" or options.stability <= 0:
        return None
    return plugins.load(stabilizers, options.stabilizer)(options.stability)


def _around(stylizer: Stylizer, options: ClipOptions) -> tuple[Stylizer, pipeline.Finish | None]:
    """What paints, and what is done after the stabilizer.

    Effects come after the stabilizer: it should carry brush strokes along, not the parts of the
    photo that strength, mask and kept colors let through.
    """
    effects = stylizer.effects
    plain = effects.strength >= 1 and not effects.keep_color and effects.mask is None
    if plain or stylizer.card.has_scalar("strength") or open_stabilizer(options) is None:
        return stylizer, None
    bare = Stylizer(stylizer.sessions, Effects(conditions=effects.conditions))

    def finish(image: Image, styled: Image) -> Image:
        return stylizer.finish(image, styled, effects.strength)

    return bare, finish


def _noisy(painter: Painter, options: ClipOptions) -> Painter:
    if not options.noise:
        return painter
    return NoisyPainter(painter, SceneNoise(options.noise, options.seed))


def layers_of(
    stylizers: Sequence[Stylizer], options: ClipOptions, closing: contextlib.ExitStack
) -> tuple[list[pipeline.Layer], pipeline.Finish | None, Matte | None]:
    """What paints, what puts the paintings together, and the mask, which remembers a shot."""
    layers, finish, matte = _layers(stylizers, options, closing)
    if not options.views:
        return layers, finish, matte

    def alike(image: Image, *painted: Image) -> Image:
        done = painted[0] if finish is None else finish(image, *painted)
        return agree_in_frame(image, done, options.views, options.stability)

    return layers, alike, matte


def _layers(
    stylizers: Sequence[Stylizer], options: ClipOptions, closing: contextlib.ExitStack
) -> tuple[list[pipeline.Layer], pipeline.Finish | None, Matte | None]:
    """What paints, what puts the paintings together, and the mask, which remembers a shot.

    The mask is applied behind the stabilizers, one for each painting, so that no stroke of one part
    is ever carried into the other.
    """
    around = [_around(stylizer, options) for stylizer in stylizers]
    layers = [pipeline.Layer(_noisy(bare, options), open_stabilizer(options)) for bare, _ in around]
    region = options.regions.region
    if region == "all":
        return layers, around[0][1], None
    from ..regions.segmenter import Segmenter

    segmenter = Segmenter()
    closing.callback(segmenter.close)
    # Without a stabilizer every frame stands for itself, its mask as well.
    matte = Matte(segmenter, calm=layers[0].stabilizer is not None)

    def mixed(image: Image, *painted: Image) -> Image:
        parts = [
            picture if done is None else done(image, picture)
            for picture, (_, done) in zip(painted, around, strict=True)
        ]
        mask = matte.of(image)
        outside = parts[1] if len(parts) > 1 else image
        return mix(parts[0], outside, mask if region == "person" else 1.0 - mask)

    return layers, mixed, matte


def _outcome(
    job: Job,
    source: Source,
    sink: Sink,
    info: SourceInfo,
    report: pipeline.Report,
    first: int,
    notes: list[str],
) -> Outcome:
    result = sink.result
    notes = [*notes, *sink.notes, *(result.notes if result else [])]
    damage = {kind: number for kind, number in source.damage.items() if number}
    if damage:
        words = ", ".join(f"{number} {kind}" for kind, number in damage.items())
        notes.append(f"the input is damaged: {words}")
    notes += source.remarks
    facts: ClipFacts = {
        "input": job.input,
        "output": job.output,
        "frames_in": report.frames_in,
        "frames_out": report.frames_out,
        "width": info.width,
        "height": info.height,
        "fps": round(report.fps, 3),
        "seconds": round(report.seconds, 3),
        "resumed_frames": first,
        "interrupted": report.interrupted,
        "audio": result.audio if result else [],
        "damage": damage,
        "notes": notes,
    }
    if sink.encoding is not None:
        facts["codec"], facts["encoder"] = sink.encoding.codec, sink.encoding.encoder
    failed = bool(result and result.failed)
    return Outcome(job, report.interrupted, facts, notes, failed, source.rest)


def fingerprint(
    stylizer: Stylizer, options: ClipOptions, beside: Sequence[Stylizer] = ()
) -> dict[str, object]:
    """What decides the pixels of the result; a run can only be resumed with the same.

    Args:
        stylizer: what paints.
        options: of the clip.
        beside: what paints the rest of the picture.
    """
    effects = stylizer.effects
    return {
        "model": stylizer.label,
        "model_sha256": stylizer.digest,
        "engine": stylizer.engine,
        "device": stylizer.device,
        "strength": effects.strength,
        "keep_color": effects.keep_color,
        "mask": _digest(effects.mask),
        "conditions": {name: _digest(value) for name, value in sorted(effects.conditions.items())},
        "stabilizer": options.stabilizer,
        "stability": options.stability,
        **({"noise": [options.noise, options.seed]} if options.noise else {}),
        "views": options.views,
        "box": options.size,
        "region": options.regions.region,
        "beside": [other.digest for other in beside],
        "span": str(options.span),
        "source": {name: str(value) for name, value in _deciding(options.source).items()},
    }


def _deciding(source: SourceOptions) -> dict[str, object]:
    """What of these options decides the pixels: a run that failed where the size changes goes on
    with pictures that are scaled."""
    chosen = {name: value for name, value in source.items() if value}
    if chosen.get("on_size_change") != "split":
        chosen.pop("on_size_change", None)
    return chosen


def _digest(value: Condition | tuple[Style, float]) -> object:
    """Something small and comparable for numbers, pictures and lists of them."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()[:16]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_digest(part) for part in value]
    return str(value)
