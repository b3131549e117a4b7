"""scikit-learn's handwritten digits as training pictures, and an evaluator that reads them.

1797 scans of 8x8 px by 43 people (Alpaydin and Kaynak, UCI repository, 1998): real handwriting,
small enough to be learned on one core. Nothing of scikit-learn is imported: its data file is read.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture

from runtime.errors import EngineUnavailable

if TYPE_CHECKING:
    from torch import nn

SIDE = 16  # px; twice that of the scans, the smallest that training takes
LEARNED = 1200  # the first of them teach the evaluator, the others check it
LEVELS = 16  # brightest value of the scans
STEPS, BATCH, RATE = 400, 100, 3e-3  # of the evaluator
FEATURES = 48


@lru_cache(maxsize=1)
def load() -> tuple[np.ndarray, np.ndarray]:
    """(pictures (1797, 16, 16) float32 in [0, 1], white on black; labels (1797,) 0..9).

    Raises:
        EngineUnavailable: scikit-learn is not installed.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise EngineUnavailable("the digits are scikit-learn's: pip install scikit-learn")
    table = np.loadtxt(Path(found.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    scans = (table[:, :-1].reshape(-1, 8, 8) * (255 / LEVELS)).astype(np.uint8)
    large = [
        Picture.fromarray(scan).resize((SIDE, SIDE), Picture.Resampling.BICUBIC) for scan in scans
    ]
    return np.stack([np.asarray(p) for p in large]) / np.float32(255), table[:, -1].astype(int)


def write(folder: Path) -> Path:
    """All digits as files, for a recipe's `data.content`."""
    folder.mkdir(parents=True)
    for index, picture in enumerate(load()[0]):
        rounded = np.round(255 * picture).astype(np.uint8)
        Picture.fromarray(rounded).save(folder / f"{index:04d}.png")
    return folder


class Reader:
    """Reads digits: a small convolutional network, and its features.

    Trained at once, the same at every call: seconds on one core.
    """

    def __init__(self, seed: int = 0) -> None:
        import torch
        from torch.nn import functional as F

        pictures, labels = (torch.from_numpy(part) for part in load())
        pictures = pictures[:, None]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body, self.head = _network()
            weights = [*self.body.parameters(), *self.head.parameters()]
            adam = torch.optim.Adam(weights, RATE)
            for _ in range(STEPS):
                chosen = torch.randint(LEARNED, (BATCH,))
                scores = self.head(self.body(pictures[chosen]))
                adam.zero_grad()
                F.cross_entropy(scores, labels[chosen]).backward()
                adam.step()
        self.body.eval()
        unseen = self.read(pictures[LEARNED:, 0].numpy())[0]
        self.accuracy = float((unseen == labels[LEARNED:].numpy()).mean())

    def read(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(labels (n,), features (n, 48) float64) of pictures (n, 16, 16) in [0, 1]."""
        import torch

        with torch.no_grad():
            features = self.body(torch.from_numpy(np.float32(pictures))[:, None])
            return self.head(features).argmax(1).numpy(), features.double().numpy()


def _network() -> "tuple[nn.Module, nn.Module]":
    from torch import nn

    body = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 16, FEATURES), nn.Tanh()),
    )
    return body, nn.Linear(FEATURES, 10)
