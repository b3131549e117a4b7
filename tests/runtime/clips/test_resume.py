"""Killed and resumed, a clip is the same clip: every container, every stabilizer, a folded model.

Clips are made by the ffmpeg command, which is not ours; without it these tests are skipped.
"""

import hashlib
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import av
import pytest

from runtime.clips import checkpoints
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.media.journal import Journal
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.model.stylizer import Stylizer
from runtime.regions.options import Regions
from runtime.sinks.file import FileSink
from runtime.sinks.images import ImagesSink
from runtime.stabilizers import best

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "starry-fast.onnx"
FRAMES, SEGMENT, KILLED = 40, 6, 27
CONTAINERS = {
    "ts": ["-c:v", "libx264", "-bf", "2", "-g", "12"],
    "mpg": ["-c:v", "mpeg2video", "-bf", "2", "-g", "12"],
    "h264": ["-c:v", "libx264", "-bf", "2", "-g", "12"],
    "mkv": ["-c:v", "libx264", "-bf", "2", "-g", "12", "-x264-params", "open-gop=1"],
    "mp4": ["-c:v", "libx264", "-bf", "2", "-g", "12"],
    "mov": ["-c:v", "libx264", "-bf", "0", "-g", "12"],
    "avi": ["-c:v", "mpeg4", "-bf", "2", "-g", "12"],
    "webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "12"],
    "gif": [],
}

WHOLE = Regions()


class Killed(BaseException):
    """As SIGKILL: nothing is tidied up."""


@pytest.fixture(scope="module")
def stylizer():
    """The int8 model, folded for each scene: its pictures depend on those before."""
    if not MODEL.is_file():
        pytest.skip(f"needs {MODEL.name}")
    with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as opened:
        yield opened


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """`clip("ts")`: two scenes, each of which brightens slowly, so that its statistics drift."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")
    folder = tmp_path_factory.mktemp("clips")

    def make(kind):
        path = folder / f"in.{kind}"
        if not path.exists():
            graph = (
                "testsrc2=s=96x64:r=25:d=0.6,eq=brightness='0.3*t':eval=frame[a];"
                "mandelbrot=s=96x64:r=25,trim=duration=1,eq=brightness='-0.2*t':eval=frame[b];"
                "[a][b]concat=n=2,trim=end_frame=40"
            )
            command = ["ffmpeg", "-v", "error", "-y", "-filter_complex", graph, *CONTAINERS[kind]]
            subprocess.run([*command, str(path)], check=True, timeout=60)
        return path

    return make


def paint(stylizer, source, output, stabilizer, resume=False, regions=WHOLE, noise=0.0):
    options = ClipOptions(
        sink={"segment": SEGMENT, "preset": "ultrafast"},  # type: ignore[typeddict-unknown-key]
        stabilizer=stabilizer,
        resume=resume,
        regions=regions,
        noise=noise,
    )
    return paint_clip(Job(str(source), str(output)), stylizer, options, Meter())


def killed(stylizer, source, output, stabilizer, monkeypatch, regions=WHOLE, noise=0.0):
    """Paint until one of the sinks' frames, and stop there without tidying up."""
    kind = ImagesSink if "%" in str(output) else FileSink
    write, journals = kind.write, []

    def dying(self, frame):
        if self.frames >= KILLED:
            journals.append(self.journal)
            raise Killed
        write(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "write", dying)
        patch.setattr(kind, "abort", lambda self: None)
        with pytest.raises(Killed):
            paint(stylizer, source, output, stabilizer, regions=regions, noise=noise)
    journals[0].close()  # the system lifts the lock of a process that died


def hashes(output):
    if "%" in str(output):
        return [
            hashlib.md5(path.read_bytes()).hexdigest()
            for path in sorted(output.parent.glob("*.png"))
        ]
    with av.open(str(output)) as container:
        return [
            (frame.pts, hashlib.md5(frame.to_ndarray().tobytes()).hexdigest())
            for frame in container.decode(video=0)
        ]


STABILIZERS = ("off", "live", "best")
OUTPUTS = (".mp4", ".mkv", ".mov", ".webm", ".gif", "/%03d.png")
# Every kind of input, of output, and every stabilizer once; all of them take minutes.
QUICK = [(kind, ".mp4", STABILIZERS[at % 3]) for at, kind in enumerate(CONTAINERS)]
QUICK += [("ts", ".mkv", "best"), ("mkv", ".gif", "off"), ("h264", "/%03d.png", "live")]
ALL = [(kind, ".mp4", stabilizer) for kind in CONTAINERS for stabilizer in STABILIZERS]
ALL += [("mkv", suffix, stabilizer) for suffix in OUTPUTS for stabilizer in STABILIZERS]
CASES = [
    *QUICK,
    *(pytest.param(*c, marks=pytest.mark.slow) for c in dict.fromkeys(ALL) if c not in QUICK),
]


@pytest.fixture
def eager(monkeypatch):
    """What is kept of slow models, of this one, which is too fast for it; parts of shots of few
    frames."""
    monkeypatch.setattr(checkpoints, "WORTH_S", 0.0)
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "SESSION_S", 0.0)
    monkeypatch.setattr(checkpoints, "TIDY_S", 0.0)
    monkeypatch.setattr(checkpoints, "EVERY_FRAMES", 3)
    monkeypatch.setattr(checkpoints, "MOST_WAITING", 1000)
    monkeypatch.setattr(best, "MAX_CHUNK", 8)


@pytest.fixture
def count(monkeypatch):
    """Pictures that networks painted."""
    painted = Counter()
    stylize = Stylizer.stylize

    def counted(self, image, **options):
        painted["pictures"] += 1
        return stylize(self, image, **options)

    monkeypatch.setattr(Stylizer, "stylize", counted)
    return painted


@pytest.mark.parametrize(("kind", "suffix", "stabilizer"), CASES)
def test_killed_and_resumed_is_the_same(
    stylizer, clip, tmp_path, monkeypatch, eager, count, kind, suffix, stabilizer
):
    source = clip(kind)
    whole, output = Path(f"{tmp_path}/whole{suffix}"), Path(f"{tmp_path}/out{suffix}")
    facts = paint(stylizer, source, whole, stabilizer).facts
    assert facts["frames_out"] == facts["frames_in"] == len(hashes(whole))
    assert not facts["damage"]
    count.clear()
    killed(stylizer, source, output, stabilizer, monkeypatch)
    assert Journal.is_unfinished(output)
    again = paint(stylizer, source, output, stabilizer, resume=True).facts
    assert again["resumed_frames"] >= KILLED - SEGMENT
    assert again["damage"] == facts["damage"]
    assert hashes(output) == hashes(whole)
    # Nothing was painted twice, nothing is left.
    assert count.total() == facts["frames_in"]
    assert not list(tmp_path.rglob("*.painted"))
    assert not list(tmp_path.rglob("*.state"))


@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_without_what_was_kept_it_is_the_same(
    stylizer, clip, tmp_path, monkeypatch, eager, stabilizer
):
    """Damaged files, and those of another version: painted again, from where the shot begins."""
    source, whole, output = clip("mkv"), tmp_path / "whole.mp4", tmp_path / "out.mp4"
    paint(stylizer, source, whole, stabilizer)
    killed(stylizer, source, output, stabilizer, monkeypatch)
    kept = sorted(Journal.folder_for(output).glob("*.painted"))
    states = sorted(Journal.folder_for(output).glob("*.state"))
    assert kept
    damaged = bytearray(kept[len(kept) // 2].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    kept[len(kept) // 2].write_bytes(damaged)
    for path in states:
        path.write_bytes(path.read_bytes()[:-100])
    paint(stylizer, source, output, stabilizer, resume=True)
    assert hashes(output) == hashes(whole)


@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_parts_of_the_picture_go_on_as_if_never_interrupted(
    stylizer, clip, tmp_path, monkeypatch, eager, count, stabilizer
):
    """Two paintings put together by a mask that remembers the frames before."""
    other = StylizeOptions([(str(MODEL), 1.0)], device="cpu", strength=0.3)
    regions = Regions("person", other)
    source, whole, output = clip("ts"), tmp_path / "whole.mp4", tmp_path / "out.mp4"
    facts = paint(stylizer, source, whole, stabilizer, regions=regions).facts
    count.clear()
    killed(stylizer, source, output, stabilizer, monkeypatch, regions)
    paint(stylizer, source, output, stabilizer, resume=True, regions=regions)
    assert hashes(output) == hashes(whole)
    assert count.total() == 2 * facts["frames_in"]


@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_noise_that_follows_the_camera_goes_on_as_if_never_interrupted(
    stylizer, clip, tmp_path, monkeypatch, eager, count, stabilizer
):
    source, whole, output = clip("mkv"), tmp_path / "whole.mp4", tmp_path / "out.mp4"
    facts = paint(stylizer, source, whole, stabilizer, noise=0.5).facts
    plain = tmp_path / "plain.mp4"
    paint(stylizer, source, plain, stabilizer)
    assert hashes(plain) != hashes(whole)
    count.clear()
    killed(stylizer, source, output, stabilizer, monkeypatch, noise=0.5)
    paint(stylizer, source, output, stabilizer, resume=True, noise=0.5)
    assert hashes(output) == hashes(whole)
    assert count.total() == facts["frames_in"]
