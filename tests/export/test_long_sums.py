"""Sums over a million positions keep their digits in graphs, which add one number after another."""

import onnxruntime
import torch
from torch import nn

from export.tracing import to_onnx
from training.feature_statistics import covariance


class Covariance(nn.Module):
    def forward(self, features):
        return covariance(features)


def test_a_covariance_of_a_whole_frame_is_exact_in_its_graph():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 8, 720, 1280, generator=generator)
    mixed = torch.einsum("dc,nchw->ndhw", torch.rand(8, 8, generator=generator), noise)
    features = 20 + torch.relu(mixed)  # means that are large beside the deviations
    model = to_onnx(Covariance(), [features], 18, ["features"], ["center", "spread"])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    mean, matrix = map(torch.from_numpy, session.run(None, {"features": features.numpy()}))
    flat = features.flatten(2).double()
    centered = flat - flat.mean(2, keepdim=True)
    wanted = centered @ centered.transpose(1, 2) / flat.shape[2]
    torch.testing.assert_close(mean.double(), flat.mean(2), rtol=1e-6, atol=0)
    torch.testing.assert_close(matrix.double(), wanted, rtol=1e-5, atol=0)
