"""The table of a server beside sessions."""

from ..report.tables import Document, figure, label, table

COLUMNS = (
    label("model"),
    label("size"),
    label("clients"),
    label("painted by", "way"),
    figure("median ms", "latency_p50_ms"),
    figure("p95 ms", "latency_p95_ms"),
    figure("pictures/s", "rate_fps"),
    figure("x sessions", "rate_x_sessions"),
    figure("processor ms", "processor_ms"),
    figure("x sessions", "processor_x_sessions"),
)


def usual(data: Document) -> str:
    """Latency of a picture and pictures per second, by clients at the same time."""
    return table(COLUMNS, data["rows"])
