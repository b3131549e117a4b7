"""A generator as a function on pictures."""

import torch

from training import networks
from training.painting import paint


def test_any_size_is_padded_and_cut():
    torch.manual_seed(0)
    generator = networks.build("lean", width=8, blocks=1).eval()
    images = torch.rand(1, 3, 45, 50)
    painted = paint(generator, images)
    assert painted.shape == images.shape and not painted.requires_grad
    assert painted.min() >= 0 and painted.max() <= 1


def test_what_fits_is_painted_as_it_is():
    class Brighter(torch.nn.Module):
        multiple_of = 4

        def forward(self, images):
            assert images.shape == (1, 3, 8, 12)
            return images + 0.75

    assert paint(Brighter(), torch.full((1, 3, 8, 12), 0.5)).unique().tolist() == [1.0]
    assert paint(Brighter(), torch.full((1, 3, 8, 11), 0.125)).unique().tolist() == [0.875]
