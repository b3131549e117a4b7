"""Damage that FFmpeg passes over: found where anything can find it, never where there is none."""

from fractions import Fraction

import av
import pytest

from runtime.errors import SourceError
from runtime.sources import open_source
from runtime.sources._clusters import Clusters
from runtime.sources._damage import holds_lost_bytes, prefix_length

TICK = Fraction(1, 1000)
BASE = Fraction(1, 12800)
CODECS = {
    "h264.mp4": {},
    "h264.ts": {},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {"q:v": "3"}},
}


def make(make_clip, name, frames=30):
    return make_clip(name, frames=frames, size=(160, 120), **CODECS[name])


def spots(path, size=450):
    """Where the packets lie that have at least this many bytes, in the middle of each."""
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size > size]
    return [pos + (length - size) // 2 for pos, length in packets]


def hurt(path, at, data):
    damaged = bytearray(path.read_bytes())
    damaged[at : at + len(data)] = data
    result = path.with_name("damaged" + path.suffix)
    result.write_bytes(damaged)
    return result


def damage_of(path, **options):
    with open_source(path, **options) as source:
        count = sum(1 for _ in source)
    return count, dict(source.damage), source.remarks


@pytest.mark.parametrize("name", CODECS)
def test_nothing_is_found_in_whole_clips(make_clip, name):
    path = make(make_clip, name)
    assert damage_of(path) == (30, {}, [])
    assert damage_of(path, strict=True) == (30, {}, [])


@pytest.mark.parametrize("name", ["h264.mp4", "hevc.mp4"])
def test_a_lost_block_is_always_counted(make_clip, name):
    """Without the look at packets HEVC's decoder mentions none of these, H.264's most."""
    path = make(make_clip, name)
    for at in spots(path)[:4]:
        bad = hurt(path, at, bytes(400))
        count, damage, _ = damage_of(bad)
        assert count == 30 - damage.get("skipped", 0)
        # One picture, repaired or left out: which, depends on how the encoder cut it into slices,
        # and that on the number of cores.
        assert sum(damage.values()) == 1
        with pytest.raises(SourceError, match="damaged"):
            damage_of(bad, strict=True)


def test_a_decoder_that_keeps_errors_to_itself_has_a_witness(make_clip):
    path = make(make_clip, "mjpeg.avi")
    noise = bytes(range(1, 254)) + b"\xd5\x2a" * 70
    found = [damage_of(hurt(path, at, noise))[1] for at in spots(path)[:4]]
    assert all(sum(damage.values()) >= 1 for damage in found)


def test_continuing_a_whole_clip_finds_nothing(make_clip):
    options = {"x265-params": "log-level=none:keyint=10:open-gop=1"}
    path = make_clip("open.mkv", frames=40, codec="libx265", options=options)
    with open_source(path) as source:
        times = [frame.time for frame in source]
    for behind in (14, 33):
        with open_source(path, after=(behind, times[behind])) as source:
            assert [frame.time for frame in source] == times[behind + 1 :]
        assert not source.damage


@pytest.mark.parametrize(
    ("data", "codec", "prefix", "lost"),
    [
        (b"\0\0\0\5\x65abc\0", "h264", 4, False),
        (b"\0\0\0\7\x65ab\0\0\0c", "h264", 4, True),
        (b"\0\0\0\7\x65ab\0\0\0\0", "h264", 4, False),  # filling at the end
        (b"\0\0\0\7\x06ab\0\0\0c", "h264", 4, False),  # no slice: supplemental information
        (b"\0\7\x02\x01a\0\0\0c", "hevc", 2, True),
        (b"\0\7\x4e\x01a\0\0\0c", "hevc", 2, False),
        (b"\0\0\1\x65ab\0\0\0\0\1\x41cd", "h264", 0, False),
        (b"\0\0\1\x65ab\0\0\0c\0\0\1\x41cd", "h264", 0, True),
        (b"\0\0\0\xff\x65ab\0\0\0c", "h264", 4, True),  # cut short
    ],
)
def test_zeros_that_no_encoder_writes(data, codec, prefix, lost):
    assert holds_lost_bytes(data, codec, prefix) is lost


def test_how_units_are_marked():
    assert prefix_length("h264", b"\1\x64\0\x1f\xff\xe1") == 4
    assert prefix_length("h264", b"\0\0\0\1\x67") == 0
    assert prefix_length("hevc", b"\1" + bytes(20) + b"\xfd\0") == 2
    assert prefix_length("hevc", None) == prefix_length("vp9", b"\1" * 30) == 0


def matroska(make_clip, name, **facts):
    ticks = [i * 40 for i in range(100)]
    return make_clip(name, frames=100, time_base=TICK, ticks=ticks, size=(96, 64), **facts)


def broken(path, limit=None, start=0):
    clusters = Clusters(path, start)
    found = clusters.advance(limit)
    clusters.close()
    return found


def test_checksums_of_matroska_find_every_flipped_byte(make_clip):
    path = matroska(make_clip, "in.mkv", options={"g": "20"}, audio="aac")
    assert broken(path) == 0
    data = path.read_bytes()
    first = data.index(b"\x1f\x43\xb6\x75")
    for at in range(first + 10, len(data) - 400, len(data) // 15):
        bad = hurt(path, at, bytes([data[at] ^ 0x10]))
        assert broken(bad) >= 1
        assert broken(bad, limit=first) == 0  # not read yet
        _, damage, _ = damage_of(bad)
        assert damage["broken clusters"] >= 1
        with pytest.raises(SourceError, match="damaged"):
            damage_of(bad, strict=True)


def test_the_structure_of_webm_finds_what_is_lost(make_clip):
    path = matroska(make_clip, "in.webm", codec="libvpx-vp9", options={"cpu-used": "8", "g": "20"})
    assert broken(path) == 0
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    for place in places[20:80:15]:
        bad = hurt(path, place - 4, b"\0" * 8)  # the head of a block, not its picture
        count, damage, _ = damage_of(bad)
        assert count < 100
        assert damage["broken clusters"] == 1


def test_files_that_were_cut_or_are_still_written_are_not_broken(make_clip, tmp_path):
    path = matroska(make_clip, "in.mkv", options={"bf": "0"})
    data = path.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    assert broken(cut) == 0
    # A stream written to a pipe: no sizes, no checksums.
    live = tmp_path / "live.mkv"
    with av.open(str(path)) as source, live.open("wb") as file:
        pipe = type("Pipe", (), {"write": lambda _, piece: file.write(piece)})()
        with av.open(pipe, "w", format="matroska") as target:
            copy = target.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)
    assert broken(live) == 0
    assert damage_of(live)[:2] == (100, {})
    behind = data.index(b"\x1f\x43\xb6\x75") + 1
    assert broken(hurt(path, behind + 200, b"\xff\xff"), start=behind) == 0


def test_lost_frames_of_a_steady_clip_are_remarked(make_clip):
    ticks = [i * 512 for i in range(80) if i not in (20, 21, 30)]
    count, damage, remarks = damage_of(make_clip("gap.mp4", ticks=ticks))
    assert (count, damage) == (77, {})
    assert remarks[0].startswith("2 gaps: about 3 frames are not in the clip")
    path = make_clip("dropped.avi", codec="mpeg4", ticks=ticks, time_base=BASE)
    assert damage_of(path)[:2] == (77, {})  # its header counts the frames that were dropped
    uneven = [0]
    for number in range(39):
        uneven.append(uneven[-1] + 512 * (1 + number % 3))
    assert damage_of(make_clip("uneven.mp4", ticks=uneven))[2] == []
