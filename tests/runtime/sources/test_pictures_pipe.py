"""Picture sequences and standard input as sources."""

import io
import os
import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest

from runtime.errors import SourceError, UsageError
from runtime.sources import open_source
from runtime.sources.images import natural
from runtime.sources.pipe import PipeSource
from runtime.sources.synthetic import SyntheticSource


def render(count, size="48x32"):
    source = SyntheticSource(f"synthetic:{size}")
    return [source.render(number) for number in range(count)]


def write_pictures(folder, images, pattern="f_{}.png"):
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / pattern.format(number)), image[..., ::-1])
    return folder


def test_folder_in_natural_order_at_the_asked_rate(tmp_path):
    images = render(12)
    folder = write_pictures(tmp_path / "p", images)
    with open_source(folder, rate=Fraction(24000, 1001)) as source:
        frames = list(source)
    assert [f.time for f in frames] == [i * Fraction(1001, 24000) for i in range(12)]
    assert all(np.array_equal(f.image, i) for f, i in zip(frames, images, strict=True))
    assert source.info.num_frames == 12


def test_pattern_and_times_beside_the_pictures(tmp_path):
    folder = write_pictures(tmp_path / "p", render(3))
    (folder / "timestamps.txt").write_text("# timestamp format v2\n0\n33.5\n100\n")
    frames = list(open_source(f"{folder}/*.png"))
    assert [f.time for f in frames] == [0, Fraction(67, 2000), Fraction(1, 10)]


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "tiff"])
def test_numbered_pictures_at_a_rate(tmp_path, ending):
    images = render(4)
    write_pictures(tmp_path / "p", images, f"f_000{{}}.{ending}")
    with open_source(tmp_path / "p" / f"f_%04d.{ending}", rate=Fraction(24)) as source:
        frames = list(source)
    assert [f.time for f in frames] == [Fraction(n, 24) for n in range(4)]
    worst = max(np.abs(f.image - i.astype(int)).mean() for f, i in zip(frames, images, strict=True))
    assert worst < (12 if ending == "jpg" else 1e-9)  # sharp edges of color, in a JPEG
    (tmp_path / "p" / f"f_0002.{ending}").unlink()
    with pytest.raises(SourceError, match=r"1 pictures of .* are missing, the first is f_0002"):
        open_source(tmp_path / "p" / f"f_%04d.{ending}")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_rounded(tmp_path, ending):
    # 257 v is v exactly; half a step more goes up, a little less stays.
    deep = np.uint16([[0, 257 * 100, 257 * 100 + 129, 257 * 100 + 128, 65535]])
    cv2.imwrite(str(tmp_path / f"deep.{ending}"), np.repeat(deep[..., None], 3, -1))
    (frame,) = open_source(tmp_path / f"deep.{ending}")
    assert frame.image[0, :, 0].tolist() == [0, 100, 101, 100, 255]


def test_bad_times_are_refused(tmp_path):
    folder = write_pictures(tmp_path / "p", render(3))
    (folder / "timestamps.txt").write_text("# timestamp format v2\n0\n33\n")
    with pytest.raises(SourceError, match="3 increasing times"):
        open_source(folder)


def test_unreadable_and_odd_pictures_are_counted_or_refused(tmp_path):
    folder = write_pictures(tmp_path / "p", render(4))
    (folder / "f_1.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "f_3.png"), np.zeros((10, 10, 3), np.uint8))
    with open_source(folder) as source:
        frames = list(source)
    assert [f.index for f in frames] == [0, 1, 2]
    assert dict(source.damage) == {"skipped": 1, "resized": 1}
    with pytest.raises(SourceError, match="f_1"):
        list(open_source(folder, strict=True))


def test_continuing_pictures(tmp_path):
    folder = write_pictures(tmp_path / "p", render(6))
    frames = list(open_source(folder, after=(2, Fraction(2, 25))))
    assert [f.index for f in frames] == [3, 4, 5]


def test_empty_folder(tmp_path):
    with pytest.raises(SourceError, match="no pictures"):
        open_source(tmp_path)


def test_natural_order():
    assert sorted(["a10.png", "a2.png", "A1.png"], key=natural) == ["A1.png", "a2.png", "a10.png"]
    odd = ["²1.png", "²", "9" * 5000, "１.png"]  # digits that are no numbers, and too many of them
    assert sorted(sorted(odd, key=natural)) == sorted(odd)


def test_bare_frames_from_a_pipe():
    images = render(5)
    data = io.BytesIO(b"".join(image.tobytes() for image in images))
    with PipeSource("-", raw="48x32@30000/1001:rgb24", file=data) as source:
        frames = list(source)
    assert [f.time for f in frames] == [i * Fraction(1001, 30000) for i in range(5)]
    assert all(np.array_equal(f.image, i) for f, i in zip(frames, images, strict=True))


def test_a_container_from_a_pipe_and_its_copy(make_clip, tmp_path):
    path = make_clip(
        "in.mkv",
        frames=8,
        time_base=Fraction(1, 1000),
        ticks=[i * 40 for i in range(8)],
        audio="aac",
    )

    class NotSeekable(io.BytesIO):
        def seekable(self):
            return False

    spool = tmp_path / "spool"
    with PipeSource("-", file=NotSeekable(path.read_bytes()), spool=spool) as source:
        assert sum(1 for _ in source) == 8
        assert source.clip.path is not None
    assert source.clip.path.read_bytes() == path.read_bytes()


def test_no_copy_without_other_streams(make_clip, tmp_path):
    path = make_clip("in.mkv", frames=4, time_base=Fraction(1, 1000), ticks=[0, 40, 80, 120])
    spool = tmp_path / "spool"
    with PipeSource("-", file=io.BytesIO(path.read_bytes()), spool=spool) as source:
        list(source)
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "raw", ["48", "48x32:nosuch", "48x32@0", "48x32@1/0", "48x32@999999", "48x32@" + "9" * 5000]
)
def test_bad_descriptions_of_bare_frames(raw):
    with pytest.raises((UsageError, SourceError)):
        PipeSource("-", raw=raw, file=io.BytesIO())


def test_nothing_in_the_pipe():
    with pytest.raises(SourceError, match="standard input"):
        PipeSource("-", file=io.BytesIO())


def test_a_named_pipe(make_clip, tmp_path):
    path = make_clip("in.mkv", frames=4, time_base=Fraction(1, 1000), ticks=[0, 40, 80, 120])
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(path.read_bytes(),))
    thread.start()
    with open_source(tmp_path / "pipe") as source:
        assert len(list(source)) == 4
    thread.join()


def test_an_index_at_the_end_cannot_come_through_a_pipe(make_clip):
    path = make_clip("in.mp4", frames=40, size=(320, 240))

    class NotSeekable(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(SourceError, match="index at the end"):
        PipeSource("-", file=NotSeekable(path.read_bytes()))
