"""Laws of scaling, fitted to measured medians: time and memory over pixels, time over threads.

t(P) = fixed + slope P            P in megapixels; relative errors are minimized
t(P) ~ P^exponent                 the straight line in a double logarithmic plot
t(n) = t(1) (s + (1 - s) / n)     Amdahl 1967: s is the share that no thread can take over
"""

import math
from collections.abc import Sequence

import numpy as np

from .results import Row

MEGA = 1e6


def fit_line(pixels: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """`{"fixed", "per_megapixel", "exponent", "worst_percent"}` of value against pixels.

    `worst_percent` is the largest relative error of the line at a measured point: the law holds
    between the sizes measured, as well as this says.

    Raises:
        ValueError: fewer than three points, or values that are not above zero.
    """
    x, y = np.asarray(pixels, np.float64) / MEGA, np.asarray(values, np.float64)
    if len(x) < 3 or (y <= 0).any() or (x <= 0).any():
        raise ValueError(
            f"a line needs three points above zero, got {list(zip(x, y, strict=True))}"
        )
    # Dividing every equation by its value makes a 10 % error count the same at every size.
    terms = np.stack([1 / y, x / y], axis=1)
    fixed, slope = np.linalg.lstsq(terms, np.ones_like(y), rcond=None)[0]
    exponent = np.polyfit(np.log(x), np.log(y), 1)[0]
    worst = np.abs((fixed + slope * x) / y - 1).max()
    return {
        "fixed": float(fixed),
        "per_megapixel": float(slope),
        "exponent": float(exponent),
        "worst_percent": float(100 * worst),
    }


def fit_threads(threads: Sequence[int], values: Sequence[float]) -> dict[str, float]:
    """`{"serial_percent", "speedup"}` from times at one and more threads.

    Returns:
        the serial share s of Amdahl's law (least squares over all thread counts; below zero when
        more threads gain more than their number), and the speedup at the largest count.

    Raises:
        ValueError: no time at one thread, or at one thread only.
    """
    times = dict(zip(threads, values, strict=True))
    if 1 not in times or len(times) < 2:
        raise ValueError(f"need times at one and at more threads, got {sorted(times)}")
    many = [n for n in times if n > 1]
    # t(n)/t(1) - 1/n = s (1 - 1/n): a line through the origin.
    gain = [1 - 1 / n for n in many]
    rest = [times[n] / times[1] - 1 / n for n in many]
    share = math.fsum(g * r for g, r in zip(gain, rest, strict=True)) / math.fsum(
        g * g for g in gain
    )
    return {"serial_percent": 100 * share, "speedup": times[1] / times[max(many)]}


def fit_rows(rows: list[Row]) -> list[Row]:
    """Result rows of the laws that these latency rows allow; empty where there are too few sizes.

    One per model, engine, device and threads for pixels ("fit" is "pixels"), one per model, engine,
    device and size for threads ("fit" is "threads").
    """
    found = []
    for key, group in _groups(rows, ("model", "engine", "device", "threads")).items():
        if len(group) >= 3:
            found.append(_row(key, "pixels", _pixel_metrics(group)))
    for key, group in _groups(rows, ("model", "engine", "device", "size")).items():
        counts = [row["labels"]["threads"] for row in group]
        if 1 in counts and len(set(counts)) > 1:
            times = [row["metrics"]["total_p50_ms"] for row in group]
            law = {name: round(v, 3) for name, v in fit_threads(counts, times).items()}
            found.append(_row(key, "threads", law))
    return found


def _groups(rows: list[Row], keys: tuple[str, ...]) -> dict[tuple, list[Row]]:
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple((key, row["labels"][key]) for key in keys), []).append(row)
    return groups


def _pixel_metrics(group: list[Row]) -> dict[str, float]:
    pixels = [row["metrics"]["pixels"] for row in group]
    time = fit_line(pixels, [row["metrics"]["total_p50_ms"] for row in group])
    metrics = {
        "fixed_ms": time["fixed"],
        "per_megapixel_ms": time["per_megapixel"],
        "exponent": time["exponent"],
        "worst_percent": time["worst_percent"],
    }
    found = [row["metrics"].get("model_memory_mib") for row in group]
    memory = [value for value in found if value]
    if len(memory) == len(found):
        law = fit_line(pixels, memory)
        metrics |= {
            "fixed_mib": law["fixed"],
            "per_megapixel_mib": law["per_megapixel"],
            "worst_memory_percent": law["worst_percent"],
        }
    return {name: round(value, 3) for name, value in metrics.items()}


def _row(key: tuple, fit: str, metrics: dict[str, float]) -> Row:
    labels = {"fit": fit, **dict(key)}
    return {
        "id": "/".join(["fit", fit, *(str(value) for _, value in key if value is not None)]),
        "labels": labels,
        "metrics": metrics,
    }
