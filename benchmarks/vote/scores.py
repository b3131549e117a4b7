"""Bradley-Terry scores of paired comparisons.

    P(i is preferred to j) = p_i / (p_i + p_j),    sum_i log p_i = 0

Fitted by the minorization-maximization of Hunter ("MM algorithms for generalized Bradley-Terry
models", Annals of Statistics 2004); a tie is half a vote for either side. Reported are strengths
log p (0 is the average of the field; a difference of 1 is a preference of 73 to 27) and intervals
by resampling the votes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 10_000
CLOSE = 1e-10  # change of log p at which the fit has arrived
RESAMPLES = 400
INTERVAL = (2.5, 97.5)  # percent: 95 % of the resamples lie between
# Half a vote each way for every pair, so that who never lost has a finite score.
PRIOR = 0.5


@dataclass(frozen=True)
class Vote:
    """One answer.

    Attributes:
        left, right: the two that were shown.
        preferred: one of them, or "" for a tie.
    """

    left: str
    right: str
    preferred: str


@dataclass(frozen=True)
class Score:
    """Of one that was compared.

    Attributes:
        name: its name.
        strength: log p.
        low, high: the interval of that.
        wins, votes: votes for it (ties count a half), and votes it took part in.
    """

    name: str
    strength: float
    low: float
    high: float
    wins: float
    votes: int


def scores(votes: Sequence[Vote], seed: int = 0) -> list[Score]:
    """Best first.

    Args:
        votes: at least one.
        seed: of the resampling.
    """
    names = sorted({name for vote in votes for name in (vote.left, vote.right)})
    place = {name: index for index, name in enumerate(names)}
    # (votes, 3): winner, loser, weight; a tie is two halves.
    rows = np.array(
        [
            (place[one], place[other], weight)
            for vote in votes
            for one, other, weight in _halves(vote)
        ]
    )
    wins = _wins(rows, len(names))
    strengths = fit(wins)
    rng = np.random.default_rng(seed)
    groups = np.cumsum([0, *(len(_halves(vote)) for vote in votes)])
    found = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(votes), len(votes))
        taken = np.concatenate([rows[groups[k] : groups[k + 1]] for k in chosen])
        found.append(fit(_wins(taken, len(names))))
    low, high = np.percentile(np.array(found), INTERVAL, axis=0)
    part = [sum(name in (vote.left, vote.right) for vote in votes) for name in names]
    made = [
        Score(name, float(strengths[k]), float(low[k]), float(high[k]), wins[k].sum(), part[k])
        for k, name in enumerate(names)
    ]
    return sorted(made, key=lambda score: -score.strength)


def fit(wins: np.ndarray) -> np.ndarray:
    """Strengths log p, their mean 0.

    Args:
        wins: (n, n); how often the row was preferred to the column.
    """
    count = len(wins)
    padded = wins + PRIOR * (1 - np.eye(count))
    games = padded + padded.T
    p = np.ones(count)
    for _ in range(ROUNDS):
        shares = games / (p[:, None] + p[None, :])
        np.fill_diagonal(shares, 0.0)
        updated = padded.sum(1) / shares.sum(1)
        updated /= np.exp(np.log(updated).mean())
        arrived = np.abs(np.log(updated / p)).max() < CLOSE
        p = updated
        if arrived:
            break
    return np.log(p)


def _halves(vote: Vote) -> list[tuple[str, str, float]]:
    if not vote.preferred:
        return [(vote.left, vote.right, 0.5), (vote.right, vote.left, 0.5)]
    other = vote.right if vote.preferred == vote.left else vote.left
    return [(vote.preferred, other, 1.0)]


def _wins(rows: np.ndarray, count: int) -> np.ndarray:
    wins = np.zeros((count, count))
    np.add.at(wins, (rows[:, 0].astype(int), rows[:, 1].astype(int)), rows[:, 2])
    return wins
