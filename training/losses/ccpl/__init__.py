"""Contrastive coherence: what differs between neighbors differs alike in the photo and the picture.

Textures that hold on to what they lie on keep still when it does, and move with it when it moves:
clips are calmer for a term that sees stills only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import LossInputs, Target

# The paper's: places of each picture and layer, and the temperature.
ANCHORS, TEMPERATURE = 8, 0.07
AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def contrast(ours: Tensor, theirs: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """InfoNCE: the m-th of ours should be like the m-th of theirs and unlike their others.

        L = mean over m of -log( exp(g_m.c_m / t) / sum over n of exp(g_m.c_n / t) )

    Args:
        ours, theirs: (N, K, C); brought to length 1 here. Only pairs within a picture count.
        temperature: t.

    Returns:
        scalar; log K where nothing tells the K apart, log(1 + (K - 1) exp(-1 / t)) where all are
        right angles to one another.
    """
    g, c = F.normalize(ours, dim=2), F.normalize(theirs, dim=2)
    logits = g @ c.transpose(1, 2) / temperature
    wanted = torch.arange(g.shape[1], device=g.device).expand(g.shape[0], -1)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten())


def differences(features: Tensor, places: Tensor) -> Tensor:
    """A place minus each of its eight neighbors.

    Args:
        features: (N, C, h, w).
        places: (N, A, 2) rows and columns of anchors, at least 1 from the borders.

    Returns:
        (N, 8 A, C).
    """
    pictures = torch.arange(len(features), device=features.device)[:, None]
    rows, columns = places.unbind(2)
    anchors = features[pictures, :, rows, columns]
    around = [features[pictures, :, rows + dy, columns + dx] for dy, dx in AROUND]
    return torch.stack([anchors - other for other in around], 2).flatten(1, 2)


def draw_places(photos: Tensor, size: tuple[int, int], anchors: int = ANCHORS) -> Tensor:
    """Places by chance, the same for the same photo: resumed runs and line searches see them again.

    Args:
        photos: (N, 3, H, W).
        size: (height, width) of the features, at least 3.
        anchors: how many for each photo.

    Returns:
        (N, A, 2) on the photos' device.
    """
    drawn = []
    for photo in photos.detach():
        # A picture's own mean, to 24 bits: no two photos share it, and no batch changes it.
        seed = int(photo.double().mean().cpu() * 2**24) % 2**31
        chance = torch.Generator().manual_seed(seed)
        sides = [torch.randint(1, side - 1, (anchors,), generator=chance) for side in size]
        drawn.append(torch.stack(sides, 1))
    return torch.stack(drawn).to(photos.device)


class Head(nn.Sequential):
    """The paper's projection of the differences of one layer, (..., C) -> (..., C / 4): two linear
    layers with a ReLU between, in which only what coherence is about has to agree.

    Widths are those of the authors' code, started from one seed.
    """

    def __init__(self, channels: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(channels)
            out = max(1, channels // 4)
            super().__init__(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, out))


class CcplTerm:
    """`contrast` of `differences` in picture and photo, projected, averaged over the layers.

    The projection learns with the generator (`learn`). Whoever scores pictures alone compares the
    differences themselves: what a head makes of them says nothing without its training.

    Deviation: a mean over layers in place of a sum. Layers under 3x3 are left out.

    Reference:
        Wu, Zhu, Du, Bai, "CCPL: Contrastive Coherence Preserving Loss for Versatile Style
        Transfer", ECCV 2022 (arXiv:2207.04808), section 3.2; weight 5.
    """

    needs = ("features", "photos")

    def __init__(self, target: Target) -> None:
        self.backbone, self.layers = target.backbone, set(target.style_layers)
        self.channels = {n: target.style_features[n].shape[1] for n in sorted(self.layers)}
        self.heads: nn.ModuleDict | None = None

    def learn(self) -> nn.Module:
        """The projection's weights, in use from now on; see `Learner`."""
        self.heads = nn.ModuleDict({name: Head(size) for name, size in self.channels.items()})
        return self.heads

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 where the photos are not known."""
        found: list[Tensor] = []
        if inputs.photos is not None:
            with torch.no_grad():
                theirs = self.backbone(inputs.photos, self.layers)
            for layer in sorted(self.layers):
                features = inputs.features[layer].float()
                size = (features.shape[2], features.shape[3])
                if min(size) >= 3:
                    places = draw_places(inputs.photos, size)
                    ours, known = (
                        differences(f, places) for f in (features, theirs[layer].float())
                    )
                    if self.heads is not None:
                        head = self.heads[layer]
                        ours, known = head(ours), head(known)
                    found.append(contrast(ours, known))
        zero = torch.zeros((), device=inputs.output.device)
        return torch.stack(found).mean() if found else zero


PLUGIN = CcplTerm
