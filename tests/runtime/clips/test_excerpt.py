"""A part of a clip: the frames, the sound and the chapters that a cutter would expect."""

import hashlib
from fractions import Fraction

import av
import numpy as np
import pytest

from runtime import video
from runtime.clips.batch import Job
from runtime.clips.excerpt import Excerpt, Span, open_excerpt, parse_time
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import SourceError, UsageError
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.sinks.file import FileSink
from runtime.sources import open_source

RATE = 25


@pytest.fixture
def stylizer(identity_model):
    with open_stylizer(StylizeOptions([(str(identity_model), 1.0)], device="cpu")) as opened:
        yield opened


def paint(stylizer, source, output, span, **options):
    sink = {"preset": "ultrafast", "verify": True, **options.pop("sink", {})}
    given = ClipOptions(sink=sink, span=span, **options)
    return paint_clip(Job(str(source), str(output)), stylizer, given, Meter())


def read(path, **options):
    with open_source(path, **options) as source:
        return list(source)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.5", "12.5"), ("0", "0"), ("1:30", "90"), ("1:02:03.5", "3723.5"), ("10:00:00", "36000")],
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == Fraction(seconds)


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "ten", "1e3", "1:", ":5"])
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_time(text)


@pytest.mark.parametrize("span", [(2, 2), (3, 1)])
def test_an_end_before_the_start(span):
    with pytest.raises(UsageError, match="not behind"):
        Span(Fraction(span[0]), Fraction(span[1]))


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi", "in.ts"])
@pytest.mark.parametrize("seek", [True, False])
def test_a_part_has_the_same_pictures_from_zero(make_clip, name, seek):
    clock = {} if name.endswith(".mp4") else {"time_base": Fraction(1, 25), "ticks": [*range(50)]}
    codec = "mpeg4" if name.endswith(".avi") else "libx264"
    path = make_clip(name, frames=50, codec=codec, options={"g": "10"}, **clock)
    whole = read(path)
    start = whole[17].time
    span = Span(start - Fraction(1, 1000), start + Fraction(6, RATE))
    with open_excerpt(str(path), span, seek=seek) as source:
        part = list(source)
    inside = [f for f in whole if span.start <= f.time < span.end]
    assert len(part) == len(inside) == 6
    assert [f.index for f in part] == list(range(6))
    assert [f.time for f in part] == [f.time - start for f in inside]
    for found, wanted in zip(part, inside, strict=True):
        np.testing.assert_array_equal(found.image, wanted.image)
    # And behind a frame of it, as a resumed run begins.
    assert isinstance(source, Excerpt)
    after = (part[2].index, part[2].time)
    rest = list(Excerpt(str(path), span, {"after": after, "seek": seek}, source.begins))
    assert [(f.index, f.time) for f in rest] == [(f.index, f.time) for f in part[3:]]
    np.testing.assert_array_equal(rest[0].image, part[3].image)


def test_a_number_of_frames_and_what_is_not_there(make_clip, tmp_path):
    path = make_clip("in.mp4", frames=10)
    with open_excerpt(str(path), Span(frames=3)) as source:
        assert source.info.num_frames == 3
        assert len(list(source)) == 3
    with pytest.raises(SourceError, match=r"at or after 9 s: it ends at 0\.40 s"):
        open_excerpt(str(path), Span(Fraction(9)))
    with open_excerpt("synthetic:32x32@25x20", Span(Fraction(1, 5), frames=4)) as source:
        assert [f.time for f in source] == [Fraction(n, 25) for n in range(4)]


def test_pictures_from_a_time_on(make_clip, tmp_path, stylizer):
    path = make_clip("in.mp4", frames=12)
    paint(stylizer, path, tmp_path / "p" / "%03d.png", Span())
    spec = str(tmp_path / "p" / "%03d.png")
    with open_excerpt(spec, Span(Fraction(4, 25), Fraction(8, 25))) as source:
        assert [f.time for f in source] == [Fraction(n, 25) for n in range(4)]


def tone_at(path, second):
    """Frequency that dominates a tenth of a second of a file's sound, in Hz."""
    with av.open(str(path)) as container:
        frames = [(f.time, f.to_ndarray()[0]) for f in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    start = frames[0][0]
    samples = np.concatenate([data for _, data in frames]).astype(float)
    at = round((second - start) * rate)
    piece = samples[at : at + rate // 10]
    return np.argmax(np.abs(np.fft.rfft(piece * np.hanning(len(piece))))) * rate / len(piece)


def rising_clip(path):
    """Four seconds at 25 frames per second; the tone rises by 500 Hz each second. Chapters of one
    second each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48_000)
        sound.codec_context.layout = "mono"
        container.set_chapters(
            [
                {"id": n, "start": n, "end": n + 1, "time_base": Fraction(1), "metadata": {}}
                for n in range(4)
            ]
        )
        seconds = np.arange(4 * 48_000) / 48_000
        hertz = 500 * (1 + np.floor(seconds))
        tone = (8000 * np.sin(2 * np.pi * np.cumsum(hertz) / 48_000)).astype(np.int16)
        for number in range(4 * RATE):
            picture = np.full((48, 64, 3), 2 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            for part in range(number * 1920, (number + 1) * 1920, 960):
                frame = av.AudioFrame.from_ndarray(tone[None, part : part + 960], "s16", "mono")
                frame.sample_rate, frame.pts = 48_000, part
                container.mux(sound.encode(frame))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_sound_and_chapters_come_from_the_same_part(stylizer, tmp_path, suffix):
    path = rising_clip(tmp_path / "in.mp4")
    output = tmp_path / f"out{suffix}"
    outcome = paint(stylizer, path, output, Span(Fraction(3, 2), Fraction(5, 2)))
    assert outcome.facts["frames_out"] == RATE
    assert any("verified: 25 pictures" in note for note in outcome.notes)
    # Second 1.5 to 2.5 of the original: 1000 Hz, and from half on 1500 Hz.
    assert [round(tone_at(output, at), -1) for at in (0.1, 0.3, 0.6, 0.8)] == [
        1000,
        1000,
        1500,
        1500,
    ]
    with av.open(str(output)) as container:
        sound = container.streams.audio[0]
        times = [f.time for f in container.decode(sound)]
        assert -0.03 < times[0] < 0.03
        assert 0.95 < times[-1] + 0.02 < 1.05
        marks = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
    # The first frame at or after 1.5 s is the one at 1.52 s.
    assert marks == [(0, 0.48), (0.48, 0.98)]


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_the_timecode_is_that_of_the_first_frame(stylizer, make_clip, tmp_path, suffix):
    path = make_clip("in.mov", frames=50, metadata={"timecode": "01:02:03:04"})
    output = tmp_path / f"out{suffix}"
    paint(stylizer, path, output, Span(Fraction(1)))
    with av.open(str(output)) as container:
        found = {**container.metadata, **container.streams.video[0].metadata}
    assert {k.lower(): v for k, v in found.items()}["timecode"] == "01:02:04:04"


class Killed(BaseException):
    pass


def test_a_part_resumes_as_a_whole_clip_does(stylizer, make_clip, tmp_path, monkeypatch):
    path = make_clip("in.mp4", frames=60, options={"bf": "2"})
    span = Span(Fraction(1, 2), Fraction(2))
    sink = {"segment": 8}
    paint(stylizer, path, tmp_path / "whole.mp4", span, sink=sink)
    write, journals = FileSink.write, []

    def dying(self, frame):
        if self.frames >= 20:
            journals.append(self.journal)
            raise Killed
        write(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "write", dying)
        patch.setattr(FileSink, "abort", lambda self: None)
        with pytest.raises(Killed):
            paint(stylizer, path, tmp_path / "out.mp4", span, sink=sink)
    journals[0].close()
    with pytest.raises(UsageError, match="span was"):
        paint(stylizer, path, tmp_path / "out.mp4", Span(), sink=sink, resume=True)
    facts = paint(stylizer, path, tmp_path / "out.mp4", span, sink=sink, resume=True).facts
    assert facts["resumed_frames"] == 16
    hashes = [
        [hashlib.md5(f.image.tobytes()).digest() for f in read(tmp_path / name)]
        for name in ("whole.mp4", "out.mp4")
    ]
    assert hashes[0] == hashes[1]


def test_flags_of_the_command(identity_model, make_clip, tmp_path, capsys):
    path = make_clip("in.mp4", frames=50)
    common = ["--model", str(identity_model), "--device", "cpu", "--stabilizer", "off", str(path)]
    output = str(tmp_path / "out.mp4")
    assert video.main([*common, output, "--start", "0:01", "--end", "1.2", "--verify"]) == 0
    assert "verified: 5 pictures" in capsys.readouterr().err
    assert video.main([*common, output, "--overwrite", "--frames", "2"]) == 0
    assert len(read(output)) == 2
    assert video.main([*common, output, "--overwrite", "--start", "2", "--end", "1"]) == 2
    assert video.main([*common, output, "--overwrite", "--start", "7"]) == 2
    assert "at or after 7 s" in capsys.readouterr().err
