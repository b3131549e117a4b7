"""What OpenVINO alone does."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from runtime.model.formats import open_model

pytest.importorskip("openvino", reason="pip install 'impasto[openvino]'")


def test_an_output_keeps_its_name_when_others_are_fused_into_it(tmp_path, build_model):
    """Compiled, depth-to-space, sum and clamp are one value of three names."""
    free = [1, 3, "H", "W"]
    path = build_model(
        tmp_path / "fused.onnx",
        [
            helper.make_node("Conv", ["image", "weight"], ["deep"]),
            helper.make_node("DepthToSpace", ["deep"], ["shuffled"], blocksize=2),
            helper.make_node("Add", ["shuffled", "half"], ["moved"]),
            helper.make_node("Clip", ["moved", "low", "high"], ["styled"]),
        ],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, [1, 3, "2H", "2W"])],
        {
            "weight": np.ones((12, 3, 1, 1), np.float32),
            "half": np.full(1, 0.5, np.float32),
            "low": np.array(0, np.float32),
            "high": np.array(1, np.float32),
        },
    )
    engine = open_model(path, "openvino")
    try:
        assert [value.name for value in engine.outputs] == ["styled"]
        found = engine.run({"image": np.full((1, 3, 2, 2), 0.1, np.float32)})
        assert found["styled"] == pytest.approx(0.8)
    finally:
        engine.close()
