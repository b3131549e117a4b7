"""Markdown tables of result files: how numbers and columns are written.

Nothing is computed here: every number shown is a number of the file, rounded by `number`, which is
what lets a test compare pages with their JSON. Each benchmark declares its columns in its own
folder or file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..measuring.results import Document, Row

ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        heading: above it.
        cell: what stands in it, of a row.
        words: whether that is words, aligned left, and not numbers.
    """

    heading: str
    cell: Callable[[Row], str]
    words: bool = False


def label(heading: str, name: str = "") -> Column:
    """A column of words: the label `name`, by default called as the heading."""
    return Column(heading, lambda row: text(row, name or heading), words=True)


def figure(heading: str, name: str = "") -> Column:
    """A column of numbers: the metric `name`, by default called as the heading."""
    return Column(heading, lambda row: metric(row, name or heading))


def interval(heading: str, name: str) -> Column:
    """A column of intervals: the metrics `<name>_low` and `<name>_high`."""

    def cell(row: Row) -> str:
        low, high = metric(row, f"{name}_low"), metric(row, f"{name}_high")
        return f"{low}..{high}" if low != ABSENT else ABSENT

    return Column(heading, cell)


def table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A Markdown table of these columns."""
    header = [column.heading for column in columns]
    body = [[column.cell(row) for column in columns] for row in rows]
    return markdown(header, body, [column.words for column in columns])


def markdown(
    header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[bool] = (True,)
) -> str:
    """A Markdown table of finished cells.

    Args:
        header: the headings.
        rows: one cell per heading.
        words: of each column, whether it holds words, aligned left; the rest hold numbers.
    """
    left = [*words, *[False] * (len(header) - len(words))]
    rule = ["---" if is_words else "---:" for is_words in left]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *rows))


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits or all before the point; `–` for what could not be measured."""
    if value is None:
        return ABSENT
    size = abs(value)
    if isinstance(value, int) or size >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{1 if size >= 10 else 2 if size >= 0.1 or not size else 3}f}"
    return text + unit


def metric(row: Row, name: str) -> str:
    """A number of a row."""
    return number(row["metrics"].get(name))


def text(row: Row, name: str) -> str:
    """A label of a row."""
    value = row["labels"].get(name)
    return ABSENT if value is None else str(value)


def runs_on(row: Row) -> str:
    """Engine, device and threads in a word or two."""
    labels = row["labels"]
    threads = labels.get("threads")
    plural = "" if threads == 1 else "s"
    where = labels["device"].upper() if threads is None else f"{threads} thread{plural}"
    return where if labels["engine"] == "onnxruntime" else f"{labels['engine']}, {where}"


def with_precision(row: Row) -> str:
    """The model and its precision: "starry (int8)"."""
    return f"{text(row, 'model')} ({text(row, 'precision')})"


def anything(data: Document) -> str:
    """Labels that differ between rows, then every number: for kinds without their own table."""
    rows = data["rows"]
    if not rows:
        return "(no rows)"
    names = list(dict.fromkeys(name for row in rows for name in row["labels"]))
    differ = [n for n in names if len({str(row["labels"].get(n)) for row in rows}) > 1] or names[:1]
    metrics = list(
        dict.fromkeys(
            name
            for row in rows
            for name, value in row["metrics"].items()
            if not isinstance(value, list)
        )
    )
    body = [
        [*(text(row, name) for name in differ), *(metric(row, name) for name in metrics)]
        for row in rows
    ]
    return markdown([*differ, *metrics], body, [True] * len(differ))
