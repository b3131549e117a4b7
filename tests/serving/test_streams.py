"""Streams: what they remember is theirs, and `runtime.video --server` gives what it gives here."""

import re
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from waiting import wait_for

from benchmarks.serving.server import Server
from runtime import video
from runtime.engines._triton import RemoteStream
from runtime.errors import StyleError, UsageError
from runtime.frame import Frame
from runtime.model.session import open_remote
from runtime.sinks import open_sink
from runtime.sources import SourceInfo, open_source
from tests.serving.asking import ROOT
from tests.serving.conftest import STREAMS

# Longer than any frame takes on a busy machine.
IDLE_S = 3


@pytest.fixture
def address(server):
    return f"grpc://127.0.0.1:{server.grpc_port}"


def through(address, model, frames, **conditions):
    with open_remote(address, model) as session:
        return [session.stylize(frame, **conditions) for frame in frames]


def same(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_two_streams_at_once(address, steady, frames, at_once):
    """Forty frames each, one backwards: neither sees the other's strokes."""
    clips = [frames, frames[::-1]]
    expected = [steady("starry", clip) for clip in clips]
    jobs = [lambda clip=clip: through(address, "starry_stream", clip) for clip in clips]
    found = at_once(jobs)
    assert same(expected[0], found[0]) and same(expected[1], found[1])
    # The strokes do keep still: the frames are not those of single pictures.
    assert not same(expected[0], through(address, "starry", frames))


def test_a_stream_says_where_its_scenes_begin(address, frames):
    with open_remote(address, "starry_stream") as session:
        assert session.steady and session.remembers
        begins = []
        for frame in frames:
            session.stylize(frame)
            begins.append(session.begins_scene)
    assert [index for index, begin in enumerate(begins) if begin] == [0, 20]


def test_an_ended_stream_leaves_nothing(address, steady, frames):
    """More streams, one after the other, than there is room for; and one session used again."""
    expected = steady("starry", frames[:3])
    for _ in range(STREAMS + 2):
        assert same(expected, through(address, "starry_stream", frames[:3]))
    with open_remote(address, "starry_stream") as session:
        for _ in range(2):
            session.reset()
            assert same(expected, [session.stylize(frame) for frame in frames[:3]])


def test_conditions_belong_to_a_stream(address, steady, frames):
    short = frames[:4]
    expected = steady("many", short, style=[("udnie", 1.0)])
    assert same(expected, through(address, "many_stream", short, style=[("udnie", 1.0)]))
    expected = steady("adain", short, style=frames[30], alpha=0.5)
    assert same(expected, through(address, "adain_stream", short, style=frames[30], alpha=0.5))


def test_a_frame_that_is_refused_says_why(address, frames):
    with open_remote(address, "starry_stream") as session:
        session.stylize(frames[0])
        with pytest.raises(StyleError, match="the picture is 4096x4097, allowed are 1 to 16777216"):
            session.stylize(np.zeros((4097, 4096, 3), np.uint8))


def test_a_stream_that_was_never_begun(address, frames):
    with open_remote(address, "starry_stream") as session:
        engine = session._engine
        assert isinstance(engine, RemoteStream)
        session.stylize(frames[0])
        engine._stream += 1
        with pytest.raises(StyleError, match="START"):
            session.stylize(frames[1])


def test_a_caller_that_is_gone_makes_room(steady, frames, tmp_path):
    """It never said that its stream ends; after `idle_s` the next one has its place, and begins
    with nothing of it."""
    from export.triton import repository
    from export.triton.settings import Settings

    (tmp_path / "models").mkdir()
    impatient = Settings(threads=1, streams=1, idle_s=IDLE_S)
    repository.write([ROOT / "models/starry.onnx"], tmp_path / "models", impatient, (96, 64))
    expected = steady("starry", frames[30:34])
    with Server(tmp_path / "models", ["starry_stream"], tmp_path) as server:
        address = f"grpc://127.0.0.1:{server.grpc_port}"
        gone = open_remote(address, "starry_stream")
        gone.stylize(frames[0])
        gone._engine._client.close()
        # One that comes sooner waits, and Triton counts its waiting as silence, too.
        time.sleep(IDLE_S + 1)
        assert same(expected, through(address, "starry_stream", frames[30:34]))


def clip_of(path, frames):
    height, width = frames[0].shape[:2]
    sink = open_sink(path, SourceInfo("", width, height, Fraction(25)), quality=0)
    for index, frame in enumerate(frames):
        sink.write(Frame(frame, Fraction(index, 25), index))
    sink.close()
    return path


def frames_of(path):
    source = open_source(str(path))
    try:
        return [frame.image for frame in source]
    finally:
        source.close()


def run(*words):
    return video.main([str(word) for word in (*words, "--quiet")])


def test_a_clip_by_the_server_is_the_clip_painted_here(address, frames, tmp_path):
    clip = clip_of(tmp_path / "clip.mp4", frames)
    here, there = tmp_path / "here.mp4", tmp_path / "there.mp4"
    model = ("--model", ROOT / "models/starry.onnx", "--device", "cpu")
    assert run(clip, here, *model, "--stabilizer", "live", "--strength", 0.8) == 0
    served = ("--server", address, "--server-model", "starry_stream")
    assert run(clip, there, *served, "--strength", 0.8) == 0
    assert same(frames_of(here), frames_of(there))
    # A model for pictures is stabilized here.
    assert run(clip, here, *model, "--overwrite") == 0
    assert run(clip, there, "--server", address, "--server-model", "starry", "--overwrite") == 0
    assert len(frames_of(there)) == len(frames)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--server-model", "stary_stream"), 2, 'Did you mean "starry_stream"'),
        (("--server-model", "starry_jpeg"), 2, "is not for frames"),
        (("--server-model", "starry_stream", "--stabilizer", "best"), 2, "keeps strokes still"),
        (("--server-model", "starry_stream", "--device", "cuda"), 2, "where the server is started"),
    ],
)
def test_what_a_server_cannot_do(address, frames, tmp_path, capsys, words, code, said):
    clip = clip_of(tmp_path / "clip.mp4", frames[:2])
    assert run(clip, tmp_path / "x.mp4", "--server", address, *words) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "x.mp4").exists()


def test_the_client_refuses_nonsense_before_it_calls(address):
    with pytest.raises(UsageError, match="grpc://HOST:PORT"):
        open_remote("http://127.0.0.1:8000", "starry")


def test_the_server_dies_in_the_middle_of_a_clip(repository, frames, tmp_path):
    """What was painted plays, the line says what to do, and the rest is painted by another one."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    clip = clip_of(tmp_path / "clip.mp4", frames * 6)
    output = tmp_path / "out.mp4"
    first = Server(repository / "models", ["starry_stream"], tmp_path / "first")
    first.start()
    command = [sys.executable, "-m", "runtime.video", str(clip), str(output)]
    served = ["--server-model", "starry_stream", "--server"]
    try:
        painting = subprocess.Popen(
            [*command, *served, f"grpc://127.0.0.1:{first.grpc_port}"],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        from tests.serving.test_pictures import counted

        wait_for(lambda: counted(first, "starry_stream")[1] >= 60, 120)
        assert painting.poll() is None, "it must be in the middle of the clip"
    finally:
        first.kill()
    error = painting.communicate(timeout=60)[1]
    assert painting.returncode == 1
    assert error.splitlines()[-1].startswith("error: grpc://127.0.0.1:") and "--resume" in error
    kept = int(re.search(r"the (\d+) frames before it", error)[1])
    assert 0 < kept < len(frames) * 6
    assert len(frames_of(output)) == kept
    second = Server(repository / "models", ["starry_stream"], tmp_path / "second")
    second.start()
    try:
        again = [*served, f"grpc://127.0.0.1:{second.grpc_port}", "--resume", "--quiet"]
        assert subprocess.run([*command, *again], cwd=ROOT, check=False).returncode == 0
    finally:
        second.stop()
    here = tmp_path / "here.mp4"
    model = ("--model", ROOT / "models/starry.onnx", "--device", "cpu")
    assert run(clip, here, *model, "--stabilizer", "live") == 0
    assert same(frames_of(here), frames_of(output))
