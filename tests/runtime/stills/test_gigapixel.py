"""A picture of 20000x20000 pixels through an instance-normalized network in 4 GB."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from runtime.card import ModelCard, Port
from runtime.pictures import writing
from runtime.pictures.reading import Picture

ROOT = Path(__file__).resolve().parents[3]
SIDE = 20000


def small_net(path: Path, build_model) -> Path:
    """Space-to-depth, convolution, instance normalization, convolution, depth-to-space."""
    rng = np.random.default_rng(0)
    weights = {
        "k1": (rng.standard_normal((16, 48, 3, 3)) / 20).astype(np.float32),
        "gain": np.ones(16, np.float32),
        "bias": np.zeros(16, np.float32),
        "k2": (rng.standard_normal((48, 16, 3, 3)) / 12).astype(np.float32),
    }
    nodes = [
        helper.make_node("SpaceToDepth", ["image"], ["a"], blocksize=4),
        helper.make_node("Conv", ["a", "k1"], ["b"], pads=[1] * 4),
        helper.make_node("InstanceNormalization", ["b", "gain", "bias"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "k2"], ["e"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["e"], ["f"], blocksize=4),
        helper.make_node("Sigmoid", ["f"], ["styled"]),
    ]
    make, shape = helper.make_tensor_value_info, ["N", 3, "H", "W"]
    card = ModelCard("small", "test", (Port("image"),), (Port("styled"),), multiple_of=4)
    return build_model(
        path, nodes, [make("image", 1, shape)], [make("styled", 1, shape)], weights, card=card
    )


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["small", "starry-fp32"])
def test_gigapixel_class_picture_in_four_gigabytes(tmp_path, build_model, name):
    """With a bundled network of seven normalizations, too (14 minutes of processor time)."""
    from skimage import data

    bundled = ROOT / "models" / f"{name}.onnx"
    model = bundled if name != "small" else small_net(tmp_path / "small.onnx", build_model)
    astronaut = data.astronaut()
    row = np.tile(astronaut, (1, SIDE // 512 + 1, 1))[:, :SIDE]
    pixels = np.tile(row, (SIDE // 512 + 1, 1, 1))[:SIDE]
    writing.write(tmp_path / "large.png", [Picture(pixels)])
    del pixels
    command = [sys.executable, "-m", "runtime.image", "--model", str(model), "--memory", "4"]
    command += ["--input", str(tmp_path / "large.png"), "--output", str(tmp_path / "out.png")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    run = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "memory: about" in run.stderr and "tiles of" in run.stderr
    result = json.loads(run.stdout)
    assert (result["width"], result["height"]) == (SIDE, SIDE)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert peak < 4 * 2**30 and peak >= before
