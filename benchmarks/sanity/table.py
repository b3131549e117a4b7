"""Tables of `benchmarks.sanity` and `benchmarks.sanity.translation`."""

from ..report.tables import Column, Document, figure, label, number, table

STEPS = Column("steps", lambda row: number(int(str(row["labels"]["steps"]))))

STEADIED = (
    label("problem"),
    STEPS,
    figure("difference at the start", "l1_start"),
    figure("at the end", "l1"),
    label("missed"),
)
TRANSLATION = (
    label("problem"),
    STEPS,
    figure("classifier agrees", "agreement"),
    figure("with real pictures", "classifier"),
    figure("difference there and back", "cycle"),
    figure("rarer color", "rarer_mode"),
    figure("difference from the nearer", "l1"),
    figure("LPIPS between", "lpips_between"),
    figure("monotone", "monotone"),
    figure("hue error, degrees", "hue_error"),
    figure("brightness kept", "likeness"),
    label("missed"),
)
WORDS = (
    label("word", "problem"),
    STEPS,
    figure("its color stands out by", "raised"),
    figure("the next one by", "others"),
    label("missed"),
)


def steadied(data: Document) -> str:
    """One row for each stabilizer."""
    return table(STEADIED, [row for row in data["rows"] if "l1" in row["metrics"]])


def words(data: Document) -> str:
    """One row for each word."""
    return table(WORDS, data["rows"])


def translation(data: Document) -> str:
    """One row for each method."""
    return table(TRANSLATION, data["rows"])
