"""How much damage to a clip is counted: bytes are overwritten inside pictures, and the source of
`python -m runtime.video` reads the clip.

Entropy-coded pictures carry no checksum, so not everything can be noticed; these rows say how much
is. A lost block of a disk reads as zeros, a bad cable or memory as noise.
"""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.measuring import results

# Codec, ending, options of FFmpeg's encoder: small pictures at ordinary quality.
CLIPS: dict[str, tuple[str, str, dict[str, str]]] = {
    "H.264 in mp4": ("libx264", ".mp4", {"crf": "20"}),
    "H.264 in Matroska": ("libx264", ".mkv", {"crf": "20"}),
    "HEVC in mp4": ("libx265", ".mp4", {"crf": "20", "x265-params": "log-level=none"}),
    "AV1 in mp4": ("libsvtav1", ".mp4", {"crf": "30", "preset": "12"}),
    "VP9 in WebM": ("libvpx-vp9", ".webm", {"crf": "20", "deadline": "realtime", "cpu-used": "8"}),
    "MPEG-4 in AVI": ("mpeg4", ".avi", {"q:v": "3"}),
    "MJPEG in AVI": ("mjpeg", ".avi", {"q:v": "3"}),
}
HARMS = {"zeros": 400, "noise": 16}
FRAMES = 40
SIZE = (320, 240)
# Bytes of a packet that stay as they are: its beginning tells decoders what follows.
HEAD = 16


def damage_row(name: str, folder: Path, trials: int, seed: int = 1) -> dict[str, Any]:
    """One row: of `trials` places of each kind of damage, how many change a picture, and how many
    of those are counted."""
    clip = write_clip(name, folder)
    clean, none = look(clip)
    metrics: dict[str, Any] = {"trials": trials, "false_alarms": sum(none.values())}
    places = packets(clip)
    for kind, length in HARMS.items():
        # One generator for each kind, so that a new kind does not move the others.
        chance, visible, counted = random.Random(f"{seed} {kind}"), 0, 0
        for _ in range(trials):
            at, size = chance.choice(places)
            start = at + chance.randrange(HEAD, size - length)
            harm = bytes(length) if kind == "zeros" else chance.randbytes(length)
            data = bytearray(clip.read_bytes())
            data[start : start + length] = harm
            hurt = clip.with_name("hurt" + clip.suffix)
            hurt.write_bytes(data)
            frames, found = look(hurt)
            if frames != clean:
                visible += 1
                counted += sum(found.values()) > 0
        metrics |= {f"{kind}_visible": visible, f"{kind}_counted": counted}
    return results.row({"clip": f"damage: {name}", "codec": name}, metrics, ["clip"])


def write_clip(name: str, folder: Path) -> Path:
    """The synthetic picture in one of CLIPS, by FFmpeg alone."""
    import os

    import av

    from runtime.sources.synthetic import SyntheticSource

    os.environ.setdefault("SVT_LOG", "1")
    encoder, suffix, options = CLIPS[name]
    source = SyntheticSource("synthetic", num_frames=FRAMES, size=SIZE)
    path = folder / f"{encoder}{suffix}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for frame in source:
            picture = av.VideoFrame.from_ndarray(frame.image, "rgb24")
            picture = picture.reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = frame.index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def packets(clip: Path) -> list[tuple[int, int]]:
    """Place and size of all packets that are large enough to be hurt."""
    import av

    least = max(HARMS.values()) + HEAD + 1
    with av.open(str(clip)) as container:
        found = [(packet.pos, packet.size) for packet in container.demux(video=0)]
    return [(at, size) for at, size in found if at is not None and size > least]


def look(clip: Path) -> tuple[list[tuple[Fraction, int]], dict[str, int]]:
    """(time, hash) of each picture, and what the source counted; a clip that cannot be opened at
    all has no pictures, and says so."""
    from runtime.errors import SourceError
    from runtime.sources import open_source

    try:
        with open_source(clip) as source:
            frames = [(frame.time, hash(frame.image.tobytes())) for frame in source]
        return frames, dict(getattr(source, "damage", {}))
    except SourceError:
        return [], {"refused": 1}
