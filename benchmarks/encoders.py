"""python -m benchmarks.encoders --model starry-fast --input clip.mp4

What presets of x264 cost on painted, stabilized frames: processor time, size, likeness, and with
more threads wall time. Strokes are harder to encode than photographs, so the default is chosen
here. Cases take turns, round by round. Needs the runtime install only.
"""

import argparse
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from runtime.cli import Progress, command_main, command_parser
from runtime.errors import DONE, SourceError
from runtime.frame import Image

from .measuring.command import add_result_flags, check_result_file, deliver, listed
from .measuring.results import Metrics, Row
from .report.tables import Document, figure, label, table

# The default before and after, the presets between, and the fastest at more quality.
CASES = (
    *(("ultrafast", quality) for quality in (10, 9, 8)),
    *(("superfast", quality) for quality in (10, 9)),
    *((preset, 10) for preset in ("veryfast", "faster", "fast", "medium")),
)


@dataclass(slots=True)
class Case:
    """One way to encode the frames, and what came of it."""

    preset: str
    quality: int
    threads: int
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    kib: float = 0.0
    psnr: float = 0.0


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="what paints the clip")
    add("--input", action="append", required=True, metavar="CLIP", help="repeatable")
    add("--stabilizer", default="best", metavar="NAME", help="default: best")
    add("--frames", type=int, default=40, metavar="N", help="of the clip (default: 40)")
    add("--threads", type=listed(int), default=[2], metavar="1,2", help="of the encoder")
    add("--rounds", type=int, default=3, metavar="N")
    add_result_flags(parser)
    return parser


def paint(model: str, clip: str, stabilizer: str, count: int) -> tuple[list[Image], str]:
    """The first frames of a clip, painted and stabilized, and the model's checksum."""
    from runtime import plugins, stabilizers
    from runtime.model.session import open_session
    from runtime.sources import open_source

    chosen = plugins.load(stabilizers, stabilizer)(1.0)
    with open_session(model) as session, open_source(clip) as source:
        frames = islice(source, count)
        if isinstance(chosen, stabilizers.ShotStabilizer):
            shown = stabilizers.process(chosen, frames, session.stylize, on_cut=session.reset)
            painted = [frame.image for frame in shown]
        else:
            painted = [
                chosen.step(frame.image, session.stylize(chosen.prepare(frame.image)))
                for frame in frames
            ]
        if not painted:
            raise SourceError(f'"{clip}" has no frames')
        return painted, session.sha256


def encode(frames: Sequence[Image], case: Case) -> bytes:
    """The frames as H.264, as `runtime.sinks.file` asks for it; notes the time of it."""
    import av

    from runtime.media.encoders import encoder_options

    planes = [
        av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p") for frame in frames
    ]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = dict(encoder_options("libx264", case.quality, case.preset))
        stream.codec_context.thread_count = case.threads
        wall, processor = time.perf_counter(), time.process_time()
        for number, plane in enumerate(planes):
            plane.pts = number
            container.mux(stream.encode(plane))
        container.mux(stream.encode())
        case.cpu_ms.append(1e3 * (time.process_time() - processor) / len(frames))
        case.wall_ms.append(1e3 * (time.perf_counter() - wall) / len(frames))
    return file.getvalue()


def likeness(frames: Sequence[Image], coded: bytes) -> float:
    """PSNR of the luma of all frames, in dB."""
    import av

    errors = []
    with av.open(io.BytesIO(coded), "r") as container:
        for frame, found in zip(frames, container.decode(video=0), strict=True):
            given = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p")
            height = frame.shape[0]
            pair = [part.to_ndarray()[:height].astype(np.float32) for part in (given, found)]
            errors.append(float(np.square(pair[0] - pair[1]).mean()))
    return float(10 * np.log10(255**2 / max(1e-9, float(np.mean(errors)))))


def run(args: argparse.Namespace) -> int:
    """Encode in turns."""
    from .measuring import results

    path = check_result_file(args)
    rows = []
    with Progress(
        args.rounds * len(args.input) * len(CASES) * len(args.threads), "runs", quiet=args.quiet
    ) as progress:
        for clip in args.input:
            rows += measure(args, clip, progress)
    settings = {"frames": args.frames, "rounds": args.rounds, "stabilizer": args.stabilizer}
    deliver(args, path, results.document("encoders", rows, settings, None))
    return DONE


def measure(args: argparse.Namespace, clip: str, progress: Progress) -> list[Row]:
    """The rows of one clip."""
    from .measuring import results
    from .measuring.statistics import median

    painted, digest = paint(args.model, clip, args.stabilizer, args.frames)
    height, width = (side // 2 * 2 for side in painted[0].shape[:2])
    frames = [np.ascontiguousarray(frame[:height, :width]) for frame in painted]
    cases = [Case(*case, threads) for case in CASES for threads in args.threads]
    for number in range(args.rounds):
        for case in cases:
            coded = encode(frames, case)
            if not number:
                case.kib = len(coded) / 1024 / len(frames)
                case.psnr = likeness(frames, coded)
            progress.update()
    rows = []
    for case in cases:
        labels = {
            "model": Path(args.model).stem,
            "sha256": digest,
            "clip": Path(clip).name,
            "size": f"{width}x{height}",
            "preset": case.preset,
            "quality": case.quality,
            "threads": case.threads,
        }
        metrics: Metrics = {
            "cpu_ms": round(median(case.cpu_ms), 2),
            "wall_ms": round(median(case.wall_ms), 2),
            "kib_per_frame": round(case.kib, 1),
            "psnr_db": round(case.psnr, 2),
            "samples": len(case.cpu_ms),
        }
        rows.append(results.row(labels, metrics, ("clip", "preset", "quality", "threads")))
    return rows


COLUMNS = (
    *(label(name) for name in ("clip", "size", "preset", "quality", "threads")),
    figure("processor ms a frame", "cpu_ms"),
    figure("wall ms", "wall_ms"),
    figure("KiB a frame", "kib_per_frame"),
    figure("dB", "psnr_db"),
)


def table_of(data: Document) -> str:
    """Presets by time, size and likeness."""
    return table(COLUMNS, data["rows"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
