"""Which of several engines runs a model fastest here: measured once, kept in the cache folder.

Engines round differently: of float32 files some values in ten thousand differ by one level, of
files in bytes every third. So a measured engine is for those who ask for it: left alone, the same
input gives the same bytes everywhere, and a killed run goes on as it began.
"""

import json
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..card import JsonObject
from ..errors import StyleError
from ._cache import cache_folder, write_file
from ._optimized import processor

FILE = "engines.json"
# Seconds of runs of one engine, the first of which is a warm-up; what is taken is the quickest, on
# which other programs have the least share.
BUDGET_S = 0.2
# Another engine than the usual one must be faster than this share of its time: measurements differ
# by as much, and it takes longer to start.
WORTH = 0.9
# Models whose times are kept.
MOST = 256


def fastest(
    names: Sequence[str],
    model: bytes,
    facts: Sequence[object],
    open_run: Callable[[str], tuple[Callable[[], object], Callable[[], None]]],
) -> tuple[str, dict[str, float]]:
    """The name of the fastest engine, and the milliseconds of each.

    Args:
        names: of engines that read the model, the usual one first; it wins if nothing runs.
        model: its bytes.
        facts: what else the times depend on: versions, threads.
        open_run: opens the model on an engine; gives what runs it once and what closes it. May
            raise StyleError.
    """
    known = _load()
    machine = zlib.crc32(repr((facts, processor())).encode())
    key = f"{zlib.crc32(model):08x}-{len(model):x}-{machine:08x}"
    times: dict[str, float] = known.pop(key, {})
    if set(times) != set(names):
        times = {name: _measure(open_run, name) for name in names}
    known[key] = times  # the newest last
    with suppress(OSError):
        kept = dict(list(known.items())[-MOST:])
        write_file(cache_folder() / FILE, json.dumps(kept, indent=1).encode())
    shares = {name: (times[name] or float("inf")) for name in names}
    shares[names[0]] *= WORTH
    return min(names, key=lambda name: shares[name]), times


def _measure(
    open_run: Callable[[str], tuple[Callable[[], object], Callable[[], None]]], name: str
) -> float:
    """Milliseconds of the quickest run; 0 where the engine does not run this model."""
    try:
        run, close = open_run(name)
    except StyleError:
        return 0.0
    found = float("inf")
    try:
        run()
        until = time.perf_counter() + BUDGET_S
        while time.perf_counter() < until:
            begun = time.perf_counter()
            run()
            found = min(found, time.perf_counter() - begun)
    except StyleError:
        return 0.0
    finally:
        close()
    return round(found * 1000, 2) if found < float("inf") else 0.0


def _load() -> dict[str, JsonObject]:
    """What is kept; nothing if the file is not there, or not ours."""
    try:
        data = json.loads((cache_folder() / FILE).read_bytes())
        good = isinstance(data, dict) and all(
            isinstance(times, dict) and all(isinstance(ms, int | float) for ms in times.values())
            for times in data.values()
        )
        return data if good else {}
    except (OSError, ValueError, RecursionError):
        return {}
