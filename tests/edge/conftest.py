"""Tiny networks and photos for the converters of phones, and one way to export with them."""

import json
from pathlib import Path

import pytest

# Pictures compared: small, one of them odd.
SMALL = ((96, 64), (65, 51))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    import cv2
    from skimage import data

    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "chelsea"):
        image = cv2.resize(getattr(data, name)(), (256, 192), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """`checkpoint("instance")`: a network with this normalization; further settings by name."""
    from tests.export.conftest import make_checkpoint

    folder = tmp_path_factory.mktemp("networks")

    def make(normalization: str, name: str = "lean", **settings) -> Path:
        if name == "lean":
            settings = {"width": 16, "blocks": 1, "margin": 8, **settings}
        path = folder / f"{name}-{normalization}.safetensors"
        return make_checkpoint(path, name, normalization=normalization, **settings)

    return make


@pytest.fixture(scope="session")
def export(photos):
    """`export(checkpoint, target, output, *words)` by the command; (exit code, report or None)."""
    import export.artifact as flow
    from export.__main__ import main
    from export.verify.report import report_path

    def run(source: Path, target: str, output: Path, *words: str):
        given = ["--checkpoint", str(source), "--target", target, "--output", str(output)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow, "SIZES", SMALL)
            code = main([*given, "--photos", str(photos), "--quiet", *words])
        report = report_path(output)
        return code, json.loads(report.read_text("utf-8")) if report.is_file() else None

    return run
