"""Shape of pixels in Matroska files: the edit changes what it should and nothing else."""

import zlib
from fractions import Fraction

import av
import pytest

from runtime.media import ebml, matroska


def write(path, name="A name", reserved=True, size=(720, 480)):
    """Three black FFV1 frames by FFmpeg's muxer, with a track name."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.metadata["title"] = matroska.reserve(name) if reserved else name
        for number in range(3):
            frame = av.VideoFrame(*size, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        (Fraction(8, 9), (640, 480, matroska.PIXELS)),
        (Fraction(32, 27), (720, 405, matroska.PIXELS)),
        (Fraction(40, 33), (720, 396, matroska.PIXELS)),
        (Fraction(64, 45), (1024, 480, matroska.PIXELS)),
        (Fraction(101, 77), (303, 154, matroska.RATIO)),
    ],
)
@pytest.mark.parametrize("name", ["A name", ""])
def test_shape_is_written_in_place(tmp_path, shape, shown, name):
    path = write(tmp_path / "clip.mkv", name)
    before = path.read_bytes()
    assert matroska.display_size(720, 480, shape) == shown
    matroska.set_pixel_shape(path, 720, 480, shape)
    after = path.read_bytes()
    assert len(after) == len(before)
    with path.open("rb") as file:
        at, size = matroska._find_tracks(file)
    assert before[:at] == after[:at] and before[at + size :] == after[at + size :]
    (kind, _, crc), *rest = ebml.children(after[at : at + size])
    body = b"".join(head + data for _, head, data in rest)
    assert kind == ebml.CRC32 and int.from_bytes(crc, "little") == zlib.crc32(body)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == shape
        assert stream.metadata.get("title", "") == name
        assert sum(1 for _ in container.decode(stream)) == 3


def test_files_that_were_not_prepared_are_left_alone(tmp_path):
    path = write(tmp_path / "clip.mkv", reserved=False)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no room"):
        matroska.set_pixel_shape(path, 720, 480, Fraction(4, 3))
    with pytest.raises(ValueError, match="no tracks"):
        (tmp_path / "x").write_bytes(b"\0" * 99)
        matroska.set_pixel_shape(tmp_path / "x", 720, 480, Fraction(4, 3))
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", [0, 2, 9, 10, 300])
def test_filler_has_the_asked_length(length):
    filler = ebml.void(length)
    assert len(filler) == length
    assert [name for name, _, _ in ebml.children(filler)] == [ebml.VOID] * bool(length)


@pytest.mark.parametrize("size", [0, 126, 127, 16382, 16383, 70000])
def test_elements_come_back(size):
    made = ebml.element(0x1A45DFA3, bytes(size))
    head = ebml.read_head(made)
    assert head == ebml.Head(0x1A45DFA3, len(made) - size, size)
    assert list(ebml.children(made)) == [(0x1A45DFA3, made[: head.length], bytes(size))]


def test_what_is_no_element():
    for data in (b"", b"\0\0\0", b"\x1f\x43", b"\x08\x00\x00\x00\x00\x81"):
        assert ebml.read_head(data) is None
    assert ebml.read_head(b"\xa3\xff").size is None
    with pytest.raises(ValueError, match="byte 0 of 3"):
        list(ebml.children(b"\xa3\x85\x00"))
