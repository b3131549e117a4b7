"""Puts a live run together from its options: source, styles, rate; the outputs are in `outputs`.

The order is that of a hurried start: the source opens in its own thread while this one loads the
model, and as soon as both are there the network begins to paint. What the first frame does not need
is imported and opened meanwhile.
"""

import contextlib
import queue
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from .. import cli
from ..meter import Meter
from ..model import arrays, variants, zoo
from ..model.conditions import Style
from ..model.options import open_stylizer
from ..model.stylizer import Stylizer
from ..plugins import load
from ..sources import Source, SourceInfo, SourceOptions, open_source
from ..stabilizers import Stabilizer
from .capture import Cameras, Capture
from .controls import Settings
from .cores import num_cores, share_cores
from .ladder import Choice, ladder, within
from .options import LiveOptions
from .pipeline import LivePipeline
from .styles import Entry, Key, Styles

if TYPE_CHECKING:
    from .controller import Controller
    from .loop import Show

# Held when neither --target-fps nor the source names a rate.
DEFAULT_FPS = 30.0
# Of the very first frame: a quarter of 1280x720, 8 ms of an int8 network instead of 30.
FIRST_PIXELS = 640 * 360
# How long a thread that computes in Python may keep the others from the interpreter.
TURN_S = 0.001


class LiveRun(NamedTuple):
    """A run ready to be shown.

    Attributes:
        show: call its `run`.
        meter: stage times and latencies.
        stylizer: the first style.
        size: (width, height) of the shown picture.
    """

    show: "Show"
    meter: Meter
    stylizer: Stylizer
    size: tuple[int, int]


def open_run(
    options: LiveOptions,
    stack: contextlib.ExitStack,
    began: float,
    opener: Callable[[], Source] | None = None,
) -> LiveRun:
    """Open everything a live run needs.

    Args:
        options: what was asked for.
        stack: gets what must be closed; closing it stops the threads first, then finishes files.
        began: `time.perf_counter` seconds at which the command started.
        opener: opens a source of one's own, which keeps to its own clock, instead of
            `options.source`.

    Raises:
        StyleError: a model, the source or an output cannot be opened.
    """
    # Python's threads take turns every 5 ms unless told otherwise: a sixth of a frame.
    stack.callback(sys.setswitchinterval, sys.getswitchinterval())
    sys.setswitchinterval(TURN_S)
    meter = Meter()
    capture = Capture(opener or _opener(options), meter)
    stack.callback(capture.close)
    capture.start()
    cores = num_cores()
    threads = options.style.threads or max(1, cores - 1)
    share_cores(threads, cores, stack)
    styles, stylizer = _open_styles(options, threads)
    stack.callback(styles.close)
    for line in [
        *stylizer.notes,
        f"{stylizer.label}: {stylizer.engine} on {stylizer.device}{_why(options, stylizer)}",
    ]:
        cli.say(line, quiet=options.quiet)
    info = capture.wait_info()
    size = _fitted(info, options.size)
    camera = options.source.partition(":")[0] == "camera"
    settings = Settings(
        strength=options.style.strength,
        colors=options.style.keep_color,
        region=options.region,
        beside=_beside(options, styles),
        stabilizer=options.stabilizer != "off",
        stability=options.stability,
        noise=options.noise,
        split=options.split,
        frozen=options.frozen,
        mirror=camera if options.mirror is None else options.mirror,
        fullscreen=options.fullscreen,
        stats=options.stats,
    )
    plan = _plan(options, info, size, stylizer.card.multiple_of, styles, threads)
    make_stabilizer = _stabilizer_maker(options)
    first = _first_choice(options, plan, stylizer.card.multiple_of)
    pipeline = LivePipeline(
        *(capture, styles, make_stabilizer, plan.choice, settings, meter, first),
        fade=options.fade,
    )
    stack.callback(pipeline.close)
    pipeline.start()
    # From here on the network is painting the first frame.
    from .gauges import Gauges
    from .loop import Parts, Show
    from .outputs import open_outputs

    actions: queue.SimpleQueue[str] = queue.SimpleQueue()
    _open_remotes(options, actions, stack)
    outputs = open_outputs(options, size, info, plan.target_fps, meter, actions, styles, stack)
    stack.callback(pipeline.close)  # again: threads stop before the files are finished
    parts = Parts(
        capture,
        styles,
        pipeline,
        info,
        Gauges(meter, began),
        outputs,
        actions,
        _controller(options, plan, styles.order(0), settings, stylizer),
        plan.rungs,
        later=lambda: styles.add(_neighbors(options, styles)),
        cameras=_cameras(options),
        script=options.script,
        frames=options.frames,
        seconds=options.seconds,
        rotate=options.rotate,
        mirror_screen_only=camera and options.mirror is None,
        target_fps=plan.target_fps,
        quiet=options.quiet,
    )
    show = Show(parts, settings, size)
    return LiveRun(show, meter, stylizer, size)


def _open_remotes(
    options: LiveOptions, actions: "queue.SimpleQueue[str]", stack: contextlib.ExitStack
) -> None:
    """Listen to what steers from outside."""
    if options.osc is not None:
        from .remote.osc import OscInput

        listening = OscInput(
            options.osc, actions, allow_network=options.allow_network, quiet=options.quiet
        )
        osc = stack.enter_context(listening)
        cli.say(f"OSC at port {osc.port}: /impasto/strength 0.4, ...", quiet=options.quiet)
    if options.midi is not None:
        from .remote.midi import MidiInput

        midi = stack.enter_context(MidiInput(options.midi, actions))
        cli.say(f"MIDI from {midi.name}", quiet=options.quiet)


def _cameras(options: LiveOptions) -> Cameras:
    """Those that can be chosen from, and how one is opened; none beside other sources."""
    if options.source.partition(":")[0] != "camera":
        return Cameras()
    from ..sources._v4l2 import list_cameras

    names = {camera.index: camera.name for camera in list_cameras() if not camera.problem}
    current = int(options.source.partition(":")[2] or 0)
    return Cameras(
        names, current, lambda index: _opener(replace(options, source=f"camera:{index}"))
    )


def _opener(options: LiveOptions) -> Callable[[], Source]:
    """What opens the source: cameras as they are, clips played by the clock and looped."""
    target = options.target_fps or None
    wishes: SourceOptions = {
        "size": options.size,
        "live": True,
        "allow_network": options.allow_network,
    }
    if options.source.partition(":")[0] in ("camera", "synthetic"):
        wishes["rate"] = Fraction(target).limit_denominator(1001) if target else None

    def open_it() -> Source:
        source = open_source(options.source, **wishes)
        if source.info.live:
            return source
        from .pacing import Paced

        first = [source]

        def again() -> Source:
            return first.pop() if first else open_source(options.source, **wishes)

        return Paced(again, loop=not options.once)

    return open_it


def _open_styles(options: LiveOptions, threads: int) -> tuple[Styles, Stylizer]:
    """The styles that were asked for, and the first of them, open.

    Where a GPU might be used, a file that suits it is tried first; if it then runs on the CPU after
    all, the one that suits the CPU takes its place.
    """
    models = options.style.models
    if options.mixed:
        label = " + ".join(name if weight == 1 else f"{name}:{weight:g}" for name, weight in models)
        styles = Styles(
            [
                Entry(
                    label,
                    lambda _, threads: open_stylizer(options.style_of(models, threads)),
                    open_exact=lambda _, threads: open_stylizer(
                        options.style_of(models, threads, live=False)
                    ),
                )
            ]
        )
        return styles, styles.open_first(Key(0, 0, threads))
    if _hopes_for_gpu(options):
        styles, stylizer = _open_first(options, threads, variants.ON_GPU)
        if stylizer.device != "cpu" or len(styles.entries[0].variants) < 2:
            return styles, stylizer
        styles.close()
    return _open_first(options, threads, variants.ON_CPU)


def list_styles(options: LiveOptions) -> list[Entry]:
    """The styles of a run, in the order of its keys; opens none.

    Raises:
        ModelNotFound: a model that is not there.
    """
    styles = Styles(_all_entries(options, variants.ON_CPU))
    return [*styles.entries, *([] if options.mixed else _neighbors(options, styles))]


def _all_entries(options: LiveOptions, preferred: tuple[str, ...]) -> list[Entry]:
    found = [_files(name, options.style.engine) for name, _ in options.style.models]
    return [entry for label, files in found for entry in _entries(options, label, files, preferred)]


def _open_first(
    options: LiveOptions, threads: int, preferred: tuple[str, ...]
) -> tuple[Styles, Stylizer]:
    styles = Styles(_all_entries(options, preferred))
    return styles, styles.open_first(Key(0, styles.first(0), threads))


def _files(name: str, engine: str) -> tuple[str, list[variants.Variant]]:
    """What to call it, and all files of a style, or the one file that was named."""
    from ..model import store

    found = variants.find(name, engine)
    if found:
        return found[0].style, found
    path = store.resolve(name)
    return path.stem, [variants.variant_of(path, zoo.read_card(path))]


def _entries(
    options: LiveOptions,
    label: str,
    files: list[variants.Variant],
    preferred: tuple[str, ...],
) -> list[Entry]:
    """The style of a model; of one that knows several by name, each. One that --style names stands
    first; where --style mixes some, or names a picture, that alone."""
    card = zoo.read_card(files[0].path)
    known = [port.names for port in card.inputs if port.names] if card is not None else []
    asked = options.style.styles
    if not known or (asked and not _is_one_of(known[0], asked)):
        return [_entry(options, label, files, preferred)]
    first = [str(name) for name, _ in asked]
    names = [*first, *(name for name in known[0] if name not in first)]
    return [_entry(options, name, files, preferred, name) for name in names]


def _is_one_of(known: Sequence[str], asked: Sequence[tuple[Style, float]]) -> bool:
    """Whether what is asked for is one style of these, unmixed."""
    return (
        len(asked) == 1 and isinstance(asked[0][0], str) and asked[0] in {(n, 1.0) for n in known}
    )


def _entry(
    options: LiveOptions,
    label: str,
    files: list[variants.Variant],
    preferred: tuple[str, ...],
    painting: str = "",
) -> Entry:
    def open_file(variant: int, threads: int, live: bool = True) -> Stylizer:
        style = options.style_of([(str(files[variant].path), 1.0)], threads, live=live)
        if painting:
            style = replace(style, styles=[(painting, 1.0)])
        return open_stylizer(style)

    return Entry(
        *(label, open_file, files, preferred, painting),
        open_exact=lambda variant, threads: open_file(variant, threads, live=False),
    )


def _neighbors(options: LiveOptions, styles: Styles) -> list[Entry]:
    """After a single model: the other styles in its folder."""
    mine = styles.entries[0].variants
    if len(options.style.models) > 1 or options.style.styles or not mine:
        return []
    from ..model import formats

    path = mine[0].path
    others = variants.styles_in(path.parent, formats.suffix_of(path))
    entries: list[Entry] = []
    for name, files in others.items():
        if name != mine[0].style and path not in [one.path for one in files]:
            entries.append(_entry(options, name, files, tuple(styles.entries[0].preferred)))
    return entries


def _beside(options: LiveOptions, styles: Styles) -> int:
    """Where the model of the rest stands among the styles, -1 for none: behind all of the first."""
    first = styles.entries[0].variants
    mine = sum(entry.variants == first for entry in styles.entries)
    return mine if options.beside else -1


def _hopes_for_gpu(options: LiveOptions) -> bool:
    """Whether the engine may come to run on a GPU."""
    if options.style.device == "cpu":
        return False
    if options.style.device != "auto" or options.style.engine not in ("auto", "onnxruntime"):
        return options.style.device != "auto"
    from ..engines.onnxruntime import lists_gpu

    return lists_gpu()


def _fitted(info: SourceInfo, box: tuple[int, int] | None) -> tuple[int, int]:
    """The source's shape inside `box` (width, height): nothing is stretched."""
    if box is None:
        return info.width, info.height
    return arrays.fitted_size(info.width, info.height, box)


def _why(options: LiveOptions, stylizer: Stylizer) -> str:
    """Why `--device auto` took the CPU, where the engine itself has not said so."""
    if (
        options.style.device != "auto"
        or stylizer.device != "cpu"
        or any("GPU" in note for note in stylizer.notes)
    ):
        return ""
    return " (this ONNX Runtime is the one without GPU support)"


class Plan(NamedTuple):
    """What is to be held, and how.

    Attributes:
        target_fps: 0 for no rate: then `choice` stays.
        rungs: a ladder for (files worth choosing among, whether frames can be warped).
        choice: the first one.
    """

    target_fps: float
    rungs: Callable[[list[int], bool], list[Choice]]
    choice: Choice


def _plan(
    options: LiveOptions,
    info: SourceInfo,
    size: tuple[int, int],
    multiple_of: int,
    styles: Styles,
    threads: int,
) -> Plan:
    """Target rate, ladder and the first choice."""
    order, first = styles.order(0), styles.first(0)
    fixed = _fitted(info, options.working_size) if options.working_size else None
    # A picture shown larger than it was taken is not painted larger: there is nothing to gain.
    largest = fixed or min(size, (info.width, info.height))

    def rungs(order: list[int], propagated: bool) -> list[Choice]:
        return ladder(
            *largest,
            variants=order,
            multiple_of=multiple_of,
            every_second=propagated and options.stability > 0 and not fixed,
            fixed=fixed is not None,
            smallest=options.smallest,
        )

    if options.target_fps == 0.0 or (fixed and len(order) == 1):
        # Nothing to steer: the best picture there is.
        return Plan(0.0, rungs, Choice(*(fixed or size), 1, order[0], threads))
    target = options.target_fps or float(info.rate or DEFAULT_FPS)
    return Plan(target, rungs, Choice(*largest, 1, first, threads))


def _first_choice(options: LiveOptions, plan: Plan, multiple_of: int) -> Choice | None:
    """A smaller size for the very first frame, so that something is there at once; None where the
    size is fixed, or where frames are kept."""
    if not plan.target_fps or options.working_size or options.record or options.outputs:
        return None
    width, height = within(plan.choice.width, plan.choice.height, FIRST_PIXELS, multiple_of)
    return replace(plan.choice, width=width, height=height)


def _controller(
    options: LiveOptions, plan: Plan, order: list[int], settings: Settings, stylizer: Stylizer
) -> "Controller | None":
    """What holds the rate of the plan; None if there is none to hold."""
    if not plan.target_fps:
        return None
    from .controller import Controller
    from .split import Split, candidates

    cores, threads = num_cores(), plan.choice.threads
    # A GPU does not care, and a number the user gave stays.
    free = stylizer.device == "cpu" and not options.style.threads
    split = Split(candidates(cores) if free else [threads], threads, cores)
    steps = plan.rungs(order, settings.stabilizer)
    return Controller(plan.target_fps, steps, start=plan.choice, split=split, cores=cores)


def _stabilizer_maker(options: LiveOptions) -> Callable[[bool, float], Stabilizer]:
    """Makes stabilizers, switched on or off; their code is loaded when the first one is made."""
    from .. import stabilizers

    name = options.stabilizer if options.stabilizer != "off" else "live"

    def make(wanted: bool, stability: float) -> Stabilizer:
        if not wanted:
            return load(stabilizers, "off")()
        return load(stabilizers, name)(stability)

    return make
