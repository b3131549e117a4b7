import numpy as np
from PIL import Image

from benchmarks.sheet import fit_height, lay_out


def test_pictures_keep_their_shape():
    assert fit_height(np.zeros((100, 250, 3), np.uint8), 50).shape == (50, 125, 3)
    assert fit_height(np.zeros((30, 20, 3), np.uint8), 60).shape == (60, 40, 3)


def test_rows_are_centered_on_white():
    black = np.zeros((10, 20, 3), np.uint8)
    sheet = lay_out([[black], [black, black]], gap=2)
    assert sheet.shape == (2 + 12 + 12, 2 + 22 + 22, 3)
    assert (sheet[2:12, 2 + 11 : 2 + 11 + 20] == 0).all()
    assert (sheet[:2] == 255).all()
    assert Image.fromarray(sheet).getpixel((0, 5)) == (255, 255, 255)
