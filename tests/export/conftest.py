"""A tiny trained-looking network, exported once for all tests of the folder."""

from pathlib import Path

import pytest
import torch

from training import networks
from training.checkpoint import Checkpoint, save_checkpoint


def make_checkpoint(path: Path, name: str = "lean", **config) -> Path:
    torch.manual_seed(3)
    network = networks.build(name, **config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, tensor in network.named_parameters():
            if "norm" in key:  # as after training: scales of both signs, shifts
                tensor.add_(0.6 * torch.randn(tensor.shape, generator=generator))
            if "head" in key:  # undo the small start, so that the output has structure
                tensor.mul_(6)
    tensors = {f"generator.{k}": t for k, t in network.state_dict().items()}
    recipe = {
        "name": "toy",
        "method": "perceptual",
        "style": {"title": "Toy", "artist": "Nobody", "image": "toy.jpg", "size": 64},
    }
    save_checkpoint(
        Checkpoint({"name": name, **network.config}, recipe, 7, tensors),
        path,
    )
    return path


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def new_checkpoint():
    return make_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    return make_checkpoint(folder / "toy.safetensors", width=16, blocks=1)


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory) -> Path:
    import cv2
    from skimage import data

    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "chelsea"):
        image = cv2.resize(getattr(data, name)(), (256, 192), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    return folder


@pytest.fixture(scope="session")
def web_dist() -> Path:
    """Folder of onnxruntime-web's files. npm fetches them once into a folder that git ignores."""
    import os

    from export.site import engine_files
    from runtime.errors import EngineUnavailable

    with pytest.MonkeyPatch.context() as patch:
        if "IMPASTO_CACHE" not in os.environ:
            root = Path(__file__).resolve().parents[2]
            patch.setenv("IMPASTO_CACHE", str(root / "build" / "cache"))
        try:
            return engine_files.dist_folder()
        except EngineUnavailable as absent:
            pytest.skip(str(absent))
