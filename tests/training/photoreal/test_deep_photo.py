"""Deep Photo: regions that match, smoothing with known answers, and the command."""

import numpy as np
import pytest
import torch
from PIL import Image

from training.optimize import main
from training.photoreal.regions import matched, people
from training.photoreal.smoothing import local_affine, window_mean


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_windows_are_cut_off_at_borders():
    ramp = torch.arange(5.0).expand(1, 1, 3, 5)
    assert window_mean(ramp, 1)[0, 0, 1].tolist() == [0.5, 1, 2, 3, 3.5]


def test_an_affine_recoloring_is_left_alone():
    photo = noise(1, 3, 24, 30)
    turned = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.6, -0.2], [0.0, 0.3, 0.4]])
    recolored = torch.einsum("cd,ndhw->nchw", turned, photo) + 0.1
    torch.testing.assert_close(local_affine(recolored, photo, 5, 1e-9), recolored)


def test_strokes_that_the_photograph_does_not_have_go():
    edge = (torch.arange(40) >= 20).float().expand(1, 3, 40, 40)
    strokes = 0.8 * edge + 0.1 + 0.1 * (noise(1, 1, 40, 40) - 0.5)
    smooth = local_affine(strokes, edge, 8)
    expected = 0.8 * edge + 0.1
    assert (smooth - expected).abs().max() < 0.02 < (strokes - expected).abs().max()
    assert float((smooth[..., 20] - smooth[..., 19]).mean()) == pytest.approx(0.8, abs=0.03)


def halves(share: float, size: int = 20) -> torch.Tensor:
    """A mask whose left `share` is a person."""
    return (torch.arange(size) < share * size).float().expand(1, 1, size, size)


@pytest.mark.parametrize(
    ("style", "photo", "own", "partners"),
    [
        (0.5, 0.25, [0.25, 0.75], [0.5, 0.5]),  # both have both
        (0.0, 0.25, [0.25, 0.75], [1.0, 1.0]),  # nobody to take after: the whole picture
        (0.5, 0.0, [1.0], [0.5]),  # nobody in the photograph: background from background
        (0.0, 0.0, [1.0], [1.0]),
        (1.0, 1.0, [1.0], [1.0]),
    ],
)
def test_regions_match(style, photo, own, partners):
    found = matched(halves(style, 40), halves(photo))
    assert found[1].mean((2, 3))[0].tolist() == pytest.approx(own)
    assert found[0].mean((2, 3))[0].tolist() == pytest.approx(partners)
    assert torch.equal(found[1].sum(1), torch.ones(1, 20, 20)), "every pixel has a region"


def test_people_are_found_at_the_pictures_size():
    class Left:
        def mask(self, image: np.ndarray) -> np.ndarray:
            return (np.arange(16) < 8).astype(np.float32)[None].repeat(16, 0)

    photo = halves(0.5, 64).expand(1, 3, 64, 64)
    mask = people(photo, Left())
    assert mask.shape == (1, 1, 64, 64)
    assert mask[..., :28].min() > 0.9 and mask[..., 36:].max() < 0.1


@pytest.fixture
def command(tmp_path, photo_folder, random_weights):
    def run(*more: object) -> int:
        other = tmp_path / "evening.png"
        with Image.open(photo_folder / "coffee.png") as opened:
            Image.fromarray(np.asarray(opened.convert("RGB")) // 2).save(other)
        words = ["--content", photo_folder / "astronaut.png", "--style", other]
        words += ["--output", tmp_path / "out.png", "--weights", random_weights]
        words += ["--size", 64, "--style-size", 64, "--evaluations", 4, "--device", "cpu"]
        return main([str(word) for word in [*words, "--quiet", "--overwrite", *more]])

    return run


def test_the_command_segments_and_keeps_edges(command, tmp_path, photo_folder, capsys):
    assert command("--photorealistic") == 0, capsys.readouterr().err
    realistic = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    assert command() == 0
    painted = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    assert realistic.shape == painted.shape and not np.array_equal(realistic, painted)


def test_masks_of_ones_own_take_the_place_of_the_network(command, tmp_path):
    mask = tmp_path / "mask.png"
    Image.fromarray((halves(0.5, 64)[0, 0].numpy() * 255).astype(np.uint8)).save(mask)
    assert command("--photorealistic", "--region", f"{mask}:{mask}", "--scales", 2) == 0


def test_colors_cannot_be_kept_and_changed(command, capsys):
    assert command("--photorealistic", "--keep-color") == 2
    assert "--keep-color" in capsys.readouterr().err
