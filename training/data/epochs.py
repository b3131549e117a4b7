"""Which pictures a step shows: in an order drawn anew for each epoch, each picture once.

The order depends on the seed and on the number of the step alone. So a resumed run, and every one
of several processes, knows it without being told: each process cuts its own rows of a batch, and
together they show every picture once per epoch.
"""

from functools import lru_cache

import numpy as np


def shown(step: int, count: int, total: int, seed: int = 0) -> list[int]:
    """Indices of the pictures in a batch.

    Picture r of all that a run shows, r = step * count + (0 ... count - 1), is the (r mod total)-th
    of the permutation of epoch floor(r / total): a batch may end one epoch and begin the next.

    Args:
        step: of the run, from 0.
        count: pictures in every batch.
        total: pictures there are.
        seed: of the order; two folders that are shown side by side need two.
    """
    rows = range(step * count, (step + 1) * count)
    return [int(_order(seed, row // total, total)[row % total]) for row in rows]


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(total)
