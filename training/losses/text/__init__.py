"""Words as a style: the picture moves away from the photo as one text is away from another.

    L = (DIRECTION (1 - cos(I(y) - I(x), T(text) - T(source)))
         + PATCHES mean over patches p of R(1 - cos(I(p) - I(x), T(text) - T(source))))
        / (DIRECTION + PATCHES),            R(s) = s above REJECT, else 0

I and T are the towers of a CLIP model; patches are squares of the picture, seen at an angle. Those
that say the text well enough are left out, so that none is overdone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from runtime.errors import UsageError

from ...clip.folder import Reader
from .. import LossInputs, Target

# The paper's: weights of picture and patches, how many of what side, and what is well enough.
DIRECTION, PATCHES = 500.0, 9000.0
COUNT, SIDE, REJECT = 64, 128, 0.7
# Corners of patches move by up to so much of their side: torchvision's distortion of 0.5, halved as
# there.
TILT = 0.25


@dataclass(frozen=True)
class TextTarget:
    """What the picture should be like, in words.

    Attributes:
        reader: the CLIP model.
        text: "a watercolor painting of flowers".
        source: what the photo is, in words.
        patches: how many squares of the picture are looked at.
    """

    reader: Reader
    text: str
    source: str = "a photo"
    patches: int = COUNT


def direction_distance(moved: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine of each row (N, J) with the one row of `wanted` (1, J): (N,), 0..2."""
    return 1 - F.cosine_similarity(moved, wanted, dim=1, eps=1e-6)


def patch_grids(count: int, side: int, size: tuple[int, int], chance: torch.Generator) -> Tensor:
    """Where squares seen at an angle take their pixels, for `grid_sample`.

    Args:
        count: how many.
        side: px, of the squares before they are tilted; at most the picture's sides.
        size: (height, width) of the picture.
        chance: draws places and corners.

    Returns:
        (count, side, side, 2), x then y, in -1..1 for what is inside.
    """
    height, width = size
    room = torch.tensor([width - side, height - side], dtype=torch.float64)
    first = torch.rand(count, 1, 2, generator=chance, dtype=torch.float64) * room
    square = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.float64)
    inward = 1 - 2 * square
    tilt = TILT * torch.rand(count, 4, 2, generator=chance, dtype=torch.float64)
    corners = first + side * (square + inward * tilt)
    grid = _plane(square.expand(count, 4, 2), corners, side)
    scale = torch.tensor([2 / width, 2 / height], dtype=torch.float64)
    return (grid * scale - 1).float()


def _plane(square: Tensor, corners: Tensor, side: int) -> Tensor:
    """The unit square's places under the homography that brings its corners to `corners`."""
    x, y = square.unbind(2)
    u, v = corners.unbind(2)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows = [
        torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 2),
        torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 2),
    ]
    solved = torch.linalg.solve(torch.cat(rows, 1), torch.cat([u, v], 1)[..., None])
    matrix = torch.cat([solved[..., 0], torch.ones(len(x), 1, dtype=torch.float64)], 1)
    steps = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    flat = torch.stack([across, down, torch.ones_like(down)], 2).view(1, -1, 3)
    seen = flat @ matrix.view(-1, 3, 3).transpose(1, 2)
    return (seen[..., :2] / seen[..., 2:]).view(-1, side, side, 2)


class TextTerm:
    """See the module's docstring; squares are drawn anew for every picture, and the same for the
    same picture. Deviation: corners move inward only, so that no square leaves the picture.

    Reference:
        Kwon, Ye, "CLIPstyler", CVPR 2022 (arXiv:2112.00374), eq. 2, 4 to 6; directions: Gal et al.,
        "StyleGAN-NADA" (arXiv:2108.00946).
    """

    needs = ("photos",)

    def __init__(self, target: Target) -> None:
        if target.text is None:
            raise UsageError(
                'the term "text" needs a text and a CLIP model: --text and --clip, or '
                "text.prompt and text.clip of a recipe"
            )
        self.target, self.clip = target.text, target.text.reader.clip
        read = target.text.reader.read
        self.wanted = read(target.text.text) - read(target.text.source)
        if float(self.wanted.norm()) < 1e-4:
            raise UsageError(
                f'the text "{target.text.text}" says what its source "{target.text.source}" does'
            )

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar, 0..2; 0 where the photos are not known."""
        if inputs.photos is None:
            return torch.zeros((), device=inputs.output.device)
        output = inputs.output.float()
        with torch.no_grad():
            before = self.clip.see(inputs.photos)
        whole = direction_distance(self.clip.see(output.clamp(0, 1)) - before, self.wanted)
        found = [self._patches(output[i : i + 1], before[i : i + 1]) for i in range(len(output))]
        patches = torch.stack(found)
        return ((DIRECTION * whole + PATCHES * patches) / (DIRECTION + PATCHES)).mean()

    def _patches(self, picture: Tensor, before: Tensor) -> Tensor:
        size = (picture.shape[2], picture.shape[3])
        seed = int(picture.detach().double().mean().cpu() * 2**40) % 2**31
        chance = torch.Generator().manual_seed(seed)
        grids = patch_grids(self.target.patches, min(SIDE, *size), size, chance)
        many = picture.clamp(0, 1).expand(len(grids), -1, -1, -1)
        seen = F.grid_sample(
            many, grids.to(picture), padding_mode="reflection", align_corners=False
        )
        distance = direction_distance(self.clip.see(seen) - before, self.wanted)
        return torch.where(distance > REJECT, distance, 0.0).mean()


PLUGIN = TextTerm
