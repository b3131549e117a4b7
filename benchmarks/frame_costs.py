"""python -m benchmarks.frame_costs --sizes 640x480,1280x720

What a frame costs apart from the network: every step around it on one thread, all of them
interleaved. Shows where a pipeline can lose more time than the network takes. Needs the runtime
install only.
"""

import argparse
import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from runtime.card import Port
from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE
from runtime.model import arrays

from .measuring.command import add_plan_flags, add_result_flags, check_result_file, deliver, listed
from .report.tables import ABSENT, Document, markdown, metric

Step = Callable[[], object]
FLOAT = Port("image")
QUALITY = 90  # of the JPEG frames, as webcams and previews use
FRAMES = 30  # of the clip that codecs work on: one second
# ImageNet's, in the naive preparation that most repositories copy.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    sizes = [(640, 480), (1280, 720)]
    parser.add_argument("--sizes", type=listed(parse_size), default=sizes, metavar="WxH,WxH")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def conversions(image: np.ndarray) -> dict[str, Step]:
    """Pictures to tensors and back: the naive way, OpenCV's, ours."""
    height, width = image.shape[:2]
    tensor = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    buffer = np.empty_like(tensor)
    cells = (height // 4, 4, width // 4, 4, 3)

    def naive_before() -> np.ndarray:
        scaled = (image.astype(np.float32) / 255 - MEAN) / STD
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])

    def naive_after() -> np.ndarray:
        return (tensor[0].transpose(1, 2, 0) * 255).clip(0, 255).astype(np.uint8)

    def cut_cells() -> np.ndarray:
        inner = image[: height // 4 * 4, : width // 4 * 4].reshape(cells)
        return np.ascontiguousarray(inner.transpose(0, 2, 1, 3, 4))

    return {
        "before, naive numpy": naive_before,
        "before, cv2.dnn.blobFromImage": lambda: cv2.dnn.blobFromImage(image, 1 / 255),
        "before, ours": lambda: arrays.to_tensor(image, FLOAT, buffer),
        "before, bytes to 4x4 cells": cut_cells,
        "after, naive numpy": naive_after,
        "after, ours": lambda: arrays.to_image(tensor, FLOAT),
    }


def motion(image: np.ndarray, later: np.ndarray) -> dict[str, Step]:
    """Optical flow and what carries a picture along it."""
    steps: dict[str, Step] = {}
    height, width = image.shape[:2]
    grays = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (image, later)]
    presets = {"ultrafast": 0, "fast": 1, "medium": 2}  # cv2.DISOPTICAL_FLOW_PRESET_*
    for part in (1, 2, 4):
        size = (width // part, height // part)
        pair = [cv2.resize(gray, size, interpolation=cv2.INTER_AREA) for gray in grays]
        at = "full size" if part == 1 else f"1/{part}"
        for name, preset in presets.items():
            flow = cv2.DISOpticalFlow.create(preset)
            steps[f"DIS {name} at {at}"] = lambda f=flow, p=pair: f.calc(p[1], p[0], None)
    small = cv2.DISOpticalFlow.create(0).calc(pair[1], pair[0], None)  # pyright: ignore
    columns, rows = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (width, height)))
    grid = np.dstack([columns, rows])
    fixed = cv2.convertMaps(grid, None, cv2.CV_16SC2)  # pyright: ignore

    def upsample() -> np.ndarray:
        return cv2.add(cv2.resize(small * 4, (width, height)), grid)

    def gray_half() -> np.ndarray:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return cv2.resize(gray, (width // 2, height // 2), interpolation=cv2.INTER_AREA)

    edge = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return steps | {
        "gray and half size": gray_half,
        "flow x4 up and grid": upsample,
        "remap, float map": lambda: cv2.remap(image, grid, None, **edge),  # pyright: ignore
        "remap, fixed-point map": lambda: cv2.remap(image, *fixed, **edge),
        "blend": lambda: cv2.addWeighted(image, 0.6, later, 0.4, 0),
        "difference and threshold": lambda: cv2.threshold(
            cv2.absdiff(grays[0], grays[1]), 12, 255, cv2.THRESH_BINARY
        ),
    }


class Encoder:
    """H.264 on one thread, frame after frame; the file is thrown away."""

    def __init__(self, frames: list[np.ndarray], preset: str) -> None:
        import av

        self._av, self._frames, self._next = av, frames, 0
        self.file = io.BytesIO()
        self._container = av.open(self.file, "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", rate=30)
        self._stream.height, self._stream.width = frames[0].shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": preset, "crf": "23", "threads": "1"}

    def __call__(self) -> None:
        """Encode the next frame, with the conversion from RGB."""
        picture = self._frames[self._next % len(self._frames)]
        self._next += 1
        frame = self._av.VideoFrame.from_ndarray(picture, "rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> io.BytesIO:
        """Close the file and give it back."""
        self._container.mux(self._stream.encode())
        self._container.close()
        self.file.seek(0)
        return self.file


class Decoder:
    """H.264 on one thread to RGB pictures; begins again at the end of the clip."""

    def __init__(self, clip: io.BytesIO) -> None:
        self._clip = clip
        self._frames = self._open()

    def _open(self) -> Any:
        import av

        self._clip.seek(0)
        container = av.open(self._clip)
        container.streams.video[0].codec_context.thread_count = 1
        return container.decode(video=0)

    def __call__(self) -> np.ndarray:
        """The next frame."""
        frame = next(self._frames, None)
        if frame is None:
            self._frames = self._open()
            frame = next(self._frames)
        return frame.to_ndarray(format="rgb24")


def codecs(frames: list[np.ndarray]) -> dict[str, Step]:
    """Video in and out, and what a webcam delivers."""
    clip, fast, better = (Encoder(frames, p) for p in ("veryfast", "ultrafast", "veryfast"))
    for encoder in (clip, fast, better):
        # The first frames only fill the encoder's queue: not a frame's price.
        for _ in frames:
            encoder()
    image = np.ascontiguousarray(frames[0][:, :, ::-1])
    flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    packed = cv2.imencode(".jpg", image, flags)[1]
    yuyv = np.random.default_rng(0).integers(0, 256, (*image.shape[:2], 2), np.uint8)
    return {
        "H.264 decode to RGB": Decoder(clip.finish()),
        "H.264 encode, ultrafast": fast,
        "H.264 encode, veryfast": better,
        "webcam, MJPEG decode": lambda: cv2.imdecode(packed, cv2.IMREAD_COLOR),
        "webcam, YUYV to RGB": lambda: cv2.cvtColor(yuyv, cv2.COLOR_YUV2RGB_YUY2),
        "preview, JPEG encode": lambda: cv2.imencode(".jpg", image, flags),
    }


def steps(size: tuple[int, int]) -> dict[str, Step]:
    """Everything timed at one size, by name."""
    from .measuring.subjects import frames

    clip = frames(size, FRAMES)
    return {**conversions(clip[0]), **motion(clip[0], clip[1]), **codecs(clip)}


def run(args: argparse.Namespace) -> int:
    """Measure all steps at all sizes."""
    from .measuring import results, statistics
    from .measuring import rounds as measure
    from .measuring.calibration import Calibration, peaks

    path = check_result_file(args)
    cv2.setNumThreads(1)
    timed = {
        (name, f"{size[0]}x{size[1]}"): measure.timed(step)
        for size in args.sizes
        for name, step in steps(size).items()
    }
    cases = [measure.Case(f"{name}/{size}", call) for (name, size), call in timed.items()]
    # Steps are short: a visit of a few milliseconds is enough, and there are many visits.
    plan = measure.Plan(args.warm_up, args.iterations, args.duration, visit_ms=5.0)
    heat = Calibration()
    with Progress(None, "rounds", quiet=args.quiet) as progress:
        rounds = measure.interleave(
            cases, plan, calibration=heat, progress=lambda _: progress.update()
        )
    heat.close()
    rows = []
    for name, size in timed:
        times = rounds.times(f"{name}/{size}")
        metrics = {**statistics.summary(times, "total"), "samples": len(times)}
        rows.append(results.row({"step": name, "size": size}, metrics))
    block = {
        "peak": {"t1": peaks(rounds.readings)},
        "readings": rounds.readings,
        "marked_rounds": sorted(rounds.marked()),
    }
    settings = {"rounds": len(rounds.order), "converged": rounds.converged}
    deliver(args, path, results.document("frame_costs", rows, settings, block))
    return DONE


def table_of(data: Document) -> str:
    """Everything but the network: one line per step, one column per size."""
    sizes = dict.fromkeys(row["labels"]["size"] for row in data["rows"])
    steps = dict.fromkeys(row["labels"]["step"] for row in data["rows"])
    cells = {
        (row["labels"]["step"], row["labels"]["size"]): metric(row, "total_p50_ms")
        for row in data["rows"]
    }
    rows = [[step, *(cells.get((step, size), ABSENT) for size in sizes)] for step in steps]
    return markdown(["step", *(f"{size} ms" for size in sizes)], rows)


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
