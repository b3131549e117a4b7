"""How a filter paints, next to its source: both beside the pictures of the teacher that it learned
from, on pairs that were held out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runtime.card import JsonObject
from runtime.errors import ParityError
from runtime.frame import Image
from runtime.model.session import StyleSession

if TYPE_CHECKING:
    from training.data.paired import Pairs

# dB of PSNR to the teacher's pictures that an artifact may lose against its source, of each
# precision: less than anyone sees, and more than rounding costs at 30 dB.
MOST_LOST = {"fp32": 0.01, "fp16": 0.05, "int8": 0.5}


# Rounding adds errors of its own size, however good the filter is: what those of `MOST_LOST` are at
# 30 dB (a mean squared error of 1.2e-4, 39 dB by itself) is no reason to refuse a better one.
MOST_ADDED = {p: 10**-3.0 * (10 ** (lost / 10) - 1) for p, lost in MOST_LOST.items()}


def evaluate_by_pairs(
    pairs: Pairs, ours: StyleSession, theirs: StyleSession, precision: str
) -> JsonObject:
    """Mean PSNR and LPIPS-squeezenet (where its weights are here) of both over the pairs.

    Args:
        pairs: photos, and the teacher's pictures of them.
        ours: the source as a session.
        theirs: the artifact.
        precision: key of `MOST_LOST`.

    Returns:
        {"source": scores, "artefact": scores, "psnr_lost_db", "most_lost_db", "error_added" (mean
        squared, of values in 0..1), "most_added", "pairs"}.
    """
    from training.data.images import to_tensor
    from training.pairs.held_out import mean_scores
    from training.pairs.likeness import Likeness

    likeness = Likeness()

    def scores(session: StyleSession) -> dict[str, float]:
        def paint(picture: Image):
            session.reset()
            return to_tensor(session.stylize(np.ascontiguousarray(picture)))

        return mean_scores(paint, pairs.images, likeness)

    found = {"source": scores(ours), "artefact": scores(theirs)}
    before, after = (found[key]["psnr_db"] for key in ("source", "artefact"))
    return {
        **found,
        "psnr_lost_db": before - after,
        "most_lost_db": MOST_LOST[precision],
        "error_added": 10 ** (-after / 10) - 10 ** (-before / 10),
        "most_added": MOST_ADDED[precision],
        "pairs": len(pairs.images),
    }


def refuse_further(report: JsonObject, name: str) -> None:
    """Raise ParityError if the artifact is further from the teacher than allowed: in decibels, and
    by the error itself."""
    lost, most = report["psnr_lost_db"], report["most_lost_db"]
    if not (lost <= most or report["error_added"] <= report["most_added"]):
        raise ParityError(
            f"{name} is further from its teacher than its source: {lost:.2f} dB are lost, at most "
            f"{most} are allowed"
        )
