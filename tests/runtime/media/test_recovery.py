"""Recordings that were cut off come back: by name, and by the next start."""

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from waiting import wait_for

from runtime.errors import OutputExists, SinkError, UsageError
from runtime.frame import Frame
from runtime.live.recorder import live_clip
from runtime.media.journal import LISTING, Journal
from runtime.media.recovery import recover, recover_all
from runtime.sinks.file import SEGMENT_FRAMES, FileSink
from runtime.sources import SourceInfo
from runtime.video import main as video

SIZE = (48, 64)
SEGMENT = 4


def record(path, frames=10, rate=30, segment=SEGMENT):
    """A recording that is left as a kill leaves it: closed segments, nothing joined."""
    info = SourceInfo("camera", SIZE[1], SIZE[0], Fraction(rate), live=True)
    sink = FileSink(path, info, clip=live_clip(), segment=segment)
    for index in range(frames):
        image = np.full((*SIZE, 3), 20 * index % 256, np.uint8)
        sink.write(Frame(image, Fraction(index, rate), index))
    sink.journal.close()
    return sink


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_what_was_stored_is_there_again(tmp_path, suffix):
    path = tmp_path / f"take{suffix}"
    record(path)
    assert not path.exists()
    assert recover(path).frames == 2 * SEGMENT
    assert path.is_file() and not Journal.folder_for(path).exists()


def test_the_command(tmp_path, capsys):
    path = tmp_path / "take.mp4"
    record(path)
    with pytest.raises(SystemExit) as ended:
        video(["--recover", str(path)])
    assert ended.value.code == 0
    assert f"{path}: 8 frames" in capsys.readouterr().err
    assert video(["--recover", str(path)]) == 2
    assert "nothing unfinished" in capsys.readouterr().err


def test_only_recordings_of_this_name(tmp_path):
    for name in ("take.mp4", "take-2.mp4", "other.mp4", "take-two.mp4"):
        record(tmp_path / name)
    lines = recover_all(tmp_path / "take.mp4")
    assert len(lines) == 2 and all("its first 8 frames are there again" in line for line in lines)
    assert (tmp_path / "take-2.mp4").is_file() and not (tmp_path / "other.mp4").exists()


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "take.mp4"
    record(path)
    path.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        recover(path)
    assert recover_all(path) == [] and path.read_bytes() == b"mine"


def test_a_run_that_still_records_is_left_alone(tmp_path):
    path = tmp_path / "take.mp4"
    info = SourceInfo("camera", SIZE[1], SIZE[0], Fraction(30), live=True)
    sink = FileSink(path, info, clip=live_clip())
    sink.write(Frame(np.zeros((*SIZE, 3), np.uint8), Fraction(0), 0))
    assert recover_all(path) == []
    sink.close()
    assert path.is_file()


@pytest.mark.parametrize("rate", [3, 30, 100])
def test_a_second_is_lost_at_most(tmp_path, rate):
    """Of a recording that a kill cuts off after 3.5 s, whatever its rate."""
    path = tmp_path / "take.mp4"
    frames = int(3.5 * rate)
    sink = record(path, frames, rate=rate, segment=SEGMENT_FRAMES)
    lost = frames - sink.journal.frames
    assert 0 < lost <= rate + 1
    assert recover(path).frames == frames - lost


def test_nothing_whole_was_stored(tmp_path):
    record(tmp_path / "take.mp4", frames=2)
    with pytest.raises(SinkError, match="no frame"):
        recover(tmp_path / "take.mp4")
    assert not Journal.is_unfinished(tmp_path / "take.mp4")


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": None},
        {"encoding": {"codec": "x"}},
        {"width": 10**9},
        {"width": "64"},
        {"time_base": "0"},
        {"time_base": "1/0"},
        {"codec": "nonsense"},
        {"settings": {"input": "clip.mp4"}},
        {"settings": 3},
        {"threads": 10**9},
        {"colors": 3},
    ],
)
def test_damaged_journals(tmp_path, change):
    path = tmp_path / "take.mp4"
    record(path)
    listing = Journal.folder_for(path) / LISTING
    first, *rest = listing.read_text().splitlines()
    header = json.loads(first)
    top = {key: value for key, value in change.items() if key in (*header, "encoding")}
    header |= top
    if not top:
        header["encoding"] |= change
    listing.write_text("\n".join([json.dumps(header), *rest]) + "\n")
    with pytest.raises(UsageError):
        recover(path)


@pytest.mark.parametrize(
    "change",
    [
        {"delay": 10**9, "frames": 10**9 + 1},
        {"frames": 10**30},
        {"start": 10**30},
        {"last_time": "1e400"},
        {"last_time": 3},
        {"restart": [1]},
        {"restart": [-5, "0"]},
        {"file": "../../x"},
        {"damage": {"lost": "x"}},
    ],
)
def test_absurd_segments_end_the_list(tmp_path, change):
    path = tmp_path / "take.mp4"
    record(path)
    listing = Journal.folder_for(path) / LISTING
    header, first, second = listing.read_text().splitlines()
    absurd = json.dumps(json.loads(second) | change)
    listing.write_text("\n".join([header, first, absurd]) + "\n")
    assert recover(path).frames == SEGMENT


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_webcam_is_recovered_by_the_next_start(tmp_path, invert_model):
    path = tmp_path / "take.mp4"
    words = [sys.executable, "-m", "runtime.webcam", "--model", str(invert_model), "--headless"]
    words += ["--source", "synthetic", "--size", "64x48", "--target-fps", "off"]
    words += ["--stabilizer", "off", "--record", str(path)]
    run = subprocess.Popen(words, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."})
    listing = Journal.folder_for(path) / LISTING

    def two_segments():
        assert run.poll() is None
        return listing.is_file() and listing.read_bytes().count(b"\n") >= 2

    wait_for(two_segments, 60)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not path.exists()
    again = subprocess.run([*words, "--frames", "5"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f'"{path}" was cut off: its first ' in again.stderr
    assert path.is_file() and (tmp_path / "take-2.mp4").is_file()
