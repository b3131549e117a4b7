"""python tests/check_install.py [python3.11 python3.13 ...]

What a new user does, with each Python named (default: the one that runs this): a wheel of this
checkout in an empty environment, then every command from another folder; and `make demo` in a
clone. Nothing is skipped: what cannot be installed has failed.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A file of this name beside a stranger's pictures must not be imported.
TRAP = "raise SystemExit('cv2.py of the working directory was imported')"
PYTHON_USE = """
from pathlib import Path
from PIL import Image
import numpy as np
from impasto import Frame, ModelCard, StyleSession, open_session
import impasto.runtime
with open_session("starry") as session:
    painted = session.stylize(np.asarray(Image.open("photo.jpg").convert("RGB")))
assert painted.shape == (60, 80, 3), painted.shape
for bare in ("runtime", "models", "training", "export", "benchmarks", "tests"):
    try:
        __import__(bare)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"a bare {bare} is installed")
"""
MAKE_INPUTS = """
import av, numpy as np
from PIL import Image
Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).save("photo.jpg")
with av.open("clip.mp4", "w") as clip:
    stream = clip.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for index in range(10):
        picture = np.full((48, 64, 3), 20 * index, np.uint8)
        clip.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    clip.mux(stream.encode())
"""
COMMANDS = (
    "impasto --version",
    "impasto models",
    "impasto doctor",
    "impasto image photo.jpg painted.png --model starry",
    "impasto image photo.jpg any.png --model adain --style photo.jpg",
    "impasto video clip.mp4 painted.mp4 --model starry",
    "impasto webcam --source synthetic --headless --frames 30",
    "python -P -m impasto image photo.jpg again.png --model scream",
)
MAKES = ("painted.png", "any.png", "painted.mp4", "again.png")


def sh(command: list[str], cwd: Path) -> str:
    """Run it; its output. Ends this program if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
        raise SystemExit(f"install: {' '.join(command)} ended with {done.returncode}")
    return done.stdout


def build(folder: Path) -> Path:
    """A wheel of a copy of what git knows: building leaves its traces in the copy."""
    clone(folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    sh([*pip, "--no-deps", "--wheel-dir", str(folder), str(folder / "source")], folder)
    (wheel,) = folder.glob("impasto-*.whl")
    return wheel


def clone(target: Path) -> None:
    """The working tree without what git ignores."""
    names = sh(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())


def check_contents(wheel: Path) -> None:
    """One import package with every module of the runtime, and the default models."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"impasto", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}, tops
    modules = {f"impasto/{path.relative_to(ROOT)}" for path in (ROOT / "runtime").rglob("*.py")}
    assert not modules - names, f"add to packages in pyproject.toml: {modules - names}"
    models = {path.name for path in (ROOT / "models").glob("*.onnx") if "-fp32" not in path.name}
    assert models == {name.split("/")[2] for name in names if name.startswith("impasto/models/")}


def check_wheel(python: str, wheel: Path, folder: Path) -> None:
    """Install it into an empty environment and use it from a folder that knows nothing of us."""
    environment, work = folder / "environment", folder / "work"
    work.mkdir(parents=True)
    sh([python, "-m", "venv", str(environment)], folder)
    programs = environment / "bin"
    pip = [str(programs / "pip"), "--disable-pip-version-check", "install", "--quiet"]
    sh([*pip, str(wheel)], folder)  # without constraints.txt: what is newest must work
    sh([str(programs / "python"), "-c", MAKE_INPUTS], work)
    sh([str(programs / "python"), "-c", PYTHON_USE], work)
    (work / "cv2.py").write_text(TRAP)
    for command in COMMANDS:
        program, *words = command.split()
        sh([str(programs / program), *words], work)
        print(f"-- {Path(python).name}: {command}: ok", flush=True)
    missing = [name for name in MAKES if not (work / name).stat().st_size]
    assert not missing, missing


def check_demo(python: str, folder: Path) -> None:
    """`make demo` in a clone that has nothing, and the webcam's line after it."""
    clone(folder)
    sh(["make", "demo", f"PYTHON={python}"], folder)
    program = folder / ".venv-runtime" / "bin"
    assert not (folder / ".venv").exists(), "the demo needs the runtime only"
    camera = ["--model", "starry.onnx", "--source", "synthetic:320x240", "--frames", "10"]
    sh([str(program / "python"), "-m", "runtime.webcam", *camera], folder)
    sh([str(program / "impasto"), "webcam", *camera], folder)
    assert (folder / "demo" / "photographs-starry-beside.mp4").stat().st_size
    print("-- make demo: ok", flush=True)


def main(pythons: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        check_contents(wheel)
        for index, python in enumerate(pythons):
            (folder / str(index)).mkdir()
            check_wheel(python, wheel, folder / str(index))
        check_demo(pythons[0], folder / "clone")
    print("install: all ok")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or [sys.executable]))
