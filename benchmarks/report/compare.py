"""Two result files of the same kind: what became slower, beyond what the noise can explain."""

from dataclasses import asdict, dataclass

from runtime.errors import UsageError

from ..measuring.results import Facts
from ..measuring.statistics import median, median_interval
from .tables import Document, Row, markdown, number

# The times compared, first one present wins.
TIMES = ("total", "frame")


@dataclass(frozen=True, slots=True)
class Change:
    """One row of both files.

    Attributes:
        name: the row's id.
        before_ms, after_ms: medians.
        ratio: after / before (of the ratios to another model, if asked); above 1 is slower.
        low, high: interval of the ratio, from the ends of both medians' 95 % intervals, so wider
            than 95 %; None without enough samples.
        verdict: "slower" or "faster" if the whole interval is beyond the tolerance, else "same";
            "unsure" without an interval.
    """

    name: str
    before_ms: float
    after_ms: float
    ratio: float
    low: float | None
    high: float | None
    verdict: str

    def to_json(self) -> Facts:
        """As a dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Center:
    """A median and its interval."""

    middle: float
    low: float | None
    high: float | None

    def over(self, other: "_Center") -> "_Center":
        """The quotient; its interval is the widest that both allow."""
        known = None not in (self.low, self.high, other.low, other.high)
        return _Center(
            self.middle / other.middle,
            self.low / other.high if known else None,  # type: ignore[operator]
            self.high / other.low if known else None,  # type: ignore[operator]
        )


def _center(row: Row) -> _Center | None:
    metrics = row["metrics"]
    for part in TIMES:
        values = metrics.get(f"{part}_times_ms")
        if values:
            return _Center(median(values), *(median_interval(values) or (None, None)))
        if metrics.get(f"{part}_p50_ms"):
            return _Center(
                metrics[f"{part}_p50_ms"],
                metrics.get(f"{part}_low_ms"),
                metrics.get(f"{part}_high_ms"),
            )
    return None


def compare(
    older: Document, newer: Document, tolerance: float = 5.0, relative_to: str | None = None
) -> list[Change]:
    """Every row that both files have.

    Args:
        older: result file.
        newer: result file of the same kind.
        tolerance: percent; a change that may be smaller than this is "same".
        relative_to: a model in both files; each row is first divided by its row at the same size,
            device and threads, which makes files of different machines comparable.

    Raises:
        UsageError: different kinds, nothing in common, or `relative_to` is not in both files.
    """
    if older["kind"] != newer["kind"]:
        raise UsageError(f"cannot compare {older['kind']} with {newer['kind']}")
    before, after = _centers(older, relative_to), _centers(newer, relative_to)
    common = [name for name in before if name in after]
    if not common:
        raise UsageError("the two files have no row in common")
    return [_change(name, before[name], after[name], tolerance) for name in common]


def _centers(data: Document, relative_to: str | None) -> dict[str, tuple[float, _Center]]:
    """Row id to (its median, what is compared)."""
    rows = [(row, center) for row in data["rows"] if (center := _center(row)) is not None]
    if relative_to is None:
        return {row["id"]: (center.middle, center) for row, center in rows}

    def place(row: Row) -> tuple[object, ...]:
        return tuple(row["labels"].get(key) for key in ("size", "device", "threads"))

    base = {place(row): center for row, center in rows if row["labels"]["model"] == relative_to}
    if not base:
        raise UsageError(f'no row of the model "{relative_to}" to compare with')
    return {
        row["id"]: (center.middle, center.over(base[place(row)]))
        for row, center in rows
        if place(row) in base and row["labels"]["model"] != relative_to
    }


def _change(
    name: str, before: tuple[float, _Center], after: tuple[float, _Center], tolerance: float
) -> Change:
    ratio = after[1].over(before[1])
    limit = 1 + tolerance / 100
    verdict = "same"
    if ratio.low is None or ratio.high is None:
        verdict = "unsure"
    elif ratio.low > limit:
        verdict = "slower"
    elif ratio.high < 1 / limit:
        verdict = "faster"
    return Change(name, before[0], after[0], ratio.middle, ratio.low, ratio.high, verdict)


def table(changes: list[Change]) -> str:
    """The changes as Markdown."""
    rows = [
        [
            *(change.name, number(change.before_ms), number(change.after_ms)),
            f"{change.ratio:.3f}",
            "–" if change.low is None else f"{change.low:.3f}..{change.high:.3f}",
            change.verdict,
        ]
        for change in changes
    ]
    header = ["what", "before ms", "after ms", "ratio", "interval", "verdict"]
    return markdown(header, rows)


def warnings(older: Document, newer: Document, relative_to: str | None) -> list[str]:
    """What makes milliseconds of these two files hard to compare."""
    found = []
    chips = [data["environment"]["cpu"]["model"] for data in (older, newer)]
    if chips[0] != chips[1] and relative_to is None:
        found.append(f"warning: measured on {chips[0]} and on {chips[1]}; use --relative-to MODEL")
    for data, name in ((older, "first"), (newer, "second")):
        heat = data.get("thermometer")
        rounds = data.get("settings", {}).get("rounds")
        if heat and rounds and len(heat["marked_rounds"]) > rounds / 2:
            found.append(f"warning: the machine was disturbed in most rounds of the {name} file")
    return found
