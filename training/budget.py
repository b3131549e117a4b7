"""How many steps fit into a given time on this machine, measured and not guessed."""

import re
import statistics
import time

from runtime.errors import UsageError

from .methods import Method

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
WARM_UP, PROBES = 2, 6  # steps; every second one carries the motion term, so an even number
# Share of the budget spent on steps; the rest is for loading, sheets, checkpoints and the export.
USABLE = 0.9


def parse_budget(text: str) -> float:
    """Seconds of "90s", "10m" or "1.5h".

    Raises:
        UsageError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f'--budget is "{text}"; write 90s, 10m or 1.5h')
    return float(match[1]) * UNITS[match[2]]


def plan_steps(method: Method, seconds: float) -> int:
    """Steps that fit, at least 1; `method` is spent afterwards.

    The middle of the run is measured, where all terms are at work.
    """
    middle = method.recipe.steps // 2
    times = []
    for index in range(WARM_UP + PROBES):
        started = time.perf_counter()
        method.step(middle + index)
        times.append(time.perf_counter() - started)
    return max(1, int(USABLE * seconds / statistics.mean(times[WARM_UP:])))
