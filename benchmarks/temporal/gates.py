"""The conditions under which a temporal number counts at all.

A constant picture has no warping error and a blur has less than the source video. No quotient
closes that hole (dividing by the local variance does not), so a result is only accepted when it
passes every gate; a gate that could not be measured is reported as such and never as passed.
"""

from collections.abc import Mapping

# Style loss over that of the network's own frames.
STYLE_LIMIT = 1.05
# Mean Laplacian over that of the network's own noise-free frames; live and best.
SHARPNESS_LEAST = {"best": 0.85}
SHARPNESS_DEFAULT = 0.90
# Standard deviation over time of mean colors and contrasts in still scenes, in 1/255.
DRIFT_LIMIT = 0.5
# Mean color difference of 16-px cells to the network's frames, in 1/255: a just visible difference
# (about 1 Delta E) is 2 to 3.
PALETTE_LIMIT = 4.0

# Offsets of squares, in 1/255: below this texture that differs from the network's looks alike (0.7
# at most on our clips), from 2 on squares are seen on a wall.
TILE_LIMIT = 1.5

GATES = ("style", "sharpness", "in_step", "steady", "palette", "calmer", "no_squares")


def verdicts(
    measured: Mapping[str, float | None], stabilizer: str = "live"
) -> dict[str, bool | None]:
    """Verdict of every gate: True passed, False failed, None not measured.

    Args:
        measured: `style_ratio`, `sharpness`, `lag_frames`, `drift`, `palette`, `warp_ratio`,
            `tile_edges`, each a number or None (see `benchmarks.temporal.stability`).
        stabilizer: whose gate of sharpness applies.
    """

    def check(name: str, test) -> bool | None:
        value = measured.get(name)
        return None if value is None else bool(test(value))

    least = SHARPNESS_LEAST.get(stabilizer, SHARPNESS_DEFAULT)
    return {
        "style": check("style_ratio", lambda v: v <= STYLE_LIMIT),
        "sharpness": check("sharpness", lambda v: v >= least),
        "in_step": check("lag_frames", lambda v: v == 0),
        "steady": check("drift", lambda v: v <= DRIFT_LIMIT),
        "palette": check("palette", lambda v: v <= PALETTE_LIMIT),
        "calmer": check("warp_ratio", lambda v: v <= 1.0),
        "no_squares": check("tile_edges", lambda v: v <= TILE_LIMIT),
    }


def refused(verdicts: Mapping[str, bool | None]) -> list[str]:
    """Names of the gates that failed."""
    return [name for name, verdict in verdicts.items() if verdict is False]
