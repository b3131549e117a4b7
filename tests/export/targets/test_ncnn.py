"""ncnn files: names, the crop of the margin, the kinds of networks it takes."""

import json

import numpy as np
import pytest

import export.artifact as flow
from export.__main__ import main
from export.targets.ncnn import rename
from runtime.model.session import open_session

pytest.importorskip("ncnn", reason="pip install 'impasto[ncnn]'")
pytest.importorskip("pnnx", reason="pip install 'impasto[ncnn-export]'")


def test_blobs_are_renamed_and_nothing_else():
    text = "7767517\n2 2\nInput   in0   0 1 in0\nBinaryOp in0x 1 1 in0 out0 0=7 1=1 2=1.0\n"
    assert rename(text, {"in0": "image", "out0": "styled"}) == (
        "7767517\n2 2\nInput in0 0 1 image\nBinaryOp in0x 1 1 image styled 0=7 1=1 2=1.0\n"
    )


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("lean", {"width": 8, "blocks": 1, "margin": 8}),  # the margin's crop must not be lost
        ("lean", {"width": 8, "blocks": 1, "margin": 0, "padding": "replicate"}),
        ("johnson", {"width": 4, "blocks": 1}),  # reflection, strides, upsampling
    ],
)
def test_networks(name, config, new_checkpoint, photos_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
    source = new_checkpoint(tmp_path / "toy.safetensors", name, **config)
    path = tmp_path / "toy"
    words = ["--checkpoint", source, "--target", "ncnn", "--precision", "fp32", "--output", path]
    assert main([str(word) for word in [*words, "--photos", photos_folder, "--quiet"]]) == 0
    report = json.loads((tmp_path / "toy.ncnn.param.json").read_text())
    assert [entry["file"] for entry in report["files"]] == [
        "toy.ncnn.param", "toy.ncnn.bin", "toy.ncnn.param.card.json",
    ]  # fmt: skip
    with open_session(path) as session:
        assert session.engine == "ncnn"
        image = np.full((30, 41, 3), 200, np.uint8)
        assert session.stylize(image).shape == image.shape
