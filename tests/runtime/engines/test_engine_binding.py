"""The I/O binding that GPUs use gives what the plain call gives (shown on the CPU)."""

import numpy as np

from runtime.engines.onnxruntime import SPIN_US, OnnxRuntimeEngine


def test_bound_and_plain_runs_agree(invert_model):
    engine = OnnxRuntimeEngine.open(invert_model, "cpu", 1)
    rng = np.random.default_rng(5)
    for size in ((8, 12), (16, 16)):
        image = rng.random((1, 3, *size), np.float32)
        sliced = image[:, :, ::-1]  # not contiguous
        (bound,) = engine._run_bound(["styled"], {"image": sliced})
        assert np.array_equal(bound, engine.run({"image": sliced})["styled"])
        assert np.allclose(bound, 1 - sliced, atol=1e-6)
    engine.device = "cuda:0"  # what is not the CPU goes through the binding
    assert np.array_equal(engine.run({"image": image})["styled"], 1 - image)
    engine.close()


def test_threads_do_not_spin_long(invert_model):
    engine = OnnxRuntimeEngine.open(invert_model, "cpu", 2)
    options = engine._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.spin_duration_us") == str(SPIN_US)
    engine.close()
