"""File sink: written clips are read back and compared: times, pictures, tags, streams, sizes."""

import errno
import io
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from runtime.errors import OutputExists, SinkError, UsageError
from runtime.frame import Frame
from runtime.media import journal as journals
from runtime.media import muxing
from runtime.media.journal import Journal
from runtime.sinks import open_sink
from runtime.sources import SourceInfo, open_source
from runtime.sources.synthetic import SyntheticSource

BASE = Fraction(1, 90_000)
# Identity through decode, RGB, encode: what the issue asks for.
IDENTITY_DB = 40


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


def copy(path, output, **options):
    """Every frame of a clip into a sink; returns the sink."""
    with open_source(path) as source:
        sink = open_sink(output, source.info, clip=source.clip, **options)
        for frame in source:
            sink.write(frame)
        sink.close()
    return sink


def read(path):
    with open_source(path) as source:
        return list(source), source


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize("offset", [0, 900_123])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_irregular_times_come_back_exactly(make_clip, tmp_path, offset, suffix):
    ticks = [offset + t for t in (0, 9007, 18000, 26993, 60000, 150000, 159001, 168000, 177111)]
    path = make_clip("in.mp4", ticks=ticks, time_base=BASE)
    output = tmp_path / f"out{suffix}"
    copy(path, output, segment=4)
    frames, source = read(output)
    # From 0, wherever the clip begins.
    assert [frame.time for frame in frames] == [(tick - offset) * BASE for tick in ticks]
    with av.open(str(path)) as before, av.open(str(output)) as after:
        first, second = before.streams.video[0], after.streams.video[0]
        assert first.duration * first.time_base == second.duration * second.time_base
        assert (first.start_time, second.start_time) == (offset, 0)
    assert frames[-1].duration == 512 * BASE
    assert source.clip.time_base == BASE


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_times_are_right_to_a_millisecond(make_clip, tmp_path, suffix):
    path = make_clip("in.mp4", ticks=[0, 9007, 18000, 60000], time_base=BASE)
    output = tmp_path / f"out{suffix}"
    copy(path, output)
    for frame, tick in zip(read(output)[0], [0, 9007, 18000, 60000], strict=True):
        assert abs(frame.time - tick * BASE) <= Fraction(1, 2000)


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("span", [1, 2])
def test_identity_keeps_colors_and_tags(make_clip, tmp_path, matrix, span):
    path = make_clip("in.mp4", frames=6, size=(320, 240), colors=(matrix, span, matrix, matrix))
    output = tmp_path / "out.mp4"
    copy(path, output)
    (before, source), (after, result) = read(path), read(output)
    assert result.clip.tagged == source.clip.tagged
    assert (result.clip.tagged.matrix, result.clip.tagged.range) == (matrix, span)
    for a, b in zip(before, after, strict=True):
        assert psnr(a.image, b.image) >= IDENTITY_DB
    # And without our own converter: the planes themselves.
    with av.open(str(path)) as first, av.open(str(output)) as second:
        for a, b in zip(first.decode(video=0), second.decode(video=0), strict=True):
            assert psnr(a.to_ndarray(), b.to_ndarray()) >= IDENTITY_DB


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h264", ".mkv"),
        ("hevc", ".mp4"),
        ("av1", ".mp4"),
        ("av1", ".webm"),
        ("vp9", ".webm"),
        ("vp9", ".mp4"),
        ("prores", ".mov"),
        ("dnxhr", ".mov"),
        ("ffv1", ".mkv"),
    ],
)
def test_every_codec_keeps_every_frame(make_clip, tmp_path, codec, suffix):
    path = make_clip("in.mp4", frames=9, size=(256, 120) if codec == "dnxhr" else (96, 64))
    output = tmp_path / f"out{suffix}"
    sink = copy(path, output, codec=codec, segment=4, verify=True)
    assert sink.result.notes[-1] == "verified: 9 pictures decode, each at its time"
    assert sink.frames == sink.result.frames == 9
    before, after = read(path)[0], read(output)[0]
    assert len(after) == 9
    worst = min(psnr(a.image, b.image) for a, b in zip(before, after, strict=True))
    assert worst >= (99 if codec == "ffv1" else 32)


def test_pictures_that_a_codec_finds_too_small(tmp_path):
    with pytest.raises(UsageError, match="dnxhr needs pictures of 256x120 and more"):
        open_sink(tmp_path / "o.mov", SourceInfo("x", 254, 120, Fraction(25)), codec="dnxhr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["a picture", "a time"])
def test_verifying_finds_what_is_wrong(make_clip, tmp_path, monkeypatch, damage):
    """Nothing gets its name that does not decode to what was written."""
    path, output = make_clip("in.mp4", frames=9), tmp_path / "out.mp4"
    pictures = muxing._pictures

    def wrong(*arguments):
        for number, (packet, decoding) in enumerate(pictures(*arguments)):
            if number == 5:
                if damage == "a time":
                    packet.pts += 3
                else:
                    packet.update(bytes(packet.size))
            yield packet, decoding

    monkeypatch.setattr(muxing, "_pictures", wrong)
    with pytest.raises(SinkError, match=r"was verified and is wrong|9 frames went in"):
        copy(path, output, preset="ultrafast", verify=True)
    assert not output.exists()
    assert Journal.is_unfinished(output)


@pytest.mark.parametrize("size", [(33, 21), (1, 1), (34, 21)])
def test_odd_sizes_are_padded_not_scaled(tmp_path, size):
    source = SyntheticSource("synthetic:{}x{}".format(*size), num_frames=3)
    sink = open_sink(tmp_path / "out.mp4", source.info)
    images = []
    for frame in source:
        sink.write(frame)
        images.append(frame.image)
    sink.close()
    for frame, image in zip(read(tmp_path / "out.mp4")[0], images, strict=True):
        height, width = image.shape[:2]
        assert frame.image.shape == (height + height % 2, width + width % 2, 3)
        assert np.abs(frame.image[:height, :width].astype(int) - image).mean() < 20


def test_odd_sizes_stay_odd_where_the_codec_can(tmp_path):
    source = SyntheticSource("synthetic:33x21", num_frames=2)
    sink = open_sink(tmp_path / "out.webm", source.info)
    for frame in source:
        sink.write(frame)
    sink.close()
    assert read(tmp_path / "out.webm")[1].info.width == 33


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h264", ".mp4"),
        ("h264", ".mkv"),
        ("hevc", ".mp4"),
        ("hevc", ".mkv"),
        ("vp9", ".mp4"),
        ("vp9", ".webm"),
        ("av1", ".mp4"),
        ("av1", ".mkv"),
        ("ffv1", ".mkv"),
        ("prores", ".mov"),
        ("prores", ".mkv"),
    ],
)
def test_shape_of_pixels_is_kept(make_clip, tmp_path, codec, suffix):
    path = make_clip("in.mp4", frames=3, sample_aspect_ratio=Fraction(4, 3), audio="aac")
    output = tmp_path / f"out{suffix}"
    sink = copy(path, output, codec=codec)
    frames, source = read(output)
    assert (len(frames), source.clip.sample_aspect_ratio) == (3, Fraction(4, 3))
    assert not any("shape" in note for note in sink.notes)
    assert len(packets(output, "audio")) > 1
    with av.open(str(output)) as container:
        assert "title" not in container.streams.video[0].metadata


def test_pixels_of_gif_files_are_square_and_that_is_said(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=2, sample_aspect_ratio=Fraction(4, 3))
    sink = copy(path, tmp_path / "out.gif")
    assert any("4:3" in note for note in sink.notes)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_and_the_tag_gone(make_clip, tmp_path, degrees):
    path = make_clip("in.mp4", frames=2, size=(96, 64), rotation=degrees)
    output = tmp_path / "out.mp4"
    copy(path, output)
    (before, _), (after, result) = read(path), read(output)
    assert result.clip.orientation == (False, False, False)
    assert psnr(before[0].image, after[0].image) >= 26  # below 15 if turned wrongly
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_sound_chapters_and_metadata_are_carried_over(make_clip, tmp_path):
    facts = {"title": "A walk", "artist": "Me", "my_own_tag": "kept"}
    path = make_clip(
        "in.mkv",
        frames=12,
        audio="aac",
        chapters=True,
        metadata=facts,
        time_base=Fraction(1, 1000),
        ticks=[i * 40 for i in range(12)],
    )
    for suffix in (".mkv", ".mp4"):
        output = tmp_path / f"out{suffix}"
        sink = copy(path, output)
        assert sink.result.audio == ["copied"]
        assert [data for _, data in packets(output, "audio")] == [
            data for _, data in packets(path, "audio")
        ]
        with av.open(str(output)) as container:
            chapters = container.chapters()
            assert [c["metadata"]["title"] for c in chapters] == ["One", "Two"]
            assert [c["start"] * c["time_base"] for c in chapters] == [0, Fraction(1, 5)]
            found = {key.lower(): value for key, value in container.metadata.items()}
            assert {key: found.get(key) for key in facts} == facts


def test_the_track_of_chapter_names_is_no_lost_stream(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=12, chapters=True)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    sink = copy(path, tmp_path / "out.mp4")
    assert not sink.notes
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["One", "Two"]


def test_audio_times_are_identical_in_mp4(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=25, audio="aac")
    copy(path, tmp_path / "out.mp4")
    assert packets(path, "audio") == packets(tmp_path / "out.mp4", "audio")


def test_sound_that_does_not_fit_is_transcoded_and_said(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=25, audio="aac")
    sink = copy(path, tmp_path / "out.webm")
    assert sink.result.audio == ["transcoded"]
    assert any("transcoded to libopus" in note for note in sink.notes)
    with av.open(str(tmp_path / "out.webm")) as container:
        samples = [frame.to_ndarray() for frame in container.decode(audio=0)]
    assert sum(block.shape[1] for block in samples) >= 48_000
    assert np.abs(np.concatenate(samples, axis=1)).max() > 0.1


def add_subtitles(path, output):
    """The clip with a SubRip stream, a font and a second sound stream, in Matroska."""
    with av.open(str(path)) as source, av.open(str(output), "w") as target:
        copies = {s.index: target.add_stream_from_template(s, opaque=True) for s in source.streams}
        text = target.add_mux_stream("subrip")
        text.time_base = Fraction(1, 1000)
        text.metadata["language"] = "eng"
        target.add_attachment("font.ttf", "application/x-truetype-font", b"no real font")
        target.start_encoding()
        for number, words in enumerate((b"Hello", b"World")):
            packet = av.Packet(words)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 200 * number
            packet.duration = 150
            target.mux_one(packet)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux_one(packet)
    return output


def test_subtitles_and_attachments(make_clip, tmp_path):
    path = add_subtitles(make_clip("in.mp4", frames=25, audio="aac"), tmp_path / "in.mkv")
    sink = copy(path, tmp_path / "out.mkv")
    assert not sink.notes
    with av.open(str(tmp_path / "out.mkv")) as container:
        kinds = [stream.type for stream in container.streams]
        assert sorted(kinds) == ["attachment", "audio", "subtitle", "video"]
        assert container.streams.subtitles[0].metadata["language"] == "eng"
    assert [d for _, d in packets(tmp_path / "out.mkv", "subtitles")] == [b"Hello", b"World"]
    sink = copy(path, tmp_path / "out.webm")
    assert any("attachment" in note for note in sink.notes)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mov_text"), (".webm", "webvtt")])
def test_subtitles_are_rewritten_where_the_container_knows_another_kind(
    make_clip, tmp_path, suffix, codec
):
    path = add_subtitles(make_clip("in.mp4", frames=25), tmp_path / "in.mkv")
    output = tmp_path / f"out{suffix}"
    sink = copy(path, output)
    assert any(f"rewritten as {codec}" in note for note in sink.notes)
    texts = [(float(time), data) for time, data in packets(output, "subtitles") if len(data) > 2]
    assert [time for time, _ in texts] == [0.0, 0.2]
    assert all(word in data for word, (_, data) in zip((b"Hello", b"World"), texts, strict=True))
    with av.open(str(output)) as container:
        assert container.streams.subtitles[0].codec_context.name == codec
        assert container.streams.subtitles[0].metadata["language"] == "eng"


def write_some(tmp_path, count, name="out.mp4", **options):
    source = SyntheticSource("synthetic:64x48", num_frames=40)
    sink = open_sink(tmp_path / name, source.info, segment=5, **options)
    for frame in source:
        if frame.index == count:
            break
        if frame.index >= sink.frames:
            sink.write(frame)
    return sink


def test_an_aborted_clip_is_playable_and_can_be_continued(tmp_path):
    whole = write_some(tmp_path, 40, "whole.mp4")
    whole.close()
    expected = [frame.image.tobytes() for frame in read(tmp_path / "whole.mp4")[0]]
    sink = write_some(tmp_path, 17)
    sink.abort()
    sink.abort()
    assert len(read(tmp_path / "out.mp4")[0]) == 17
    with pytest.raises(OutputExists, match=r"unfinished.*--resume"):
        write_some(tmp_path, 40)
    # The short segment is made again, so that the result does not depend on the interruption.
    sink = write_some(tmp_path, 40, resume=True)
    assert sink.resumed is not None
    sink.close()
    assert [frame.image.tobytes() for frame in read(tmp_path / "out.mp4")[0]] == expected
    assert not Journal.folder_for(tmp_path / "out.mp4").exists()


def test_nothing_is_left_of_a_clip_without_frames(tmp_path):
    sink = write_some(tmp_path, 0)
    with pytest.raises(SinkError, match="no frame"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_existing_outputs_are_safe(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists):
        write_some(tmp_path, 1)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="folder"):
        write_some(tmp_path, 1, "folder.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"


def test_resuming_with_another_quality_is_refused(tmp_path):
    write_some(tmp_path, 12).abort()
    with pytest.raises(UsageError, match="quality was 9, is 20"):
        write_some(tmp_path, 40, resume=True, quality=20)


class FullDisk(io.FileIO):
    """A file on a disk with room for `room` bytes."""

    room = 3000

    def write(self, data):
        FullDisk.room -= len(data)
        if FullDisk.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_loses_only_the_open_segment(tmp_path, monkeypatch):
    monkeypatch.setattr(FullDisk, "room", 3000)
    monkeypatch.setattr(journals, "open_for_writing", lambda path: FullDisk(path, "wb"))
    with pytest.raises(SinkError, match=r"No space left.*--resume"):
        write_some(tmp_path, 40)
    # The sink is gone as after a crash; once there is room again the run goes on.
    import gc

    gc.collect()
    monkeypatch.undo()
    sink = write_some(tmp_path, 40, resume=True)
    assert 0 < sink.resumed[0] + 1 < 40
    sink.close()
    assert len(read(tmp_path / "out.mp4")[0]) == 40


def test_frames_of_another_size_are_refused(tmp_path):
    sink = write_some(tmp_path, 1)
    with pytest.raises(ValueError, match="opened for"):
        sink.write(Frame(np.zeros((10, 10, 3), np.uint8), Fraction(1), 1))
    sink.abort()


def test_frames_closer_than_the_clock_are_both_kept(tmp_path):
    info = SourceInfo("x", 32, 32, Fraction(30))
    sink = open_sink(tmp_path / "out.mkv", info)
    for index, time in enumerate((0, 1, Fraction(10001, 10000), 2)):
        sink.write(Frame(np.full((32, 32, 3), 9, np.uint8), Fraction(time), index))
    sink.close()
    assert [frame.time for frame in read(tmp_path / "out.mkv")[0]] == [
        0,
        1,
        Fraction(1001, 1000),
        2,
    ]


def test_live_frames_keep_their_own_times(tmp_path):
    info = SourceInfo("camera", 32, 32, Fraction(30), live=True)
    times = [Fraction(k * 33_367 + 17 * k * k, 1_000_000) for k in range(8)]
    sink = open_sink(tmp_path / "out.mp4", info)
    for index, time in enumerate(times):
        sink.write(Frame(np.full((32, 32, 3), 9, np.uint8), time, index))
    sink.close()
    for frame, time in zip(read(tmp_path / "out.mp4")[0], times, strict=True):
        assert abs(frame.time - time) <= Fraction(1, 180_000)


def test_gif(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=10)
    sink = copy(path, tmp_path / "out.gif")
    assert sink.result.frames == 10
    frames, source = read(tmp_path / "out.gif")
    assert [frame.time for frame in frames] == [i * Fraction(1, 25) for i in range(10)]
    assert psnr(read(path)[0][4].image, frames[4].image) > 20
    assert source.info.width == 64


def test_hardware_encoders_that_do_not_work_are_not_taken(tmp_path):
    source = SyntheticSource("synthetic:64x48", num_frames=2)
    sink = open_sink(tmp_path / "out.mp4", replace(source.info), encoder="hardware")
    for frame in source:
        sink.write(frame)
    sink.close()
    assert len(read(tmp_path / "out.mp4")[0]) == 2


def test_a_full_disk_while_joining_keeps_all_segments(tmp_path, monkeypatch):
    sink = write_some(tmp_path, 40)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(muxing, "count_pictures", full)
    with pytest.raises(SinkError, match=r"disk is full.*painted frames are safe.*--resume"):
        sink.close()
    sink.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.parts"]
    monkeypatch.undo()
    again = write_some(tmp_path, 40, resume=True)
    assert again.frames == 40
    again.close()
    assert len(read(tmp_path / "out.mp4")[0]) == 40


def test_a_file_that_lacks_frames_is_never_renamed(tmp_path, monkeypatch):
    sink = write_some(tmp_path, 12)
    monkeypatch.setattr(muxing, "count_pictures", lambda path: 11)
    with pytest.raises(SinkError, match="12 frames went in, 11"):
        sink.close()
    assert not (tmp_path / "out.mp4").exists()


def test_an_output_that_appears_meanwhile_is_left_alone(tmp_path):
    sink = write_some(tmp_path, 12)
    (tmp_path / "out.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists, match=r"12 painted frames are safe.*--resume"):
        sink.close()
    sink.abort()
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"
    with pytest.raises(OutputExists):
        write_some(tmp_path, 40, resume=True)
    (tmp_path / "out.mp4").unlink()
    write_some(tmp_path, 40, resume=True).close()
    assert len(read(tmp_path / "out.mp4")[0]) == 40


def test_links_in_the_way_are_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    for name in ("out.mp4.part.mp4", "out.mp4.parts"):
        (tmp_path / name).symlink_to(precious)
        if name.endswith(".parts"):
            with pytest.raises((UsageError, SinkError)):
                write_some(tmp_path, 12)
        else:
            write_some(tmp_path, 12).close()
            (tmp_path / "out.mp4").unlink()
    folder = Journal.folder_for(tmp_path / "other.mp4")
    folder.mkdir()
    (folder / "lock").symlink_to(precious)
    with pytest.raises(UsageError, match="cannot write"):
        write_some(tmp_path, 12, "other.mp4")
    assert precious.read_bytes() == b"precious"


def test_killed_while_cleaning_up(tmp_path):
    write_some(tmp_path, 12).close()
    whole = (tmp_path / "out.mp4").read_bytes()
    # As after a kill between the listing and the segments.
    folder = Journal.folder_for(tmp_path / "out.mp4")
    folder.mkdir()
    (folder / "00000.seg").write_bytes(b"rest")
    (folder / ".impasto-x.part.mp4").write_bytes(b"rest")
    assert not Journal.is_unfinished(tmp_path / "out.mp4")
    (tmp_path / "out.mp4").unlink()
    write_some(tmp_path, 12, resume=True).close()
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert not folder.exists()


def test_killed_between_naming_the_output_and_cleaning_up(tmp_path, monkeypatch):
    sink = write_some(tmp_path, 12)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", Journal.close)
        sink.close()
    whole = (tmp_path / "out.mp4").read_bytes()
    write_some(tmp_path, 12, resume=True).close()
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert not Journal.folder_for(tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["x" * 250 + ".mp4", "ä" * 124 + ".mp4", "a:b.mp4"])
def test_long_names_and_names_with_colons(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    sink = open_sink(name, SourceInfo("x", 64, 48, Fraction(25)), segment=5)
    for frame in SyntheticSource("synthetic:64x48", num_frames=7):
        sink.write(frame)
    sink.abort()
    assert (tmp_path / name).is_file()
    assert Journal.is_unfinished(tmp_path / name)
