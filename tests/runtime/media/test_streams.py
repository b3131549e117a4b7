"""Streams beside the picture: carried, else rewritten, else left out, never at the clip's expense.

Clips are made by the ffmpeg command, which is not ours; without it these tests are skipped.
"""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from runtime.errors import UsageError
from runtime.media import streams
from runtime.sinks import open_sink
from runtime.sources import open_source

PICTURES = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2"]
SOUND = ["-f", "lavfi", "-i", "sine=d=2"]


@pytest.fixture
def ffmpeg(tmp_path):
    """`ffmpeg("out.mp4", *options)`: a clip of two seconds with a tone."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")

    def make(name, *options, inputs=(*PICTURES, *SOUND)):
        path = tmp_path / name
        command = ["ffmpeg", "-v", "error", "-y", *inputs, *options, str(path)]
        subprocess.run([str(word) for word in command], check=True, timeout=60)
        return path

    return make


def copy(path, output, **options):
    """Every frame of a clip into a sink; (sink, damage)."""
    with open_source(path) as source:
        sink = open_sink(output, source.info, clip=source.clip, **options)
        for frame in source:
            sink.write(frame)
        sink.close()
        return sink, dict(source.damage)


def count(path, kind="video"):
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return sum(1 for _ in container.decode(stream))


def span(path, kind):
    """(start, end) in seconds of what a player plays of a stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        frames = [
            (f.pts * f.time_base, f.samples / Fraction(f.sample_rate) if kind == "audio" else 0)
            for f in container.decode(stream)
            if f.pts is not None
        ]
    return float(frames[0][0]), float(frames[-1][0] + frames[-1][1])


X264 = ["-c:v", "libx264", "-preset", "ultrafast"]
STRANGE = {
    "wma.asf": [*X264, "-c:a", "wmav2"],
    "u8.avi": ["-c:v", "mpeg4", "-c:a", "pcm_u8"],
    "adpcm.avi": ["-c:v", "mpeg4", "-c:a", "adpcm_ms"],
    "tta.mkv": [*X264, "-c:a", "tta"],
    "side.mkv": [*X264, "-af", "aformat=channel_layouts=5.1(side)", "-c:a", "ac3"],
    "pcm.mxf": ["-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"],
    "pcm.avi": ["-c:v", "mpeg4", "-c:a", "pcm_s16le"],
    "vorbis.mkv": [*X264, "-c:a", "libvorbis"],
    "mp2.mpg": ["-c:v", "mpeg2video", "-c:a", "mp2"],
}
KEPT = {("side.mkv", ".mp4"), ("side.mkv", ".mkv"), ("vorbis.mkv", ".webm"), ("vorbis.mkv", ".mkv")}
KEPT |= {(name, ".mkv") for name in ("pcm.mxf", "pcm.avi", "u8.avi", "mp2.mpg")}
KEPT |= {("pcm.avi", ".mov"), ("pcm.mxf", ".mov"), ("side.mkv", ".mov")}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
@pytest.mark.parametrize("name", STRANGE)
def test_sound_that_does_not_fit_is_transcoded_in_one_line(ffmpeg, tmp_path, name, suffix):
    path = ffmpeg(name, *STRANGE[name])
    sink, damage = copy(path, tmp_path / f"out{suffix}", preset="ultrafast")
    assert not damage
    assert count(tmp_path / f"out{suffix}") == count(path) == sink.frames == 50
    assert not sink.result.failed
    changed = [note for note in sink.notes if "is transcoded to" in note]
    assert len(changed) == ((name, suffix) not in KEPT)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        codec = container.streams.audio[0].codec_context.name
        frames = list(container.decode(audio=0))
    expected = {".mp4": "aac", ".mov": "aac", ".webm": "opus", ".mkv": "flac"}[suffix]
    assert not changed or codec == expected
    assert np.abs(frames[len(frames) // 2].to_ndarray().astype(float)).max() > 0.05
    start, end = span(path, "audio")
    found = span(tmp_path / f"out{suffix}", "audio")
    # A frame of AAC and one of WMA, whose last frame has no time and is not counted before.
    assert abs((found[1] - found[0]) - (end - start)) < 0.08


@pytest.mark.parametrize("code", ["01:02:03:04", "01:02:03;04"])
def test_timecodes(ffmpeg, tmp_path, code):
    path = ffmpeg("in.mov", *X264, "-r", "30000/1001", "-c:a", "aac", "-timecode", code)
    for suffix in (".mov", ".mp4", ".mkv"):
        sink, _ = copy(path, tmp_path / f"out{suffix}")
        assert not sink.notes
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            found = {**container.metadata, **container.streams.video[0].metadata}
        assert {key.lower(): value for key, value in found.items()}["timecode"] == code


@pytest.fixture
def cover(ffmpeg):
    return ffmpeg(
        "cover.jpg", "-frames:v", "1", inputs=["-f", "lavfi", "-i", "testsrc2=s=64x64:r=1:d=1"]
    )


def covers(path):
    """The bytes of all attached pictures."""
    with av.open(str(path)) as container:
        found = [s for s in container.streams.video if int(s.disposition) & streams.ATTACHED_PIC]
        return [next(bytes(p) for p in container.demux(s) if p.size) for s in found]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_cover_pictures_are_kept(ffmpeg, tmp_path, cover, kind, suffix):
    clip = ffmpeg("clip.mp4", *X264, "-c:a", "aac")
    how = {
        "mp4": ["-i", cover, "-map", "0", "-map", "1", "-disposition:v:1", "attached_pic"],
        "mkv": ["-attach", cover, "-metadata:s:t", "mimetype=image/jpeg"],
    }[kind]
    path = ffmpeg(f"in.{kind}", *how, "-c", "copy", inputs=["-i", clip])
    sink, damage = copy(path, tmp_path / f"out{suffix}")
    assert not damage
    assert not sink.result.notes
    if suffix in (".mov", ".webm"):
        assert any("cover picture stream 2 is left out" in note for note in sink.notes)
        assert covers(tmp_path / f"out{suffix}") == []
        return
    assert covers(tmp_path / f"out{suffix}") == [cover.read_bytes()] == covers(path)


@pytest.mark.parametrize("name", ["song.mp3", "song.m4a"])
def test_the_cover_of_a_song_is_painted_and_shown_as_long_as_it_plays(
    ffmpeg, tmp_path, cover, name
):
    path = ffmpeg(
        name,
        *["-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"],
        inputs=[*SOUND, "-i", cover],
    )
    for suffix in (".mp4", ".mkv"):
        sink, damage = copy(path, tmp_path / f"out{suffix}")
        assert (sink.frames, damage) == (1, {})
        assert covers(tmp_path / f"out{suffix}") == []
        assert span(tmp_path / f"out{suffix}", "audio")[1] == pytest.approx(2, abs=0.06)
        with open_source(tmp_path / f"out{suffix}") as source:
            assert float(next(iter(source)).time) < 0.03  # the decoder's delay of MP3


def test_strict_refuses_before_the_first_frame(ffmpeg, tmp_path, cover):
    clip = ffmpeg("clip.mp4", *X264, "-c:a", "aac")
    how = ["-i", cover, "-map", "0", "-map", "1", "-disposition:v:1", "attached_pic", "-c", "copy"]
    path = ffmpeg("in.mp4", *how, inputs=["-i", clip])
    with (
        open_source(path) as source,
        pytest.raises(UsageError, match=r"cover picture stream 2 is left out.*--strict"),
    ):
        open_sink(tmp_path / "out.webm", source.info, clip=source.clip, strict=True)
    assert not (tmp_path / "out.webm.parts").exists()


def test_a_stream_that_fails_late_is_transcoded_before_it_is_left_out(
    make_clip, tmp_path, monkeypatch
):
    path = make_clip("in.mp4", frames=25, audio="aac")
    adopt = streams.Carrier._adopt

    def failing(self, packet, output_stream, last):
        if self.copied[packet.stream.index] > streams.TRIED_PACKETS + 4:
            raise streams.CarryError(packet.stream.index, "no more of it")
        return adopt(self, packet, output_stream, last)

    monkeypatch.setattr(streams.Carrier, "_adopt", failing)
    sink, _ = copy(path, tmp_path / "out.mp4")
    assert any("is transcoded to aac (no more of it)" in note for note in sink.result.notes)
    assert not sink.result.failed
    assert count(tmp_path / "out.mp4") == 25
    assert count(tmp_path / "out.mp4", "audio") > 40


def test_sound_that_begins_before_the_pictures_moves_none_of_them(ffmpeg, tmp_path):
    """Vorbis warms up for 3 ms before 0; what Matroska cannot say must not cost the pictures."""
    for name, sound in (("in.ogv", "libvorbis"), ("in.mkv", "libopus"), ("trim.mp4", "aac")):
        codec = ["-c:v", "libtheora"] if name.endswith("ogv") else [*X264, "-bf", "2"]
        path = ffmpeg(name, *codec, "-c:a", sound)
        if name == "trim.mp4":
            path = ffmpeg("cut.mp4", "-c", "copy", inputs=["-ss", "0.7", "-i", str(path)])
        sink, _ = copy(path, tmp_path / "out.mkv", preset="ultrafast", verify=True, overwrite=True)
        assert any("verified" in note for note in sink.result.notes)
        with av.open(str(tmp_path / "out.mkv")) as container:
            first = next(container.decode(audio=0))
            assert -0.01 <= first.pts * first.time_base < 0.03


def test_times_of_h264_in_mxf_are_sorted(ffmpeg):
    """It stores the times of decoding only."""
    path = ffmpeg("in.mxf", *X264, "-bf", "2", "-g", "12", "-c:a", "pcm_s16le", "-ar", "48000")
    with open_source(path) as source:
        times = [frame.time for frame in source]
        assert not source.damage
    assert times == [Fraction(n, 25) for n in range(50)]


def test_pictures_that_are_stored_upside_down(ffmpeg):
    path = ffmpeg(
        "in.amv",
        *("-c:v", "amv", "-s", "160x112", "-r", "25", "-c:a", "adpcm_ima_amv", "-ar", "22050"),
        *("-ac", "1", "-block_size", "882"),
    )
    with open_source(path) as source:
        image = next(iter(source)).image
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        luma = frame.reformat(format="gray").to_ndarray()  # FFmpeg turns it upright as well
    gray = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray - luma).mean() < 2
    assert np.abs(gray[::-1] - luma).mean() > 20


def test_what_a_track_is_called(ffmpeg, tmp_path):
    """A title in Matroska, a handler's name in mp4; "SoundHandler" is no name."""
    path = ffmpeg("in.mkv", *X264, "-c:a", "aac", "-metadata:s:a:0", "title=Commentary")
    copy(path, tmp_path / "a.mp4", preset="ultrafast")
    copy(tmp_path / "a.mp4", tmp_path / "b.mkv", preset="ultrafast")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.audio[0].metadata["handler_name"] == "Commentary"
    with av.open(str(tmp_path / "b.mkv")) as container:
        tags = {key.lower(): value for key, value in container.streams.audio[0].metadata.items()}
        assert tags["title"] == "Commentary"
    copy(ffmpeg("plain.mp4", *X264, "-c:a", "aac"), tmp_path / "c.mkv", preset="ultrafast")
    with av.open(str(tmp_path / "c.mkv")) as container:
        assert "title" not in {key.lower() for key in container.streams.audio[0].metadata}
