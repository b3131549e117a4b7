"""python -m benchmarks.live_features --model starry-fast --sizes 640x480,1280x720

What each feature of a live picture costs beside the network and the stabilizer: the mask of people,
mixing by it, enlarging with the camera's edges, a fade between styles, a style for people and
another for the rest (all that this adds to the first style and its stabilizer), each on one thread,
by the processor's time, in turns. And the time from a picture to its arrival on this machine, by
the page's motion JPEG stream and, where aiortc is installed, by WebRTC. Needs no PyTorch.
"""

import argparse
import asyncio
import json
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.cli import command_main, command_parser, parse_size
from runtime.errors import DONE

from .measuring.command import add_plan_flags, add_result_flags, check_result_file, deliver, listed
from .measuring.results import Row
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from runtime.frame import Image
    from runtime.live.web.preview import Preview

    from .measuring.rounds import Case

# Side of what is enlarged, of the shown one: two steps down the ladder of working sizes.
SMALLER = 0.7
# Pictures that follow each other in a clip.
FRAMES = 8
# Of the pictures sent for the second table.
RATE_FPS = 30
# Each bit of a picture's number is a square of so many pixels: no compression hides it.
SQUARE = 24
BITS = 10


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", default="starry-fast", metavar="NAME", help="what paints (default: %(default)s)")
    add(
        "--beside", default="scream-fast", metavar="NAME", help="what paints the rest (%(default)s)"
    )
    add("--sizes", type=listed(parse_size), default=[(640, 480)], metavar="WxH,WxH")
    add("--seconds", type=float, default=5.0, metavar="S", help="pictures sent, by each way")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure costs, then arrivals."""
    from .measuring import opening, results, rounds, statistics
    from .measuring.calibration import Calibration, peaks

    path = check_result_file(args)
    cv2.setNumThreads(1)
    plan = rounds.Plan(iterations=args.iterations, duration_s=args.duration, warm_up=args.warm_up)
    rows: list[Row] = []
    heat = Calibration()
    readings: list[dict[str, float]] = []
    for size in args.sizes:
        found = rounds.interleave(cases(args.model, args.beside, size), plan, calibration=heat)
        readings += found.readings
        style = found.by_round("style")
        for name in found.samples:
            ratio, low, high = statistics.paired_ratio(style, found.by_round(name))
            metrics = {
                **statistics.summary(found.times(name), "total"),
                "x_style": round(ratio, 3),
                "x_style_low": low,
                "x_style_high": high,
            }
            rows.append(results.row({"feature": name, "size": f"{size[0]}x{size[1]}"}, metrics))
        for way, arrive in ways().items():
            times = arrive(size, args.seconds)
            metrics = {**statistics.summary(times, "arrival"), "samples": len(times)}
            labels = {"feature": f"arrival by {way}", "size": f"{size[0]}x{size[1]}"}
            rows.append(results.row(labels, metrics))
    heat.close()
    files = opening.checksums([args.model, args.beside, "person"])
    settings = {"model": args.model, "beside": args.beside, "sha256": files}
    # Ratios are taken round by round, of what both sides had; none is left out here.
    block = {"peak": {"t1": peaks(readings)}, "readings": readings, "marked_rounds": []}
    deliver(args, path, results.document("live_features", rows, settings, block))
    return DONE


def cases(model: str, beside_model: str, size: tuple[int, int]) -> "list[Case]":
    """Everything that is timed at a size, each on its next picture at each call."""
    from runtime.live.layers.layer import Layer
    from runtime.live.upscale import upscale
    from runtime.model.options import StylizeOptions, open_stylizer
    from runtime.regions.matte import Matte, mix
    from runtime.regions.segmenter import Segmenter
    from runtime.stabilizers.live import Live
    from runtime.stabilizers.off import Off

    from .measuring.rounds import Case, timed
    from .measuring.subjects import frames

    pictures = frames(size, FRAMES)
    stylizer = open_stylizer(StylizeOptions([(model, 1.0)], device="cpu", threads=1, live=True))
    second = open_stylizer(
        StylizeOptions([(beside_model, 1.0)], device="cpu", threads=1, live=True)
    )
    painted = [stylizer.stylize(picture) for picture in pictures]
    small = [cv2.resize(one, None, fx=SMALLER, fy=SMALLER) for one in painted]
    matte = Matte(Segmenter())
    masks = [matte.of(picture) for picture in pictures]
    # A fade that never ends, of which only the warping and mixing counts.
    stabilizer, rest = Live(), Live()

    def beside(k: int) -> "Image":
        """The rest, painted after a style of its own, and both put together."""
        other = rest.step(pictures[k], second.stylize(pictures[k]))
        return mix(painted[k], other, matte.of(pictures[k]))

    layer = Layer(lambda on, stability: Off() if not on else Live(stability))
    layer.begin(False, 1.0, 0.0, 0.0)
    layer.first(pictures[0], painted[0], pictures[0], 0.0)
    layer.begin(False, 1.0, 0.0, 1e9)

    def each(function: "Callable[[int], object]") -> "Callable[[], object]":
        numbers = cycle([*range(FRAMES), *range(FRAMES - 2, 0, -1)])  # to and fro, without a cut
        return lambda: function(next(numbers))

    timings: dict[str, Callable[[int], object]] = {
        "style": lambda k: stylizer.stylize(pictures[k]),
        "stabilize": lambda k: stabilizer.step(pictures[k], painted[k]),
        "mask": lambda k: matte.of(pictures[k]),
        "mix": lambda k: mix(painted[k], pictures[k], masks[k]),
        "enlarge": lambda k: upscale(small[k], pictures[k]),
        "a style for the rest": beside,
        "fade": lambda k: layer.next(pictures[k], painted[k], pictures[k], 1.0),
    }
    return [Case(name, timed(each(call), time.thread_time)) for name, call in timings.items()]


def ways() -> "dict[str, Callable[[tuple[int, int], float], list[float]]]":
    """How a picture may arrive: function of (size, seconds) to milliseconds for each picture."""
    from runtime.live.web import webrtc

    return {"motion JPEG": by_jpeg, **({"WebRTC": by_webrtc} if webrtc.available() else {})}


def numbered(picture: "Image", number: int) -> "Image":
    """A copy that carries its number in black and white squares along its upper edge."""
    marked = picture.copy()
    for bit in range(BITS):
        shade = 255 if number >> bit & 1 else 0
        marked[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = shade
    return marked


def number_of(picture: np.ndarray) -> int:
    """The number that `numbered` wrote."""
    middle = SQUARE // 2
    return sum(
        int(picture[middle, bit * SQUARE + middle].mean() > 127) << bit for bit in range(BITS)
    )


@contextmanager
def sending(size: tuple[int, int], seconds: float) -> "Iterator[tuple[Preview, dict[int, float]]]":
    """A page that shows numbered pictures, and when each was shown; ends after so many seconds."""
    from runtime.live.web.preview import Preview

    from .measuring.subjects import frames

    pictures, shown, stop = frames(size, FRAMES), {}, threading.Event()
    with Preview("127.0.0.1:0", queue.SimpleQueue()) as preview:

        def show() -> None:
            for number in range(2**BITS):
                picture = numbered(pictures[number % FRAMES], number)
                shown[number] = time.perf_counter()
                preview.offer(picture)
                if stop.wait(1 / RATE_FPS):
                    return

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield preview, shown
        finally:
            stop.set()
            thread.join()


def by_jpeg(size: tuple[int, int], seconds: float) -> list[float]:
    """Milliseconds from each picture to the moment at which it was decoded by a reader."""
    found: dict[int, float] = {}
    with (
        sending(size, seconds) as (preview, shown),
        urllib.request.urlopen(f"{preview.url}stream", timeout=10) as stream,
    ):
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            line = stream.readline()
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
                stream.readline()
                data = np.frombuffer(stream.read(length), np.uint8)
                picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
                if picture is not None:
                    now, number = time.perf_counter(), number_of(picture)
                    found.setdefault(number, 1e3 * (now - shown.get(number, now)))
    return list(found.values())


def by_webrtc(size: tuple[int, int], seconds: float) -> list[float]:
    """As `by_jpeg`, with aiortc as the viewer."""
    with sending(size, seconds) as (preview, shown):
        return asyncio.run(_watch(preview, shown, seconds))


async def _watch(preview: "Preview", shown: dict[int, float], seconds: float) -> list[float]:
    import aiortc

    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    tracks = asyncio.get_running_loop().create_future()
    peer.on("track", tracks.set_result)
    await peer.setLocalDescription(await peer.createOffer())
    local = peer.localDescription
    offer = json.dumps({"sdp": local.sdp, "type": local.type})
    answer = json.loads(await asyncio.to_thread(preview.answer, offer))
    await peer.setRemoteDescription(aiortc.RTCSessionDescription(**answer))
    track, found = await tracks, {}
    await track.recv()  # connected
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        picture = (await track.recv()).to_ndarray(format="rgb24")
        now, number = time.perf_counter(), number_of(picture)
        found.setdefault(number, 1e3 * (now - shown.get(number, now)))
    await peer.close()
    return list(found.values())


COLUMNS = (
    label("feature"),
    label("size"),
    figure("ms", "total_p50_ms"),
    figure("x style", "x_style"),
    figure("arrival ms", "arrival_p50_ms"),
    figure("p95 ms", "arrival_p95_ms"),
)


def table_of(data: Document) -> str:
    """Costs beside the network, and arrivals."""
    return table(COLUMNS, data["rows"])


main = command_main(build_parser, run)

if __name__ == "__main__":
    raise SystemExit(main())
