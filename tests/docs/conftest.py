"""A folder like a checkout in which a reader of the docs has put a clip, photos and a painting."""

import os
import shutil
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

# The recipes of the docs, so small that a run takes a second. Everything else is the real thing.
TOY_RECIPE = """
name = "starry"
method = "perceptual"
steps = 2
batch = 1
[network]
name = "lean"
width = 16
blocks = 1
scale = 4
margin = 0
padding = "replicate"
[style]
size = 64
[data]
crop = 64
[backbone]
content_layers = ["relu4_1"]
[objective]
style = 20.0
content = 1.0
"""

TOY_FILTER = """
method = "filter"
steps = 2
batch = 1
[network]
name = "lean"
width = 16
blocks = 1
normalization = "none"
padding = "replicate"
margin = 0
[data]
short_side = 64
crop = 32
zoom = 1.0
[objective]
l1 = 1.0
[delivery]
precision = "int8"
finetune = 2
"""


def _clip(path: Path, frames: int = 10) -> None:
    """A tiny clip with something moving in it."""
    from runtime.frame import Frame
    from runtime.sinks import open_sink
    from runtime.sources import SourceInfo

    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (64, 96, 3), np.uint8)
    sink = open_sink(path, SourceInfo("", 96, 64, Fraction(25)))
    for n in range(frames):
        sink.write(Frame(np.ascontiguousarray(np.roll(ground, n, 1)), Fraction(n, 25), n))
    sink.close()


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="session")
def belongings(tmp_path_factory, photo_folder, painting):
    """What the reader has: clip.mp4, clips/, photo.jpg, left.jpg, right.jpg, photos/,
    painting.jpg."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("belongings")
    (folder / "clips").mkdir()
    _clip(folder / "clip.mp4")
    _clip(folder / "clips" / "first.mp4", 4)
    (folder / "photos").mkdir()
    for path in sorted(photo_folder.iterdir())[:3]:
        Image.open(path).convert("RGB").save(folder / "photos" / f"{path.stem}.jpg")
    shutil.copyfile(folder / "photos" / "chelsea.jpg", folder / "photo.jpg")
    Image.open(painting).convert("RGB").save(folder / "painting.jpg")
    photo = Image.open(folder / "photo.jpg")
    for name, shift in (("left", 0), ("right", 2)):  # a wall at one distance
        view = photo.crop((shift, 0, photo.width - 2 + shift, photo.height))
        view.save(folder / f"{name}.jpg")
    return folder


@pytest.fixture
def checkout(tmp_path, belongings, random_weights):
    """A fresh working directory; returns a function that runs a program in it."""
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("training", "build", "runs"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "training" / "recipes").mkdir(parents=True)
    for path in (ROOT / "training").iterdir():
        if path.name not in ("recipes", "__pycache__"):
            (tmp_path / "training" / path.name).symlink_to(path)
    (tmp_path / "training" / "recipes" / "starry.toml").write_text(TOY_RECIPE)
    (tmp_path / "training" / "recipes" / "filter.toml").write_text(TOY_FILTER)
    shutil.copytree(belongings, tmp_path, dirs_exist_ok=True)
    tools = tmp_path / ".bin"
    tools.mkdir()
    _script(tools / "python", f'exec "{sys.executable}" "$@"')
    _script(tools / "impasto", f'exec "{sys.executable}" -m impasto "$@"')  # as pip installs it
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    environment["IMPASTO_WEIGHTS"] = str(random_weights)
    environment["OMP_NUM_THREADS"] = "1"  # tensors are so small that threads would only wait

    def run(*command: str) -> None:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        said = f"{command[-1]}\n--- ended with {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said

    run.folder = tmp_path
    return run
