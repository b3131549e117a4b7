"""Clips whose pictures change their size, and those in which empty packets repeat a picture."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from runtime.clips.batch import Job, numbered
from runtime.clips.excerpt import Span
from runtime.clips.options import ClipOptions
from runtime.clips.runner import paint_clips
from runtime.errors import SourceError
from runtime.media.journal import Journal
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.sinks.file import FileSink
from runtime.sources import open_source

SIZES = ((64, 48), (96, 64), (64, 48))
FRAMES = 12  # of each size


@pytest.fixture
def clip(tmp_path):
    """MPEG-TS whose pictures change their size twice, brighter with every frame, with sound."""
    data = b""
    for part, (width, height) in enumerate(SIZES):
        path = tmp_path / f"{part}.ts"
        with av.open(str(path), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25, options={"bf": "0", "qp": "4"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            sound = container.add_stream("aac", rate=48_000)
            sound.codec_context.layout = "mono"
            for number in range(FRAMES):
                at = part * FRAMES + number
                shade = np.full((height, width, 3), 20 + 6 * at, np.uint8)
                frame = av.VideoFrame.from_ndarray(shade, "rgb24")
                frame.pts, frame.time_base = at, Fraction(1, 25)
                container.mux(stream.encode(frame))
                tone = np.zeros((1, 1920), np.float32)
                heard = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                heard.sample_rate, heard.pts = 48_000, at * 1920
                container.mux(sound.encode(heard))
            container.mux(stream.encode(None))
            container.mux(sound.encode(None))
        data += path.read_bytes()
    (tmp_path / "in.ts").write_bytes(data)
    return tmp_path / "in.ts"


@pytest.fixture
def paint(identity_model, tmp_path):
    def run(source, rule, span=None, resume=False):
        options = ClipOptions(
            source={"on_size_change": rule},
            sink={"preset": "ultrafast", "verify": True},
            span=span or Span(),
            resume=resume,
        )
        how = StylizeOptions([(str(identity_model), 1.0)], device="cpu")
        with open_stylizer(how) as stylizer:
            job = Job(str(source), str(tmp_path / "out.mp4"))
            return paint_clips([job], [stylizer], options)

    return run


def read(path):
    with open_source(path) as source:
        return list(source)


def shades(path):
    return [round(float(frame.image.mean())) for frame in read(path)]


def test_scaled_to_the_first(clip, paint, tmp_path):
    result = paint(clip, "scale")
    (outcome,) = result.outcomes
    assert outcome.facts["frames_out"] == 3 * FRAMES
    assert any("changes from 64x48 to 96x64 at 0.48 s: scaled" in note for note in outcome.notes)
    # The seams of the stream count as damage (its packets' counters jump there), the size does not.
    assert outcome.facts["damage"].keys() <= {"concealed"}
    assert {frame.image.shape for frame in read(tmp_path / "out.mp4")} == {(48, 64, 3)}


def test_split_into_one_file_for_each_size(clip, paint, tmp_path):
    result = paint(clip, "split")
    assert result.exit_code == 0
    names = [tmp_path / name for name in ("out.mp4", "out-2.mp4", "out-3.mp4")]
    assert [outcome.job.output for outcome in result.outcomes] == [str(name) for name in names]
    found = [shade for name in names for shade in shades(name)]
    assert np.abs(np.subtract(found, [20 + 6 * at for at in range(3 * FRAMES)])).max() <= 2
    for name, (width, height) in zip(names, SIZES, strict=True):
        with av.open(str(name)) as container:
            pictures, sound = container.streams.video[0], container.streams.audio[0]
            assert (pictures.width, pictures.height) == (width, height)
            heard = [p.pts * p.time_base for p in container.demux(sound) if p.size]
        # Each with its own sound: half a second of it.
        assert -0.03 < heard[0] < 0.06
        assert 0.4 < heard[-1] < 0.52


def test_split_with_a_number_of_frames(clip, paint, tmp_path):
    result = paint(clip, "split", Span(frames=FRAMES + 3))
    assert [outcome.facts["frames_out"] for outcome in result.outcomes] == [FRAMES, 3]
    paint_again = tmp_path / "out-3.mp4"
    assert not paint_again.exists()


@pytest.mark.parametrize("killed", [3, FRAMES + 5, 2 * FRAMES + 1, 3 * FRAMES])
def test_split_goes_on_in_the_part_where_it_was_killed(clip, paint, tmp_path, monkeypatch, killed):
    """`killed`: frames of the clip that were written by then."""
    names = ["out.mp4", "out-2.mp4", "out-3.mp4"]
    paint(clip, "split")
    whole = [(tmp_path / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / name).unlink()
    write, left, journals = FileSink.write, [killed], []

    def dying(self, frame):
        left[0] -= 1
        if left[0] < 0:
            journals.append(self.journal)
            raise KeyboardInterrupt  # nothing is tidied up: see below
        write(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "write", dying)
        patch.setattr(FileSink, "abort", lambda self: None)
        if killed < 3 * FRAMES:
            with pytest.raises(KeyboardInterrupt):
                paint(clip, "split")
            journals[0].close()
        else:
            paint(clip, "split")
    result = paint(clip, "split", resume=True)
    assert result.exit_code == 0
    assert len(result.endings) == 3 - killed // FRAMES
    assert [(tmp_path / name).read_bytes() for name in names] == whole


def test_refused_and_resumed_by_scaling(clip, paint, tmp_path):
    with pytest.raises(SourceError, match=r"at 0\.48 s; --on-size-change scale"):
        paint(clip, "fail")
    assert Journal.is_unfinished(tmp_path / "out.mp4")
    (outcome,) = paint(clip, "scale", resume=True).outcomes
    assert outcome.facts["frames_out"] == 3 * FRAMES
    assert len(read(tmp_path / "out.mp4")) == 3 * FRAMES


@pytest.mark.parametrize("rule", ["split", "fail"])
def test_pictures_of_two_sizes(tmp_path, rule):
    import cv2

    for number in range(4):
        side = 16 if number < 2 else 24
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((side, side, 3), np.uint8))
    source = open_source(tmp_path / "%d.png", on_size_change=rule)
    if rule == "fail":
        with pytest.raises(SourceError, match="another size"):
            list(source)
        return
    assert len(list(source)) == 2
    assert source.rest == Fraction(2, 25)


@pytest.mark.parametrize(
    ("output", "second"),
    [("a/out.mp4", "a/out-2.mp4"), ("a/%04d.png", "a/2-%04d.png"), ("-", "-"), ("null", "null")],
)
def test_names_of_further_parts(output, second):
    assert numbered(output, 2) == second


# --- Theora. FFmpeg has no encoder that leaves pictures out, so the packets are put into Ogg pages
# here (RFC 3533), one packet a page.


def ogg_page(number, granule, packet, flags=0):
    lacing = [255] * (len(packet) // 255) + [len(packet) % 255]
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, number, 0, len(lacing))
    page = head + bytes(lacing) + packet
    checksum = 0
    for byte in page:  # CRC-32, not reflected, polynomial 0x04c11db7
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1) ^ (0x04C11DB7 if checksum >> 31 else 0)
            checksum &= 0xFFFFFFFF
    return page[:22] + struct.pack("<I", checksum) + page[26:]


def split_headers(data):
    """Theora's three headers from FFmpeg's form: each behind its length in 16 bits."""
    headers = []
    while data:
        length = int.from_bytes(data[:2], "big")
        headers.append(data[2 : 2 + length])
        data = data[2 + length :]
    return headers


def with_empty_packets(source, path, behind):
    """The clip again, with an empty packet behind each of these packets."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        headers = split_headers(stream.codec_context.extradata)
        packets = []
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            packets.append((bytes(packet), packet.is_keyframe))
            if number in behind:
                packets.append((b"", False))
    # Bits of a time that count from the last key frame: bits 5 to 9 of bytes 40 and 41.
    shift = int.from_bytes(headers[0][40:42], "big") >> 5 & 31
    pages = [ogg_page(n, 0, header, 2 * (n == 0)) for n, header in enumerate(headers)]
    key = 0
    for number, (data, is_key) in enumerate(packets, start=1):
        key = number if is_key else key
        granule = key << shift | number - key
        pages.append(ogg_page(len(pages), granule, data, 4 * (number == len(packets))))
    path.write_bytes(b"".join(pages))
    return path


def test_empty_packets_of_theora_repeat_the_picture(tmp_path):
    import shutil
    import subprocess

    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")
    plain = tmp_path / "plain.ogv"
    graph = "testsrc2=s=96x64:r=25:d=0.8"
    made = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            graph,
            "-c:v",
            "libtheora",
            "-g",
            "8",
            plain,
        ],
        timeout=60,
    )
    if made.returncode:
        pytest.skip("needs an ffmpeg command with libtheora")
    behind = (0, 3, 4, 12)
    path = with_empty_packets(plain, tmp_path / "in.ogv", behind)
    before, after = read(plain), read(path)
    assert len(before) == 20
    # ffmpeg leaves these pictures out (20 frames with gaps in their times); a player shows the last
    # one on, and so does each of ours.
    wanted = [at for at in range(20) for _ in range(1 + (at in behind))]
    assert [frame.time for frame in after] == [Fraction(n, 25) for n in range(24)]
    for frame, at in zip(after, wanted, strict=True):
        np.testing.assert_array_equal(frame.image, before[at].image)
