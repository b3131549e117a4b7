"""AdaIN, whitening and coloring, and colors moved between pictures: the anchors of the papers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import UsageError
from training import color_transfer as transfer
from training.feature_statistics import (
    adain,
    channel_moments,
    coloring,
    covariance,
    ridge,
    root_exact,
    roots,
    whiten,
)
from training.feature_statistics import color as give_color


def seeded(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_adain_has_the_moments_of_the_style():
    content, style = seeded(2, 5, 9, 8), 3 * seeded(2, 5, 6, 7, seed=1) + 2
    out = adain(content, *channel_moments(style))
    for found, wanted in zip(channel_moments(out), channel_moments(style), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    again = adain(out, *channel_moments(style))
    torch.testing.assert_close(again, out, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(adain(content, *channel_moments(content)), content)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 4), st.floats(-3, 3))
def test_adain_forgets_scale_and_shift_of_the_content(factor, shift):
    content, moments = seeded(1, 3, 8, 8), channel_moments(seeded(1, 3, 8, 8, seed=1))
    torch.testing.assert_close(
        adain(factor * content + shift, *moments), adain(content, *moments), atol=1e-3, rtol=1e-3
    )


def test_deviation_is_the_biased_one():
    features = torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)
    assert float(channel_moments(features)[1]) == pytest.approx(1.0, abs=1e-4)


def correlated(channels, positions, seed=0):
    return torch.einsum(
        "dc,ncp->ndp",
        seeded(channels, channels, seed=seed),
        seeded(1, channels, positions, seed=seed + 1),
    ).view(1, channels, positions, 1)


def test_roots_agree_with_eigenvalues():
    matrix = ridge(covariance(correlated(32, 500))[1])
    root, inverse = roots(matrix)
    torch.testing.assert_close(root, root_exact(matrix, 0.5, 0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(inverse, root_exact(matrix, -0.5, 0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(root @ root, matrix, rtol=1e-3, atol=1e-3)


def test_white_is_white_and_colored_has_the_style():
    content, style = correlated(8, 400), correlated(8, 300, seed=5) + 1
    white = whiten(content)
    _, found = covariance(white)
    torch.testing.assert_close(found[0], torch.eye(8), atol=0.1, rtol=0)  # the ridge takes a bit
    mean, root = coloring(style)
    out_mean, out = covariance(give_color(white, mean, root))
    style_mean, wanted = covariance(style)
    torch.testing.assert_close(out_mean, style_mean, atol=1e-4, rtol=1e-4)
    assert (out - wanted).norm() < 0.05 * wanted.norm()


def test_wct_with_itself_changes_nothing():
    content = correlated(6, 300)
    out = give_color(whiten(content), *coloring(content))
    assert (out - content).norm() < 1e-3 * content.norm()


def test_fewer_positions_than_channels():
    content = correlated(16, 10)
    out = give_color(whiten(content), *coloring(correlated(16, 200, seed=3)))
    assert torch.isfinite(out).all()
    _, white = covariance(whiten(content))
    values = torch.linalg.eigvalsh(white[0])
    assert values.max() < 1.01 and (values > 0.5).sum() == 9  # rank of ten centered samples


def test_the_exact_root_drops_the_null_space_and_ignores_signs():
    matrix = torch.diag(torch.tensor([4.0, 1.0, 0.0]))[None]
    expected = torch.diag(torch.tensor([0.5, 1.0, 0.0]))[None]
    torch.testing.assert_close(root_exact(matrix, -0.5), expected)


@pytest.mark.parametrize("root", transfer.ROOTS)
def test_transferred_colors_have_mean_and_covariance(root):
    image, other = torch.rand(1, 3, 20, 30), torch.rand(1, 3, 25, 10).square()
    out = transfer.transfer(image, other, root)
    found, wanted = transfer._moments(out), transfer._moments(other)
    torch.testing.assert_close(found[0], wanted[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1], wanted[1], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(transfer.transfer(image, image, root), image, atol=1e-5, rtol=1e-4)


def test_color_map_satisfies_its_equation():
    source, target = (transfer._moments(torch.rand(1, 3, 9, 9))[1] for _ in range(2))
    for root in transfer.ROOTS:
        a = transfer.color_map(source, target, root)
        torch.testing.assert_close(a @ source @ a.transpose(1, 2), target)
    with pytest.raises(UsageError, match='Did you mean "cholesky"'):
        transfer.color_map(source, target, "choleski")


def test_histograms_match_and_identity_stays():
    image, other = torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12) ** 3
    found = transfer.match_histograms(image, other)
    torch.testing.assert_close(
        found.flatten(2).sort(2).values, other.flatten(2).sort(2).values, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(transfer.match_histograms(image, image), image)


def test_luminance_only_keeps_chroma():
    photo, styled = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    same = transfer.from_yiq(transfer.to_yiq(photo))
    torch.testing.assert_close(same, photo, atol=1e-5, rtol=1e-4)
    out = transfer.to_yiq(transfer.luminance_only(styled, photo))
    torch.testing.assert_close(out[:, :1], transfer.to_yiq(styled)[:, :1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(out[:, 1:], transfer.to_yiq(photo)[:, 1:], atol=1e-5, rtol=1e-4)
    gray = transfer.gray_style(styled, photo)
    assert torch.equal(gray[:, 0], gray[:, 2])
    luminance = transfer.to_yiq(photo)[:, :1]
    torch.testing.assert_close(gray[:, :1].mean(), luminance.mean(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gray[:, :1].std(), luminance.std(), atol=1e-4, rtol=1e-3)
