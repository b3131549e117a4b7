"""The painting of a recipe, or a folder of paintings by one hand, as one picture."""

from pathlib import Path

import torch
from torch import Tensor

from runtime.errors import UsageError

from .images import SUFFIXES, load_image

# Most paintings that are laid side by side: 8 x 8 of 256 px are four million pixels, which the loss
# network sees once. Of 300 by Monet, the Gram matrices of 64 differ from those of all by .006 of
# their energy, those of 16 by .03 (relu1_1 to relu4_1, relative as in `losses.style`).
MOST = 64


def load_painting(path: Path, short_side: int) -> Tensor:
    """A painting, or one sheet of a folder's paintings.

    A Gram matrix is a mean over positions, so that of a sheet is the mean of its paintings' (but
    for the seams): a network that is trained on it paints as that hand does and not after one
    picture of it. An alternative to a discriminator, which needs no second network.

    Args:
        path: picture, or folder of pictures; every n-th in the order of their names where there
            are more than 64.
        short_side: px of one painting; 0 keeps the size of a single one and makes a sheet of 256.

    Returns:
        (1, 3, H, W) RGB in [0, 1].

    Raises:
        UsageError: not there, not a picture, or a folder without pictures.
    """
    if not path.is_dir():
        return load_image(path, short_side)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(
            f'no painting in "{path}"; paintings are files ending in {", ".join(sorted(SUFFIXES))}'
        )
    chosen = files[:: -(-len(files) // MOST)]
    return sheet([load_image(file, short_side or 256) for file in chosen])


def sheet(paintings: list[Tensor]) -> Tensor:
    """Squares from the middle of pictures, in rows that make the sheet as square as possible; what
    is left over in the last row is begun with again from the first.

    Args:
        paintings: (1, 3, H, W) each, of one short side S.

    Returns:
        (1, 3, rows * S, columns * S).
    """
    side = min(min(painting.shape[2:]) for painting in paintings)
    squares = [_middle(painting, side) for painting in paintings]
    columns = round(len(squares) ** 0.5)
    rows = -(-len(squares) // columns)
    squares += squares[: rows * columns - len(squares)]
    lines = [torch.cat(squares[row * columns :][:columns], 3) for row in range(rows)]
    return torch.cat(lines, 2)


def _middle(picture: Tensor, side: int) -> Tensor:
    top, left = (picture.shape[2] - side) // 2, (picture.shape[3] - side) // 2
    return picture[:, :, top : top + side, left : left + side]
