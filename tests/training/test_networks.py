"""What every generator must obey; a new file in training/networks is tested by being there."""

import pytest
import torch

from runtime.errors import UsageError
from training import networks
from training.networks.layers import blur

SMALL = {"johnson": {"width": 4, "blocks": 1}, "lean": {"width": 8, "blocks": 1}}
FORMS = [("johnson", {}), ("johnson", {"antialias": True}), ("lean", {})]


@pytest.fixture(params=FORMS, ids=str)
def generator(request):
    torch.manual_seed(0)
    name, more = request.param
    return networks.build(name, **SMALL[name], **more).eval()


def test_shape_is_kept(generator):
    step = generator.multiple_of
    for height, width in ((8 * step, 12 * step), (9 * step, 8 * step)):
        images = torch.rand(2, 3, height, width)
        assert generator(images).shape == images.shape


def test_pictures_of_a_batch_do_not_mix(generator):
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        both = generator(images)
        torch.testing.assert_close(both[1:], generator(images[1:]), atol=1e-5, rtol=1e-4)


def test_it_says_what_the_runtime_must_know(generator):
    assert generator.multiple_of >= 1
    assert generator.normalization in ("instance", "none")
    assert generator.overlap > 0
    assert generator.config["width"] == SMALL[generator.name]["width"]


def test_overlap_covers_the_receptive_field():
    """Without instance normalization a far pixel must not matter beyond `overlap`."""
    for name, more in FORMS:
        torch.manual_seed(1)
        # Wide enough that some ReLU is open at the pixel that is looked at.
        wide = {**SMALL[name], **more, "width": 16, "normalization": "none"}
        generator = networks.build(name, **wide).eval()
        images = torch.rand(1, 3, 128, 128, requires_grad=True)
        generator(images)[0, :, 64, 64].sum().backward()
        rows, columns = images.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
        reach = max(abs(rows - 64).max(), abs(columns - 64).max())
        assert reach <= generator.overlap + generator.multiple_of, (name, int(reach))


def test_blur_by_hand():
    x = torch.zeros(1, 2, 5, 5)
    x[0, 1, 2, 2] = 16
    found = blur(x)
    assert found[0, 0].abs().max() == 0
    assert found[0, 1, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert blur(x, 2)[0, 1].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


def test_blur_stops_what_a_stride_would_fold():
    checkers = torch.tensor([0.0, 1.0]).repeat(8)[None, None, None].expand(1, 1, 16, 16)
    torch.testing.assert_close(blur(checkers, 2), torch.full((1, 1, 8, 8), 0.5))


def test_antialiasing_makes_an_untrained_network_care_less_where_its_grid_lies():
    """Shift by one pixel: what changes of the picture, in shares of its variance."""
    errors = {}
    for antialias in (False, True):
        torch.manual_seed(0)
        network = networks.build("johnson", width=8, blocks=1, antialias=antialias).eval()
        images = torch.rand(1, 3, 96, 97)
        with torch.no_grad():
            one, other = network(images[..., :-1])[..., 1:], network(images[..., 1:])[..., :-1]
        one, other = one[..., 24:-24, 24:-24], other[..., 24:-24, 24:-24]
        errors[antialias] = float((one - other).square().mean() / one.var())
    assert errors[True] < 0.5 * errors[False]


def test_lean_frame_is_clean():
    """The margin makes the border of a picture look as if the picture went on."""
    torch.manual_seed(0)
    generator = networks.build("lean", width=8, blocks=1, normalization="none").eval()
    image = torch.full((1, 3, 64, 64), 0.3)
    with torch.no_grad():
        styled = generator(image)
    inner = styled[:, :, 32:36, 32:36]
    torch.testing.assert_close(styled[:, :, :4, :4], inner, atol=1e-4, rtol=0)


def test_lean_starts_gray_and_without_checkerboard():
    generator = networks.build("lean", width=16, blocks=2)
    with torch.no_grad():
        styled = generator(torch.rand(1, 3, 64, 64))
    assert abs(styled.mean() - 0.5) < 0.1
    cells = styled.unfold(2, 4, 4).unfold(3, 4, 4)
    assert cells.var((-1, -2)).max() < 1e-8


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("leen", {}, 'Did you mean "lean"?'),
        ("lean", {"width": 0}, "is 0, allowed is 1..4096"),
        ("lean", {"margin": 10}, "multiple of scale"),
        ("johnson", {"blokcs": 3}, 'Did you mean "blocks"?'),
    ],
)
def test_bad_configurations(name, config, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        networks.build(name, **config)
