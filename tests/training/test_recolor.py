"""The painting in the photos' colors: the recipe option and the function behind it."""

import numpy as np
import torch

from training.data.images import recolored


def test_the_painting_gets_the_photos_mean_and_covariance():
    rng = np.random.default_rng(0)
    painting = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    base = rng.normal(120, 12, (2, 64, 80, 1))
    photos = [
        np.clip(plane + rng.normal(0, 6, (64, 80, 3)) + (20, 0, -20), 0, 255).astype(np.uint8)
        for plane in base
    ]
    moved = recolored(painting, photos)
    assert moved.shape == painting.shape and moved.dtype == torch.float32
    colors = np.concatenate([p[::8, ::8].reshape(-1, 3) for p in photos]) / 255.0
    found = moved[0].permute(1, 2, 0).reshape(-1, 3).double().numpy()
    assert np.allclose(found.mean(0), colors.mean(0), atol=1e-3)
    assert np.allclose(np.cov(found.T), np.cov(colors.T), atol=2e-4)
