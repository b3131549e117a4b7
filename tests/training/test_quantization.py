import numpy as np
import pytest
import torch

from training import networks
from training.quantization.fake import QuantizedLean, Ranges, rounded_weights
from training.quantization.scales import quantize_range, quantize_weights

NAMES = ("stem", "block0.conv1", "block0.conv2", "block0.conv2.sum")


def ranges(low=-2.0, high=3.0):
    return Ranges({n: (0.0 if n in NAMES[:2] else low, high) for n in NAMES})


def test_weights_are_those_the_file_holds():
    weight = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    weight[2] = 0
    stored, scale = quantize_weights(weight.numpy())
    expected = stored.astype(np.float32) * scale[:, None, None, None]
    assert np.abs(rounded_weights(weight).numpy() - expected).max() < 1e-6


def test_bytes_by_hand():
    # scale 5 / 255, zero point 102
    values = ranges(-2.0, 3.0)("block0.conv2", torch.tensor([-9.0, -2.0, 0.0, 0.0103, 3.0, 9.0]))
    step = 5 / 255
    assert values.tolist() == pytest.approx([-102 * step, -2, 0, step, 153 * step, 153 * step])


def test_what_a_byte_holds_stays():
    scale, zero = quantize_range(-1.3, 4.2)
    held = (torch.arange(256.0) - float(zero)) * float(scale)
    again = Ranges({"x": (-1.3, 4.2)})("x", held)
    assert torch.allclose(again, held, atol=1e-6)


def test_gradients_by_hand():
    chosen = ranges(-2.0, 3.0)
    x = torch.tensor([-5.0, 0.012, 7.0], requires_grad=True)
    (chosen("block0.conv2", x) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [0.0, 10.0, 0.0]
    at = chosen.names.index("block0.conv2")
    # Inside: ten times the rounding error (1 - 0.612 steps) / 255, to high and against low.
    inside = 10 * (1 - 0.012 * 255 / 5) / 255
    assert chosen.low.grad[at] == pytest.approx(1 - inside)
    assert chosen.high.grad[at] == pytest.approx(100 + inside)


def test_the_low_end_after_a_relu_stays_zero():
    chosen = ranges()
    chosen("stem", torch.tensor([-1.0, 0.5])).sum().backward()
    assert chosen.low.grad is None or chosen.low.grad[0] == 0


@pytest.mark.parametrize(
    ("padding", "margin", "most"),
    # What is left of zeros comes from those around the picture, which are half a level off.
    [("zeros", 8, 3e-4), ("replicate", 0, 1e-4), ("replicate", 8, 1e-4), ("reflect", 0, 1e-4)],
)
def test_many_steps_are_as_good_as_floats(monkeypatch, padding, margin, most):
    torch.manual_seed(0)
    config = {"width": 8, "blocks": 1, "margin": margin, "padding": padding}
    generator = networks.build("lean", **config).eval()
    picture = torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        exact = generator(picture)
        coarse = QuantizedLean(generator, ranges(-6.0, 6.0))(picture)
        monkeypatch.setattr("training.quantization.fake.rounded_weights", lambda w: w)
        monkeypatch.setattr("training.quantization.fake.STEPS", 2**20)
        monkeypatch.setattr("training.quantization.scales.STEPS", 2**20)
        monkeypatch.setattr("numpy.uint8", np.int64)
        fine = QuantizedLean(generator, ranges(-6.0, 6.0))(picture)
    assert (coarse - exact).abs().max() > 1e-3
    assert (fine - exact).abs().max() < most


def test_ranges_come_back():
    values = ranges().to_dict()
    assert values == {n: (0.0 if n in NAMES[:2] else -2.0, 3.0) for n in NAMES}
    with pytest.raises(ValueError):
        ranges()("unknown", torch.zeros(1))
