"""python -m benchmarks.live_session --source clip.mkv --record session.mp4 --sheet live.jpg

Plays a minute of a live show as somebody at a desk would: styles, parts of the picture, split view,
a morph between two paintings, colors, a held picture, styles that rotate. The clip is a camera that
waits until its last picture was shown, so that every frame is painted, on any machine and beside
any other program. Each is recorded and looked at for what a viewer must never see: squares, bars,
blur, walls that change their color by themselves. Prints what was found; exit code 4 if anything
was. --stills writes the frames one, two and five seconds after each change as PNG; --json keeps the
worst that was seen of each kind. No PyTorch.
"""

import argparse
import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from runtime.cli import command_main, command_parser, print_json, print_text
from runtime.errors import DONE, GATE_REFUSED, SinkError
from runtime.frame import Frame, Image
from runtime.live.options import LiveOptions
from runtime.model.options import StylizeOptions
from runtime.sinks.file import FileSink
from runtime.sources import Source, open_source

from .measuring.command import add_result_flags, check_result_file
from .metrics.sharpness import mean_laplacian
from .metrics.tile_edges import tile_edges
from .report.tables import Document, figure, label, table
from .temporal.after_cut import MOMENTS, OFF_GRID
from .temporal.gates import TILE_LIMIT

MODELS = ("starry-fast", "scream-fast", "many")
# (second of sixty, action): each stays long enough to be seen.
SCRIPT: Sequence[tuple[float, str]] = (
    (0, "rotate"),  # off, until it is wanted
    (6, "style 2"),
    (12, "part person"),
    (17, "beside 1"),
    (22, "part background"),
    (26, "part all"),
    (27, "split on"),
    (29, "divider 0.25"),
    (31, "split off"),
    (32, "style 3"),
    *((34 + number / 2, f"mix {number / 10:g}") for number in range(1, 11)),
    (41, "mix 0"),
    (42, "freeze on"),
    (44, "freeze off"),
    (45, "style 1"),
    (47, "colors luminance"),
    (50, "colors style"),
    (51, "strength 0.5"),
    (53, "strength 1"),
    (54, "rotate"),
)
LENGTH_S = 60.0
# Values of the script's actions with which nothing but paint is shown.
PLAIN = {
    "part": ("all",),
    "split": ("off",),
    "divider": ("0.25",),
    "mix": ("0",),
    "freeze": ("off",),
    "colors": ("style",),
    "strength": ("1",),
}
# Seconds a style stays while styles rotate: three are seen.
ROTATE_S = 2.0
# Of the script in which something of each kind is seen, for the sheet.
SEEN = (5, 11, 16, 21, 25, 30, 33, 37, 43, 49, 52, 59)
# A frame has this share at least of the edges that camera and networks have in their own pictures
# of full size, whichever has fewest; and where nothing but paint is shown, of the networks'. What
# is painted at 256 px and shown at 480 keeps .63 to .89 of these by guided upscaling, at 144 px
# enlarged linearly .24 to .50 (starry-fast, scream-fast, many).
SHARPEST_LOSS, PAINT_LOSS = 0.8, 0.55
# Before edges are counted: the network's grain of two pixels goes, which no warped stroke keeps.
GRAIN = np.outer((1, 2, 1), (1, 2, 1)) / 16
# Pairs of frames whose squares are looked for together, and how much (mean, in levels) the two of a
# pair may differ: fewer, or a hand that moves fast, would let the picture's own edges count.
WINDOW, CALM = 32, 3.0
# A row or column of a bar differs less than this from its mean, in levels; black is allowed.
BAR_SPREAD, BAR_LEVEL = 1.5, 24
# Side of the cells whose mean color must stay while the camera shows the same there and two cells
# around (a network sees as far), over so many frames: by at most WASH levels where the camera
# changes by less than STILL. Networks that normalize change the colors of the whole picture as
# people move (10 levels on ours); 30 are seen as a flash.
CELL, SPAN, WASH, STILL = 32, 15, 20.0, 2.0
AROUND = np.ones((5, 5), np.uint8)
# Frames after an action in which everything may change: a fade, and a style that is opened first.
SETTLES = 45
# Of a clip that does not say.
RATE = Fraction(30)
# Seconds that a camera waits for its last picture to be shown: a model may have to be opened first,
# and a source that is silent for 5 s counts as lost, which beside other programs 4 s have led to.
PATIENCE_S = 2.5
POLL_S = 0.001
# Quality of the sheet's JPEG.
SHEET_QUALITY = 82


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--source", required=True, help="clip, played round and round")
    add("--model", action="append", metavar="NAME", help=f"style; repeat (default: {MODELS})")
    add("--record", required=True, type=Path, metavar="FILE", help="the recording, .mp4 or .mkv")
    add("--sheet", type=Path, metavar="FILE", help=".jpg of twelve frames")
    add("--stills", type=Path, metavar="FOLDER", help="frames after each change, as PNG")
    add("--seconds", type=float, default=LENGTH_S, metavar="S", help="default: %(default)g")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Play, record, judge, draw."""
    from runtime.outputs import check_output

    from .measuring import opening, results

    file, models = check_result_file(args), list(args.model or MODELS)
    for path in [args.record, *([args.sheet] if args.sheet else [])]:
        check_output(path, overwrite=args.overwrite)
    with tempfile.TemporaryDirectory() as folder:
        clip = off_grid(args.source, Path(folder) / "camera.mkv")
        shown, missed = play(clip, models, args.record, args.seconds)
        with open_source(clip) as source:
            camera = [frame.image for frame in source]
            rate = float(source.info.rate or RATE)
    scale = args.seconds / LENGTH_S
    acts = [round(rate * scale * moment) for moment, _ in SCRIPT]
    turns = range(acts[-1], shown, round(rate * ROTATE_S))
    owns = [fewest_edges(painted(model, camera[:60:10])) for model in models]
    least = expected(shown, rate * scale, fewest_edges(camera[:60:10]), owns)
    with open_source(args.record) as source:
        found = judge((frame.image for frame in source), least)
    with open_source(args.record) as source:
        changed = washes((frame.image for frame in source), camera, [*acts, *turns])
    faults = found.faults + changed.faults
    labels = {"clip": Path(args.source).stem, "models": ", ".join(models)}
    metrics = {
        "frames": shown,
        "not_recorded": missed,
        "faults": len(faults),
        "least_edges": round(found.edges, 3),
        "least_paint": round(found.paint, 3),
        "squares": round(found.squares, 3),
        "wash": round(changed.wash, 2),
    }
    settings = {"seconds": args.seconds, "sha256": opening.checksums([*models, "person"])}
    data = results.document("live_session", [results.row(labels, metrics, ["clip"])], settings)
    if file is not None:
        results.write(file, data, overwrite=args.overwrite)
    if args.json == "-":
        print_json(data)
    elif not args.quiet:
        print_text(f"{shown} frames shown, {missed} not recorded, {len(faults)} faults")
        for line in faults:
            print_text(line)
    if args.sheet is not None:
        picture = sheet(list(picked(args.record, [scale * second for second in SEEN]).values()))
        jpeg = [cv2.IMWRITE_JPEG_QUALITY, SHEET_QUALITY]
        _write(args.sheet, picture, jpeg)
    if args.stills is not None:
        args.stills.mkdir(parents=True, exist_ok=True)
        wanted = [scale * moment + after for moment, _ in SCRIPT for after in MOMENTS]
        for moment, image in picked(args.record, sorted(set(wanted))).items():
            _write(args.stills / f"{moment:05.1f}.png", image)
    return GATE_REFUSED if faults else DONE


@dataclass
class Patient:
    """Waits until a frame was shown; until the run is there, none was.

    Attributes:
        seen: how many frames left the pipeline, shown or not.
    """

    seen: Callable[[], int] = field(default=lambda: 0)

    def wait(self, frames: int) -> None:
        """Return when so many frames are through, or at the end of patience."""
        until = time.monotonic() + PATIENCE_S
        while self.seen() < frames and time.monotonic() < until:
            time.sleep(POLL_S)


class PatientCamera(Source):
    """A clip, round and round, of which each frame is there when the last one is through. Its
    frames are taken by the clip's clock: fades last as long as they do in the recording.

    Args:
        clip: the file.
        patient: knows what is through.
    """

    returns = False

    def __init__(self, clip: Path, patient: Patient) -> None:
        self._clip, self._patient, self._closed = clip, patient, False
        with open_source(clip) as source:
            self.info = replace(source.info, live=True, num_frames=None)

    def __iter__(self) -> Iterator[Frame]:
        """Frames of the clip's rate."""
        step, began, count = 1 / (self.info.rate or RATE), time.perf_counter(), 0
        while not self._closed:
            with open_source(self._clip) as source:
                for frame in source:
                    self._patient.wait(count)
                    if self._closed:
                        return
                    self.taken = began + float(count * step)
                    yield replace(frame, time=count * step, index=count)
                    count += 1

    def close(self) -> None:
        """End after the frame that is read."""
        self._closed = True


def play(clip: Path, models: Sequence[str], record: Path, seconds: float) -> tuple[int, int]:
    """Run the show, its script stretched to so many seconds of the clip.

    Returns:
        frames shown, and of these, how many were not recorded.
    """
    from runtime.live.setup import open_run

    patient = Patient()
    rate = float(PatientCamera(clip, patient).info.rate or RATE)
    scale = rate * seconds / LENGTH_S
    options = LiveOptions(
        style=StylizeOptions([(model, 1.0) for model in models], device="cpu"),
        frames=round(rate * seconds),
        window=False,
        record=record,
        rotate=ROTATE_S,
        script=[(round(scale * moment), action) for moment, action in SCRIPT],
        overwrite=True,
        quiet=True,
    )
    with contextlib.ExitStack() as stack:
        live = open_run(options, stack, time.perf_counter(), lambda: PatientCamera(clip, patient))
        parts = live.show.parts
        patient.seen = lambda: parts.gauges.shown + parts.pipeline.held + parts.pipeline.dropped
        live.show.run()
    return parts.gauges.shown, parts.gauges.shown - parts.outputs.recorder.written


@dataclass
class Seen:
    """What a viewer saw in a recording.

    Attributes:
        faults: one line each.
        edges: of the frame with the fewest, as a share of what is expected of it.
        paint: the same where nothing but paint is shown, as a share of the networks' own.
        squares: the largest offset of squares in a group of frames, in levels.
        wash: the largest change of a color that the camera did not show, in levels.
    """

    faults: list[str] = field(default_factory=list)
    edges: float = math.inf
    paint: float = math.inf
    squares: float = 0.0
    wash: float = 0.0


@dataclass(frozen=True, slots=True)
class Least:
    """Edges that a frame must not fall far below.

    Attributes:
        any: the fewest of camera and networks.
        paint: of the networks alone, where nothing but their paint is shown; else 0.
    """

    any: float
    paint: float = 0.0


def edges(picture: Image) -> float:
    """Mean Laplacian of a picture without grain."""
    return mean_laplacian(cv2.filter2D(picture, -1, GRAIN))


def fewest_edges(pictures: Iterable[Image]) -> float:
    """Of the one with the fewest."""
    return min(map(edges, pictures))


def painted(model: str, pictures: Iterable[Image]) -> list[Image]:
    """Each as the network paints it at its full size."""
    from runtime.model.session import open_session

    with open_session(model, device="cpu") as session:
        return [session.stylize(picture) for picture in pictures]


def expected(frames: int, rate: float, camera: float, networks: Sequence[float]) -> list[Least]:
    """Edges of each frame, by what the script has on the screen then.

    Args:
        frames: how many there are.
        rate: of them per second of the script.
        camera, networks: the fewest edges of the camera's pictures, and of each style's own.
    """
    acts = [(round(rate * moment), action) for moment, action in SCRIPT]
    seen, before, style = {0}, {0}, {0}
    changed: set[str] = set()
    least, last = [], 0
    for frame in range(frames):
        while acts and acts[0][0] <= frame:
            moment, action = acts.pop(0)
            name, _, value = action.partition(" ")
            before = before | seen if moment < last + SETTLES else seen
            if name == "style":
                seen = style = {int(value) - 1}
            elif name == "beside":
                seen = style | {int(value) - 1}
            elif name == "rotate" and moment:
                seen = set(range(len(networks)))
                changed.add(name)
            elif name != "rotate":
                (changed.discard if value in PLAIN[name] else changed.add)(name)
                seen = style if action == "part all" else seen
            last = moment
        settled = frame - last >= SETTLES
        paint = min(networks[one] for one in (seen if settled else seen | before))
        alone = settled and not changed
        least.append(Least(min(camera, paint), paint if alone else 0.0))
    return least


def judge(frames: Iterable[Image], least: Sequence[Least]) -> Seen:
    """What is wrong with the frames: bars, blur, squares.

    Args:
        frames: as shown, (H, W, 3) uint8 RGB.
        least: the edges of each.
    """
    seen = Seen()
    pairs: list[tuple[Image, Image]] = []
    last: Image | None = None
    for index, (frame, wanted) in enumerate(zip(frames, least, strict=True)):
        seen.faults += [f"frame {index}: a {side} bar" for side in bars(frame)]
        there = edges(frame)
        share, paint = there / wanted.any, there / wanted.paint if wanted.paint else math.inf
        seen.edges, seen.paint = min(seen.edges, share), min(seen.paint, paint)
        if share < SHARPEST_LOSS or paint < PAINT_LOSS:
            words = f"{share:.2f} of the camera's edges, {paint:.2f} of the network's"
            seen.faults.append(f"frame {index}: blur, {words}")
        if last is not None and cv2.absdiff(frame, last).mean() < CALM:
            pairs.append((frame, last))
        last = frame
        if len(pairs) == WINDOW:
            seen.squares = max(seen.squares, value := squares(pairs))
            if value > TILE_LIMIT:
                seen.faults.append(f"frames to {index}: squares of {value:.1f} levels")
            pairs = []
    return seen


def squares(pairs: Sequence[tuple[Image, Image]]) -> float:
    """Offsets of squares between each frame and the one before, in levels: paint that is exchanged
    square by square. Camera and strokes move without knowing the grid; the recording's codec knows
    it, and the camera's clip may be one: `off_grid` moves that one's away."""
    return tile_edges([frame for frame, _ in pairs], [before for _, before in pairs])


def washes(frames: Iterable[Image], camera: Sequence[Image], acts: Sequence[int]) -> Seen:
    """Where the painting's color changes and the camera's does not.

    Args:
        frames: as shown, all of them.
        camera: the frames of the clip that was painted, round and round.
        acts: numbers of the frames behind which something was changed on purpose.
    """
    there = [_cells(frame) for frame in camera]
    shown = [_cells(frame) for frame in frames]
    seen = Seen()
    for now in range(SPAN, len(shown)):
        before = now - SPAN
        if any(act <= now and before < act + SETTLES for act in acts):
            continue
        still = np.abs(there[now % len(there)] - there[before % len(there)]).max(axis=2) < STILL
        still = cv2.erode(still.astype(np.uint8), AROUND).astype(bool)
        change = np.abs(shown[now] - shown[before]).max(axis=2)[still]
        worst = float(change.max(initial=0))
        seen.wash = max(seen.wash, worst)
        if worst > WASH:
            seen.faults.append(f"frames {before} to {now}: a color changes by {worst:.0f} levels")
    return seen


def _cells(frame: Image) -> np.ndarray:
    """Mean colors of its cells, (h, w, 3) float32."""
    size = tuple(max(1, side // CELL) for side in frame.shape[1::-1])
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def off_grid(source: str, target: Path) -> Path:
    """A copy of a clip without loss, OFF_GRID pixels less at the left and at the top: what its
    codec exchanged square by square no longer lies on the squares that are looked for."""
    with open_source(source) as clip:
        width, height = clip.info.width - OFF_GRID, clip.info.height - OFF_GRID
        info = replace(clip.info, width=width, height=height)
        with contextlib.closing(FileSink(target, info, codec="ffv1", overwrite=True)) as sink:
            for frame in clip:
                inside = np.ascontiguousarray(frame.image[OFF_GRID:, OFF_GRID:])
                sink.write(replace(frame, image=inside))
    return target


def bars(frame: Image) -> list[str]:
    """Sides along which the outermost lines are all of one color that is not black."""
    sides = {"left": frame[:, :3], "right": frame[:, -3:], "upper": frame[:3], "lower": frame[-3:]}
    return [
        name
        for name, strip in sides.items()
        if strip.reshape(-1, 3).std(axis=0).max() < BAR_SPREAD and strip.mean() > BAR_LEVEL
    ]


def picked(clip: Path, moments: Sequence[float]) -> dict[float, Image]:
    """The first frame at or after each moment, in seconds and growing; none beyond the end."""
    found: dict[float, Image] = {}
    left = list(moments)
    with open_source(clip) as source:
        for frame in source:
            while left and frame.time >= left[0]:
                found[left.pop(0)] = frame.image
    return found


def sheet(frames: Sequence[Image], columns: int = 4, width: int = 320) -> Image:
    """Frames side by side, small."""
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    small += [np.zeros_like(small[0])] * (-len(small) % columns)
    rows = [np.hstack(small[k : k + columns]) for k in range(0, len(small), columns)]
    return np.vstack(rows)


def _write(path: Path, image: Image, settings: Sequence[int] = ()) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), list(settings)):
        raise SinkError(f'"{path}" cannot be written: .png or .jpg, in a folder that is there')


COLUMNS = (
    label("clip"),
    figure("frames"),
    figure("not recorded", "not_recorded"),
    figure("faults"),
    figure("fewest edges, x camera or network", "least_edges"),
    figure("of paint alone, x network", "least_paint"),
    figure("squares, levels", "squares"),
    figure("wash, levels", "wash"),
)


def table_of(*sessions: Document) -> str:
    """The worst of each session, one of each result file."""
    return table(COLUMNS, [row for data in sessions for row in data["rows"]])


main = command_main(build_parser, run)

if __name__ == "__main__":
    raise SystemExit(main())
