"""Archives to paint, and runs that paint them in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import waiting

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "starry-fast.onnx"  # folded for each scene
CLIPS, PICTURES, FRAMES, SHOT = 8, 3, 90, 30
PIECE = "30"


def picture(number, clip=0):
    """Three shots, each with something that moves."""
    place, step = divmod(number, SHOT)
    rows, columns = np.mgrid[:48, :64]
    wave = np.sin(columns / (4 + 2 * place + clip) + step / 4) + np.cos(rows / (8 - 2 * place))
    colors = np.roll(np.array([90, 30, 10]), place + clip)
    return np.clip(30 + 60 * place + colors * wave[..., None], 0, 255).astype(np.uint8)


def take(number, clip=0):
    """A scene that never ends: it moves and grows brighter, so that models look at it again."""
    rows, columns = np.mgrid[:48, :64]
    wave = np.sin(columns / 6 + number / 20) + np.cos(rows / 9 - number / 30)
    base = np.array([150, 70, 20]) * (1 + number / 600)
    return np.clip(base * (1 + 0.3 * wave[..., None]), 0, 255).astype(np.uint8)


def write_clip(path, clip, frames=FRAMES, picture=picture):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, clip), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def words(archive, output, *more):
    return [
        *("--input", str(archive), "--output", str(output), "--model", str(MODEL)),
        *("--device", "cpu", "--jobs", "2", "--piece", PIECE, "--preset", "ultrafast", *more),
    ]


def start(archive, output, *more):
    # Workers share two cores with other tests: politeness would be forever.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "runtime.batch", *words(archive, output, *more)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def is_below(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = parent(pid)
    return pid == ancestor


def painters(run):
    """Processes of the actors that this run has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_text().replace("\0", "")
        except OSError:
            continue
        if name.startswith("ray::MapWorker") and is_below(int(folder.name), run.pid):
            found.append(int(folder.name))
    return found


def wait_for(what, run, seconds=200):
    def found():
        if value := what():
            return value
        assert run.poll() is None, f"ended with {run.returncode}: {run.stderr.read()}"
        return None

    try:
        return waiting.wait_for(found, seconds)
    except AssertionError:
        run.kill()
        raise
