"""Timelines: whatever the clock of a file says, its clip begins at 0 and goes on without jumps.

Clips are made and measured by the ffmpeg command, which is not ours; without it these tests are
skipped.
"""

import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from runtime.media.timeline import BACKWARD, Timeline
from runtime.sinks import open_sink
from runtime.sources import open_source

TONE = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2"]
CODED = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-c:a", "aac"]


@pytest.fixture
def ffmpeg(tmp_path):
    """`ffmpeg("out.ts", *options)`: a clip of two seconds with a tone."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")

    def make(name, *options, inputs=(*TONE, *CODED)):
        path = tmp_path / name
        command = ["ffmpeg", "-v", "error", "-y", *inputs, *options, str(path)]
        subprocess.run([str(word) for word in command], check=True, timeout=60)
        return path

    return make


def copy(path, output):
    with open_source(path) as source:
        sink = open_sink(output, source.info, clip=source.clip)
        for frame in source:
            sink.write(frame)
        sink.close()
        return sink, dict(source.damage), source.remarks


def shown(path, kind="video"):
    """Times in seconds of what a player shows of the first such stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [frame.pts * frame.time_base for frame in container.decode(stream)]


STARTS = {
    "at once": [],
    "late": ["-output_ts_offset", "50000"],
    "wrapping": ["-output_ts_offset", "95442.7"],  # the clock of MPEG-TS has 33 bits
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("start", STARTS)
def test_a_clip_begins_at_0_wherever_its_clock_does(ffmpeg, tmp_path, start, suffix):
    path = ffmpeg("in.ts", *STARTS[start])
    output = tmp_path / f"out{suffix}"
    _, damage, _ = copy(path, output)
    assert not damage
    times = shown(output)
    assert len(times) == 50
    assert float(times[0]) == pytest.approx(0.04, abs=0.041)
    assert float(times[-1] - times[0]) == pytest.approx(49 / 25, abs=0.002)
    with av.open(str(output)) as container:
        assert container.duration / 1e6 < 2.2
    # Sound and pictures keep their distance.
    before = shown(path)[0] - shown(path, "audio")[0]
    after = times[0] - shown(output, "audio")[0]
    assert abs(before - after) < Fraction(2, 1000)


def test_two_recordings_one_after_the_other(ffmpeg, tmp_path):
    one = ffmpeg("one.ts").read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    sink, damage, remarks = copy(tmp_path / "two.ts", tmp_path / "out.mp4")
    assert "repaired times" not in damage
    assert any("jumps 1 times" in remark for remark in remarks)
    assert not sink.result.notes
    times, sound = shown(tmp_path / "out.mp4"), shown(tmp_path / "out.mp4", "audio")
    assert len(times) == 100
    assert float(times[-1]) == pytest.approx(4, abs=0.15)
    assert float(sound[-1]) == pytest.approx(4, abs=0.15)
    steps = {round(float(b - a), 3) for a, b in pairwise(times)}
    assert min(steps) == 0.04
    # Both halves have their sound as far from their pictures as the original.
    with av.open(str(tmp_path / "two.ts")) as container:
        packets = sum(p.size > 0 for p in container.demux(audio=0))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(p.size > 0 for p in container.demux(audio=0)) == packets


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_an_edit_list_hides_stays_hidden(ffmpeg, tmp_path, suffix):
    whole = ffmpeg("whole.mp4", "-bf", "2", "-g", "250")
    path = ffmpeg("trim.mp4", "-c", "copy", inputs=["-ss", "0.8", "-i", whole])
    output = tmp_path / f"out{suffix}"
    _, damage, _ = copy(path, output)
    assert not damage
    times = shown(output)
    # Where a packet of sound lies across the start, Matroska begins with it.
    assert 0 <= times[0] < (0.03 if suffix == ".mkv" else 0.001)
    assert [float(t - times[0]) for t in times] == pytest.approx(
        [float(t) for t in shown(path)], abs=0.001
    )
    assert float(shown(output, "audio")[-1]) == pytest.approx(
        float(shown(path, "audio")[-1]), abs=0.03
    )
    assert float(shown(output, "audio")[0]) < 0.03


def test_a_recording_that_begins_between_key_frames(ffmpeg, tmp_path):
    data = ffmpeg("in.ts").read_bytes()
    path = tmp_path / "cut.ts"
    # From the tables on (one packet each), without the first key frame.
    path.write_bytes(data[: 3 * 188] + data[40 * 188 :])
    ours = tmp_path / "out.mp4"
    _, damage, remarks = copy(path, ours)
    assert damage.get("concealed", 0) == 0
    assert any("begins between key frames" in remark for remark in remarks)
    reference = subprocess.run(
        f"ffmpeg -v quiet -i {path} -map 0:v -fps_mode passthrough -f framemd5 -".split(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert len(shown(ours)) == sum(not line.startswith("#") for line in reference.splitlines())


def test_offsets_are_found_by_the_place_in_the_file():
    timeline = Timeline(Fraction(1), {0: [(0, Fraction(0)), (100, Fraction(5))]})
    assert timeline.seconds(0, None) == timeline.seconds(0, 99) == -1
    assert timeline.seconds(0, 100) == timeline.seconds(0, 1000) == 4
    assert timeline.seconds(7, 1000) == -1
    assert timeline.jumps == 1
    assert Fraction(0) < BACKWARD < 1
