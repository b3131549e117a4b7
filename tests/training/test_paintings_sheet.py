"""A folder of paintings as one picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.errors import UsageError
from training.data.paintings import MOST, load_painting, sheet
from training.losses.style import gram_matrix


def store(path: Path, level: int, size: tuple[int, int] = (40, 30)) -> None:
    Image.new("RGB", size, (level, level, level)).save(path)


def test_a_file_is_that_painting(tmp_path: Path) -> None:
    store(tmp_path / "a.png", 255)
    assert load_painting(tmp_path / "a.png", 15).shape == (1, 3, 15, 20)


def test_five_paintings_make_three_rows_of_two_and_begin_again(tmp_path: Path) -> None:
    for index in range(5):
        store(tmp_path / f"{index}.png", 50 * index)
    found = load_painting(tmp_path, 10)
    assert found.shape == (1, 3, 30, 20)
    squares = found[0, 0].reshape(3, 10, 2, 10).mean((1, 3)).flatten() * 255
    np.testing.assert_allclose(squares.numpy(), [0, 50, 100, 150, 200, 0], atol=0.01)


def test_many_paintings_are_thinned_out_evenly(tmp_path: Path) -> None:
    for index in range(2 * MOST):
        store(tmp_path / f"{index:03}.png", index, (4, 4))
    found = load_painting(tmp_path, 4)
    assert found.shape == (1, 3, 32, 32)
    assert round(float(found[0, 0, 0, 4]) * 255) == 2


def test_gram_matrix_of_a_sheet_is_the_mean_of_the_paintings() -> None:
    paintings = [torch.rand(1, 3, 8, 8) for _ in range(4)]
    mean = torch.stack([gram_matrix(painting) for painting in paintings]).mean(0)
    torch.testing.assert_close(gram_matrix(sheet(paintings)), mean)


def test_a_folder_without_paintings_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no painting in"):
        load_painting(tmp_path, 10)
