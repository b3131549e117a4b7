"""python -m tests.fidelity.video --clips clips/

What `python -m runtime.video` loses when the model changes nothing: frames, times, sound, colors.
Every clip of a folder goes through an identity model and is compared with the original by FFmpeg's
own decoder and color conversion; four synthetic clips cover BT.601 and BT.709, limited and full
range. With --kills a run is killed at random moments and resumed; with --memory its peak memory is
measured over 300 and 3000 frames (--memory-4k: at 3840x2160, too); with --damage clips are damaged
at random places. Prints the tables; ends with 1 if something is lost. `test_video.py` holds the
same on one small clip.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import results
from benchmarks.report.tables import Column, Row, label, markdown, table, text
from runtime.cli import Progress, command_main, command_parser
from runtime.errors import DONE, FAILED, EngineUnavailable, StyleError, UsageError

from . import damage

# The four combinations that H.264 clips come in: H.273 codes of matrix (also used for primaries and
# transfer) and range.
TAGS = {
    "bt601-limited": (6, 1),
    "bt601-full": (6, 2),
    "bt709-limited": (1, 1),
    "bt709-full": (1, 2),
}
SYNTHETIC_FRAMES = 30
MEMORY_FRAMES = (300, 3000)
MEMORY_SIZE = (640, 360)
# At this size encoding would take an hour, so it is done at the encoder's least effort; and the
# clip is one group of this many pictures, again and again.
LARGE_SIZE = (3840, 2160)
LARGE_OPTIONS = ("--preset", "ultrafast", "--quality", "35")
LOOP_FRAMES = 30
HOME = Path(__file__).resolve().parents[2]


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--clips", type=Path, required=True, metavar="DIR", help="folder of clips")
    add("--kills", type=int, default=0, metavar="N", help="kill and resume N times (default: 0)")
    add("--memory", action="store_true", help="measure peak memory as well")
    add("--memory-4k", action="store_true", help="at 3840x2160, too (ten minutes of one core)")
    add(
        "--damage", type=int, default=0, metavar="N", help="hurt N places of each kind (default: 0)"
    )
    add("--seed", type=int, default=1, help="of the moments to kill at (default: 1)")
    add("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Paint, compare, write."""
    from runtime.clips.batch import VIDEOS

    if not args.clips.is_dir():
        raise UsageError(f'--clips "{args.clips}" is no folder')
    clips = sorted(p for p in args.clips.iterdir() if p.suffix.lower() in VIDEOS)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = build_identity(folder / "identity.onnx")
        made = [write_tagged(folder / f"{tags}.mp4", tags) for tags in TAGS]
        with Progress(len(clips) + len(made), "clips", quiet=args.quiet) as progress:
            for clip in [*clips, *made]:
                rows.append(fidelity(clip, model, folder))
                progress.update()
        if args.kills and clips:
            longest = max(clips, key=lambda path: count_frames(path))
            rows.append(kill_and_resume(longest, model, folder, args.kills, args.seed))
        if args.memory:
            rows.append(peak_memory(model, folder))
        if args.memory_4k:
            plain = build_identity(folder / "bytes.onnx", plain=True)
            rows.append(peak_memory(plain, folder, LARGE_SIZE, LARGE_OPTIONS))
        if args.damage:
            rows += [damage.damage_row(name, folder, args.damage) for name in damage.CLIPS]
    print(tables(rows))
    return DONE if all(is_lossless(row["metrics"]) for row in rows) else FAILED


def is_lossless(metrics: dict[str, Any]) -> bool:
    """Whether nothing of a row is lost beyond what encoding loses."""
    return (
        metrics.get("frames_in") == metrics.get("frames_out")
        and metrics.get("time_error_ticks", 0) <= 1
        and metrics.get("duration_error_ticks", 0) <= 1
        and metrics.get("audio_packets_in", 0) == metrics.get("audio_packets_identical", 0)
        and metrics.get("psnr_db", 99) >= 40
        and metrics.get("resumed_identical", 0) == metrics.get("kills", 0)
        and metrics.get("peak_growth_percent", 0) <= 5
        and metrics.get("false_alarms", 0) == 0
    )


COLUMNS = (
    label("clip"),
    Column("frames in = out", lambda row: f"{_of(row, 'frames_in')} = {_of(row, 'frames_out')}"),
    Column("time error, ticks", lambda row: _of(row, "time_error_ticks")),
    Column("duration error, ticks", lambda row: _of(row, "duration_error_ticks")),
    Column("sound packets identical", lambda row: _sound(row["metrics"])),
    Column(
        "color dB, mean (worst frame)",
        lambda row: "{psnr_db:.1f} ({psnr_worst_frame_db:.1f})".format(**row["metrics"]),
    ),
)


def tables(rows: list[Row]) -> str:
    """What a model that changes nothing gives back, clip by clip; then resuming and memory."""
    clips, notes, hurt = [], [], []
    for row in rows:
        metrics = row["metrics"]
        if "frames_in" in metrics:
            clips.append(row)
        elif "kills" in metrics:
            notes.append(
                f"Killed with SIGKILL at {_of(row, 'kills')} random moments and resumed: "
                f"{_of(row, 'resumed_identical')} results have identical frame hashes."
            )
        elif "peak_300_frames_mib" in metrics:
            notes.append(
                f"Peak memory at {text(row, 'size')}: {metrics['peak_300_frames_mib']:.0f} MiB "
                "over three hundred frames, "
                f"{metrics['peak_3000_frames_mib']:.0f} MiB over three thousand."
            )
        elif "trials" in metrics:
            pairs = (
                f"{_of(row, f'{kind}_counted')} of {_of(row, f'{kind}_visible')}"
                for kind in damage.HARMS
            )
            hurt.append([text(row, "codec"), *pairs])
    if hurt:
        notes.append(markdown(["damaged clips", "lost blocks counted", "noise counted"], hurt))
    return "\n\n".join([*([table(COLUMNS, clips)] if clips else []), *notes])


def _of(row: Row, name: str) -> str:
    return f"{row['metrics'][name]:g}"


def _sound(metrics: dict[str, Any]) -> str:
    packets = metrics["audio_packets_in"]
    return f"{metrics['audio_packets_identical']:g} of {packets:g}" if packets else "none"


def build_identity(path: Path, plain: bool = False) -> Path:
    """A model that gives back what it gets: floats, or, `plain`, the bytes of a picture."""
    try:
        import onnx
        from onnx import helper
    except ImportError:
        raise EngineUnavailable("onnx is not installed: pip install -e '.[export]'") from None
    from runtime.card import KEY, ModelCard, Port

    facts: dict[str, Any] = {"dtype": "uint8", "layout": "NHWC", "low": 0.0, "high": 255.0}
    facts = {**facts, "shape": ("N", "H", "W", 3)} if plain else {}
    card = ModelCard("identity", "foreign", (Port("image", **facts),), (Port("styled", **facts),))
    kind = onnx.TensorProto.UINT8 if plain else onnx.TensorProto.FLOAT
    ports = [
        helper.make_tensor_value_info(port.name, kind, list(port.shape))
        for port in (*card.inputs, *card.outputs)
    ]
    node = helper.make_node("Identity", ["image"], ["styled"])
    graph = helper.make_graph([node], "identity", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {KEY: card.to_json()})
    onnx.save(model, str(path))
    return path


def write_tagged(path: Path, tags: str, frames: int = SYNTHETIC_FRAMES, **size: Any) -> Path:
    """A clip of the synthetic picture with these color tags, written by FFmpeg alone."""
    import av

    from runtime.sources.synthetic import SyntheticSource

    matrix, span = TAGS[tags]
    source = SyntheticSource("synthetic", num_frames=frames, **size)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width, stream.height = source.info.width, source.info.height
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, span
        context.color_primaries = context.color_trc = matrix
        for frame in source:
            picture = av.VideoFrame.from_ndarray(frame.image, "rgb24").reformat(
                format="yuv420p",
                src_color_range=2,
                dst_color_range=span,
                dst_colorspace=5 if matrix == 6 else matrix,
            )
            picture.pts, picture.time_base = frame.index, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def command(model: Path, clip: Path, output: Path, *more: str) -> list[str]:
    """The command under test, as a user would type it."""
    fixed = ["--stabilizer", "off", "--device", "cpu", "--quiet"]
    paths = ["--model", str(model), "--input", str(clip), "--output", str(output)]
    return [sys.executable, "-m", "runtime.video", *paths, *fixed, *more]


def output_for(clip: Path, folder: Path) -> Path:
    """In the container of the input where that can be written (Matroska keeps milliseconds)."""
    suffix = clip.suffix.lower() if clip.suffix.lower() in (".mkv", ".mov") else ".mp4"
    return folder / f"{clip.stem}-out{suffix}"


def fidelity(clip: Path, model: Path, folder: Path) -> dict[str, Any]:
    """One row: a clip against what came out."""
    output = output_for(clip, folder)
    subprocess.run(command(model, clip, output), cwd=HOME, check=True)
    before, after = Probe(clip), Probe(output)
    errors, times = [], []
    for (time_a, a), (time_b, b) in zip(before.frames(), after.frames(), strict=False):
        times.append(abs(time_a - time_b))
        errors.append(float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2)))
    sound = [(a, b) for a, b in zip(before.sound(), after.sound(), strict=False)]
    tick = max(before.tick, after.tick)
    metrics = {
        "frames_in": before.count,
        "frames_out": after.count,
        "time_error_ticks": round(float(max(times) / tick), 3),
        "duration_error_ticks": round(float(abs(before.duration() - after.duration()) / tick), 3),
        "audio_packets_in": len(before.sound()),
        "audio_packets_identical": sum(a == b for a, b in sound),
        "tags_identical": int(before.tags == after.tags),
        "psnr_db": round(decibels(float(np.mean(errors))), 2),
        "psnr_worst_frame_db": round(decibels(max(errors)), 2),
    }
    labels = {"clip": clip.name, "output": output.suffix, "size": f"{after.width}x{after.height}"}
    return results.row(labels, metrics, ["clip"])


def decibels(error: float) -> float:
    """PSNR of a mean squared error in 0..255^2; 99 for none."""
    return 99.0 if error <= 0 else float(10 * np.log10(255**2 / error))


class Probe:
    """A clip as FFmpeg's decoder sees it; colors converted by swscale, not by our code."""

    def __init__(self, path: Path) -> None:
        from runtime.sources import open_source

        self.path, self.count = path, 0
        with open_source(path) as source:
            opened: Any = source
            self._clip, info = opened.clip, opened.info
        self.width, self.height = info.width, info.height
        self.tick, self.tags = self._clip.time_base, self._clip.tagged

    def frames(self) -> Any:
        """(time in seconds, upright RGB picture) of each frame."""
        import av
        from av.video.reformatter import Interpolation, VideoReformatter

        from runtime.media.color import SWSCALE
        from runtime.media.container import turn

        colors = self._clip.colors
        tags = {
            "src_colorspace": SWSCALE[colors.matrix],
            "dst_colorspace": SWSCALE[colors.matrix],
            "src_color_range": colors.range,
            "dst_color_range": 2,
            "interpolation": Interpolation.BICUBIC
            | Interpolation.ACCURATE_RND
            | Interpolation.FULL_CHR_H_INT,
        }
        swscale, times = VideoReformatter(), iter(presentation_times(self.path))
        with av.open(str(self.path)) as container:
            stream = container.streams.best("video")
            for frame in container.decode(stream):
                self.count += 1
                picture = swscale.reformat(frame, format="rgb24", **tags).to_ndarray()
                yield next(times), turn(picture, self._clip.orientation)

    def sound(self) -> list[bytes]:
        """The packets of the first sound stream."""
        import av

        with av.open(str(self.path)) as container:
            if not container.streams.audio:
                return []
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    def duration(self) -> Fraction:
        """From the first picture to the end of the last, in seconds."""
        from runtime.sources import open_source

        with open_source(self.path) as source:
            frames = [(frame.time, frame.duration or Fraction(0)) for frame in source]
        return frames[-1][0] + frames[-1][1] - frames[0][0]


def presentation_times(path: Path) -> list[Fraction]:
    """Times of all packets in the order in which they are shown, in seconds."""
    import av

    with av.open(str(path)) as container:
        stream: Any = container.streams.best("video")
        ticks = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
        return [tick * stream.time_base for tick in ticks]


def count_frames(path: Path) -> int:
    """Number of video packets."""
    return len(presentation_times(path))


def hashes(path: Path) -> list[tuple[int, str]]:
    """Time and hash of every decoded picture."""
    import av

    with av.open(str(path)) as container:
        return [
            (frame.pts or 0, hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest())
            for frame in container.decode(video=0)
        ]


def kill_and_resume(clip: Path, model: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """SIGKILL at random moments of a run, each time resumed and compared with a whole run."""
    whole = folder / f"whole{output_for(clip, folder).suffix}"
    start = time.monotonic()
    subprocess.run(command(model, clip, whole), cwd=HOME, check=True)
    seconds, expected = time.monotonic() - start, hashes(whole)
    moments, identical, hit = random.Random(seed), 0, 0
    for number in range(kills):
        output = folder / f"killed{number}{whole.suffix}"
        process = subprocess.Popen(command(model, clip, output), cwd=HOME)
        time.sleep(seconds * moments.uniform(0.2, 0.95))
        hit += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(command(model, clip, output, "--resume"), cwd=HOME, check=True)
        identical += hashes(output) == expected
    labels = {"clip": f"{clip.name} killed"}
    return results.row(
        labels, {"kills": kills, "killed_while_running": hit, "resumed_identical": identical}
    )


def write_looped(path: Path, frames: int, size: tuple[int, int]) -> Path:
    """A clip of any length whose pictures are LOOP_FRAMES ones again and again: only those are
    encoded."""
    import av

    from runtime.sources.synthetic import SyntheticSource

    source = SyntheticSource("synthetic", num_frames=LOOP_FRAMES, size=size)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=30, options={"preset": "ultrafast", "crf": "30"}
        )
        stream.width, stream.height = size
        group = []
        for frame in source:
            picture = av.VideoFrame.from_ndarray(frame.image, "rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = frame.index, Fraction(1, 30)
            group += stream.encode(picture)
        group += stream.encode(None)
        pictures = [(bytes(packet), packet.is_keyframe) for packet in group]
        for number in range(frames):
            data, key = pictures[number % LOOP_FRAMES]
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 30), key
            packet.pts = packet.dts = number
            packet.duration = 1
            container.mux(packet)
    return path


def peak_memory(
    model: Path,
    folder: Path,
    size: tuple[int, int] = MEMORY_SIZE,
    options: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Peak resident memory of a run over a short and a ten times longer clip."""
    peaks, seconds = [], 0.0
    for frames in MEMORY_FRAMES:
        clip = folder / f"{frames}.mp4"
        if size == MEMORY_SIZE:
            write_tagged(clip, "bt709-limited", frames, size=size)
        else:
            write_looped(clip, frames, size)
        output = folder / f"{frames}-out.mp4"
        pid = os.spawnvpe(
            os.P_NOWAIT,
            sys.executable,
            command(model, clip, output, "--overwrite", *options),
            {**os.environ, "PYTHONPATH": str(HOME)},
        )
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise StyleError(f"painting {frames} frames failed")
        peaks.append(usage.ru_maxrss / 1024)
        seconds += usage.ru_utime + usage.ru_stime
        if count_frames(output) != frames:
            raise StyleError(f"{frames} frames went in, {count_frames(output)} came out")
    metrics = {
        **{f"peak_{n}_frames_mib": round(p, 1) for n, p in zip(MEMORY_FRAMES, peaks, strict=True)},
        "peak_growth_percent": round(100 * (peaks[1] / peaks[0] - 1), 2),
        "cpu_seconds": round(seconds, 1),
    }
    text = "{}x{}".format(*size)
    name = "memory" if size == MEMORY_SIZE else f"memory {text}"
    return results.row({"clip": name, "size": text}, metrics, ["clip"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
