import torch

from training.losses import LossInputs, Target
from training.losses.palette import PaletteTerm, cell_colors


def term(painting):
    return PaletteTerm(Target(None, {}, (), {}, painting=painting))


def test_cells_are_means():
    image = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert cell_colors(image).shape == (1, 3, 1, 1)
    assert float(cell_colors(image)[0, 0]) == 31.5


def test_zero_for_the_same_colors_in_any_place():
    painting = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    cells = painting.reshape(1, 3, 8, 8, 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 64, 64)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    shuffled = cells.reshape(1, 3, 64, 64)[:, :, order]
    moved = painting.roll((8, 24), (2, 3))
    assert float(term(painting)(LossInputs(moved))) < 1e-10
    assert float(term(painting)(LossInputs(shuffled))) > 0  # cells are cut through: other colors


def test_a_rare_color_left_out_costs_its_share():
    painting = torch.zeros(1, 3, 80, 80)
    painting[:, 2] = 0.5
    painting[:, :2, :16, :40] = 0.9  # a tenth is yellow
    blue = torch.zeros(1, 3, 80, 80)
    blue[:, 2] = 0.5
    left_out, half = float(term(painting)(LossInputs(blue))), painting.clone()
    half[:, :2, :8] = 0.0
    assert left_out > float(term(painting)(LossInputs(half))) > 0


def test_gradients_are_finite():
    output = torch.rand(2, 3, 64, 64, requires_grad=True)
    term(torch.rand(1, 3, 48, 96))(LossInputs(output)).backward()
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0
