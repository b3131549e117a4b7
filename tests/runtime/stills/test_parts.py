"""People and background of a picture painted differently, in 8 and in 16 bits."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.pictures.reading import Picture
from runtime.regions.matte import Matte
from runtime.stills.parts import Parts


class Half:
    """People are on the right."""

    def mask(self, image):
        assert image.dtype == np.uint8
        mask = np.zeros((64, 64), np.float32)
        mask[:, 32:] = 1
        return mask


class Gray:
    """Paints everything in one gray."""

    def paint(self, picture):
        return replace(picture, pixels=np.full_like(picture.pixels, 90))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("region", ["person", "background"])
@pytest.mark.parametrize("beside", [None, Gray()])
def test_a_painting_goes_where_it_should(dtype, region, beside):
    picture = Picture(np.full((64, 64, 3), 20, dtype))
    painted = replace(picture, pixels=np.full((64, 64, 3), 200, dtype))
    found = Parts(region, Matte(Half(), calm=False), beside).together(picture, painted).pixels
    assert found.dtype == dtype
    left, right = found[:, :20], found[:, 44:]
    inside, outside = (right, left) if region == "person" else (left, right)
    assert (inside == 200).all()
    assert (outside == (20 if beside is None else 90)).all()
