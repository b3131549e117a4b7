"""Small inputs that several test packages share. Weights here are random and tiny: tests must not
need a download, and what they check does not depend on what a network learned."""

import atexit
import importlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Unexpected errors keep their traceback in tests, in processes that tests start as well.
os.environ["IMPASTO_DEBUG"] = "1"
# A shell's background job ignores Ctrl-C, and so does all that it starts: not what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# What only saves time is kept in a folder of the tests' own.
os.environ["IMPASTO_CACHE"] = tempfile.mkdtemp(prefix="impasto-cache-")
atexit.register(shutil.rmtree, os.environ["IMPASTO_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The project's shared pictures, clips and weights, which the repository does not contain."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the shared data folder beside the repository")
    return folder


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(300, 451, 3) uint8 RGB: the cat that scikit-image bundles; odd width on purpose."""
    from skimage import data

    return data.chelsea()


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small photographs on disk."""
    from PIL import Image
    from skimage import data

    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "chelsea"):
        picture = Image.fromarray(getattr(data, name)()[..., :3])
        picture.resize((128, 96)).save(folder / f"{name}.png")
        picture.resize((96, 128)).save(folder / f"{name}_tall.jpg")
    return folder


@pytest.fixture(scope="session")
def painting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A "painting" of 80x64 px: stripes of a few colors."""
    from PIL import Image

    rows, columns = np.mgrid[:64, :80]
    wave = np.sin(columns / 3 + np.sin(rows / 5) * 2)[..., None]
    colors = np.array([40, 60, 160]) + (wave + 1) * np.array([80, 70, 20])
    path = tmp_path_factory.mktemp("painting") / "stripes.png"
    Image.fromarray(colors.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for every backbone: right names and shapes, random (He) values."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    generator = torch.Generator().manual_seed(0)

    def he(*shape: int):
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        scale = (2 / fan) ** 0.5 if len(shape) > 1 else 0.0
        return torch.randn(shape, generator=generator) * scale

    from training.backbones import vgg19_low

    compressed = importlib.import_module("training.backbones.vgg19_16x")
    tensors = {"conv0.weight": torch.eye(3).view(3, 3, 1, 1) * 2, "conv0.bias": torch.zeros(3) - 1}
    channels = compressed.vgg_channels(compressed.SEQUENCE, compressed.WIDTHS)
    for name, (before, after) in channels.items():
        key = "conv" + name[4:].replace("_", "")
        tensors |= {f"{key}.weight": he(after, before, 3, 3), f"{key}.bias": he(after)}
        if name in compressed.TAUGHT:
            tensors[f"{key}_aux.weight"] = he(compressed.TAUGHT[name], after, 1, 1)
    save_file(tensors, folder / compressed.FILE.name)
    tensors = {}
    for name, (before, after) in vgg19_low.vgg_channels(
        vgg19_low.SEQUENCE, vgg19_low.WIDTHS
    ).items():
        key = "conv" + name[4:]
        tensors |= {f"{key}.weight": he(after, before, 3, 3) / 40, f"{key}.bias": he(after)}
    save_file(tensors, folder / vgg19_low.FILE.name)
    from training.backbones import squeezenet

    tensors = {"features.0.weight": he(64, 3, 3, 3), "features.0.bias": he(64)}
    for index, (before, squeezed, expanded) in squeezenet.FIRES.items():
        for part, shape in (
            ("squeeze", (squeezed, before, 1, 1)),
            ("expand1x1", (expanded, squeezed, 1, 1)),
            ("expand3x3", (expanded, squeezed, 3, 3)),
        ):
            tensors[f"features.{index}.{part}.weight"] = he(*shape)
            tensors[f"features.{index}.{part}.bias"] = he(shape[0])
    save_file(tensors, folder / squeezenet.FILE.name)
    return folder
