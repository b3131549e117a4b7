"""File source: exact times, rotation, shape of pixels, choice of stream, damage, seeking."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from runtime.errors import SourceError
from runtime.media.container import choose_stream
from runtime.sources import open_source
from runtime.sources._times import Clock
from runtime.sources.synthetic import SyntheticSource

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "video"
BASE = Fraction(1, 90_000)
# H.264 with half-size chroma against the sharp little picture it was made from measures 26 dB; any
# other picture, or a turned one, is below 15.
LOSSY_DB = 24


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(50), Fraction(24)])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_bare_streams_keep_the_rate_they_state(tmp_path, codec, rate):
    kind = {"libx264": "h264", "mpeg2video": "mpeg2video"}[codec]
    path = tmp_path / f"in.{kind[:4]}"
    bare_stream(path, codec, kind, rate)
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time for frame in frames] == [n / rate for n in range(9)]
    assert source.info.rate == rate
    assert not source.remarks
    with open_source(path, rate=Fraction(12)) as source:
        assert [frame.time for frame in source] == [Fraction(n, 12) for n in range(9)]


@pytest.mark.parametrize("wish", [None, Fraction(10)])
def test_bare_streams_that_state_no_rate(tmp_path, wish):
    path = tmp_path / "in.mjpeg"
    bare_stream(path, "mjpeg", "mjpeg", Fraction(30))
    with open_source(path, rate=wish) as source:
        times = [frame.time for frame in source]
    assert times == [n / (wish or Fraction(25)) for n in range(9)]
    assert source.remarks == (
        ["states no rate: 25 frames per second are assumed (--rate says another)"] * (not wish)
    )


def bare_stream(path, codec, kind, rate):
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(9):
            shade = np.full((48, 64, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, "rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_irregular_times_with_an_offset_are_exact(make_clip):
    ticks = [900_123 + t for t in (0, 9007, 18000, 26993, 60000, 150000, 159001, 168000)]
    path = make_clip("vfr.mp4", ticks=ticks, time_base=BASE, options={"bf": "2"})
    with open_source(path) as source:
        frames = list(source)
    assert [f.time for f in frames] == [(tick - ticks[0]) * BASE for tick in ticks]
    assert [f.index for f in frames] == list(range(8))
    assert frames[-1].duration == 512 * BASE
    assert source.info.num_frames == 8
    assert not source.damage


def test_pictures_are_right_and_in_order(make_clip):
    path = make_clip("in.mp4", frames=10, size=(96, 64))
    original = SyntheticSource("synthetic:96x64")
    with open_source(path) as source:
        for frame in source:
            assert psnr(frame.image, original.render(frame.index)) > LOSSY_DB
            assert frame.image.flags.c_contiguous


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_once(make_clip, degrees):
    path = make_clip("turned.mp4", frames=2, size=(96, 64), rotation=degrees)
    with open_source(path) as source:
        frame = next(iter(source))
        stored = SyntheticSource("synthetic:96x64").render(0)
    # set_display_rotation counts counterclockwise, as np.rot90 does.
    upright = np.rot90(stored, degrees // 90)
    assert frame.image.shape == upright.shape
    assert (source.info.height, source.info.width) == upright.shape[:2]
    assert psnr(frame.image, upright) > LOSSY_DB


def test_shape_of_pixels_follows_the_rotation(make_clip):
    shape = Fraction(4, 3)
    with open_source(make_clip("a.mp4", frames=2, sample_aspect_ratio=shape)) as source:
        assert source.clip.sample_aspect_ratio == shape
    turned = make_clip("b.mp4", frames=2, sample_aspect_ratio=shape, rotation=90)
    with open_source(turned) as source:
        assert source.clip.sample_aspect_ratio == 1 / shape


def test_color_tags_are_read(make_clip):
    with open_source(make_clip("c.mp4", frames=2, colors=(1, 2, 1, 1))) as source:
        tags = source.clip.tagged
    assert (tags.matrix, tags.range, tags.primaries, tags.transfer) == (1, 2, 1, 1)


def test_continuing_behind_a_frame(make_clip):
    path = make_clip("in.mp4", frames=40, options={"g": "10", "bf": "2"})
    with open_source(path) as source:
        whole = [(f.index, f.time, f.image.tobytes()) for f in source]
    for behind in (0, 9, 10, 38):
        for seek in (True, False):
            after = (behind, whole[behind][1])
            with open_source(path, after=after, seek=seek) as source:
                assert [(f.index, f.time, f.image.tobytes()) for f in source] == whole[behind + 1 :]


def test_a_clip_that_changed_cannot_be_continued(make_clip):
    path = make_clip("in.mp4", frames=5)
    with (
        open_source(path, after=(30, Fraction(1))) as source,
        pytest.raises(SourceError, match="changed"),
    ):
        list(source)


def test_choice_of_stream_is_that_of_ffmpeg(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for size in ((32, 32), (64, 64)):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height = size
            streams.append(stream)
        for number in range(3):
            for stream in streams:
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    with open_source(path) as source:
        assert source.info.width == 64
    with open_source(path, stream=0) as source:
        assert (source.info.width, source.clip.stream_index) == (32, 0)
    with pytest.raises(SourceError, match=r"no video stream 7.*0 \(32x32 .*1 \(64x64"):
        open_source(path, stream=7)


class _Stream:
    def __init__(self, index, width, height, disposition):
        self.index, self.width, self.height = index, width, height
        self.disposition, self.codec_context = disposition, object()


class _Container:
    def __init__(self, *videos):
        self.streams = type("S", (), {"video": videos})()


def test_default_track_wins_over_size_and_cover_art_comes_last():
    small, large, cover = (
        _Stream(0, 64, 64, 1),
        _Stream(1, 640, 480, 0),
        _Stream(2, 3000, 3000, 1024),
    )
    assert choose_stream(_Container(large, small, cover), None, "x") is small
    assert choose_stream(_Container(cover, large), None, "x") is large


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no input"), (b"", "empty"), (b"hello, text" * 50, "cannot be read")],
)
def test_files_that_are_no_video(tmp_path, content, words):
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        open_source(path)


def test_sound_only(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        stream.codec_context.layout = "mono"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no video stream"):
        open_source(path)


def damaged(path: Path, start: float = 0.4, length: float = 0.1, seed: int = 1) -> Path:
    """The file with a fiftieth of the bytes of a stretch replaced."""
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    first, last = int(len(data) * start), int(len(data) * (start + length))
    for position in range(first, last):
        if random.random() < 0.02:
            data[position] = int(random.integers(256))
    result = path.with_name("damaged" + path.suffix)
    result.write_bytes(data)
    return result


def test_a_damaged_stretch_is_concealed_or_skipped_and_counted(make_clip):
    clean = make_clip("in.mp4", frames=60, size=(160, 120))
    path = damaged(clean)
    with open_source(path) as source:
        frames = list(source)
    assert sum(source.damage.values()) > 0
    assert len(frames) + source.damage["skipped"] + source.damage["missing"] == 60
    assert all(a.time < b.time for a, b in pairwise(frames))
    with pytest.raises(SourceError, match="damaged"), open_source(path, strict=True) as source:
        list(source)


def test_a_clip_that_is_cut_short_says_so(make_clip):
    clean = make_clip(
        "in.mkv", frames=100, time_base=Fraction(1, 1000), ticks=[i * 40 for i in range(100)]
    )
    short = clean.with_name("short.mkv")
    short.write_bytes(clean.read_bytes()[: clean.stat().st_size // 2])
    with open_source(short) as source:
        count = sum(1 for _ in source)
    assert 10 < count < 90
    assert source.damage["seconds missing"] >= 1
    with (
        pytest.raises(SourceError, match=r"was cut: at least \d+ bytes"),
        open_source(short, strict=True) as source,
    ):
        list(source)


def test_hdr_is_tone_mapped_or_refused(make_clip):
    path = make_clip(
        "hdr.mp4",
        frames=2,
        codec="libx265",
        pixel_format="yuv420p10le",
        colors=(9, 1, 9, 16),
        options={"x265-params": "log-level=none:bframes=0"},
    )
    with open_source(path) as source:
        frame = next(iter(source))
    assert frame.image.dtype == np.uint8
    assert source.clip.tagged.transfer == 1
    assert any("tone-mapped" in note for note in source.clip.notes)
    with pytest.raises(SourceError, match="high dynamic range"):
        open_source(path, hdr="refuse")


class _Decoded:
    def __init__(self, pts, dts=None):
        self.pts, self.dts = pts, dts


def test_times_out_of_order_are_sorted_within_the_lookahead():
    clock = Clock(Fraction(1, 25), Fraction(25), lookahead=2)
    got = [tick for _, tick in clock.assign(map(_Decoded, [1, 2, 4, 3, 5, 7, 6, 8]))]
    assert got == [1, 2, 3, 4, 5, 6, 7, 8]
    assert clock.repaired == 0


def test_times_that_do_not_increase_are_repaired_and_counted():
    clock = Clock(Fraction(1, 25), Fraction(25))
    got = [tick for _, tick in clock.assign(map(_Decoded, [0, 1, 1, 1, 9, None]))]
    assert got == [0, 1, 2, 3, 9, 10]
    assert clock.repaired == 2


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the clips of shared/data/video")
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("phone_rotated_vfr.mp4", 25, (1280, 720)),
        ("face_makeup.avi", 164, (320, 240)),
        ("carphone.mp4", 120, (176, 144)),
    ],
)
def test_real_clips(name, count, size):
    with open_source(DATA / name) as source:
        times = [frame.time for frame in source]
    assert len(times) == count
    assert (source.info.width, source.info.height) == size
    assert all(a < b for a, b in pairwise(times))
    assert not source.damage


def test_closed_captions_are_said_to_be_lost(make_clip, tmp_path):
    """ATSC A/53, part 4: user data within the pictures, here as H.264 carries them."""
    captions = b"\xb5\x00\x31GA94\x03\x42\xff" + b"\xfc\x94\xae\xfd\x80\x80" + b"\xff"
    message = b"\0\0\0\1\x06\x04" + bytes([len(captions)]) + captions + b"\x80"
    plain = make_clip("in.ts", frames=6)
    with av.open(str(plain)) as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    for name, before in (("with.h264", message), ("without.h264", b"")):
        (tmp_path / name).write_bytes(b"".join(before + packet for packet in packets))
        with open_source(tmp_path / name) as source:
            assert len(list(source)) == 6
            said = [remark for remark in source.remarks if "closed captions" in remark]
        assert len(said) == (1 if before else 0)
