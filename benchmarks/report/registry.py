"""Which table belongs to which kind of result file, and which blocks a page may have."""

from collections.abc import Callable

from .. import (
    batch,
    crawl,
    encoders,
    end_to_end,
    filters,
    frame_costs,
    keyframes,
    latency_tables,
    live_features,
    live_session,
    page,
    photoreal,
    pruning,
    soak,
    startup,
)
from ..folding import table as folding
from ..generative import table as generative
from ..quality import table as quality
from ..sanity import table as sanity
from ..scoreboard import table as scoreboard
from ..serving import table as serving
from ..students import table as students
from ..targets import table as targets
from ..temporal import stereo
from ..temporal import table as temporal
from .machine import machine
from .tables import Document, anything

# Kind of result file -> its usual table; kinds without one are shown as they are.
TABLES: dict[str, Callable[[Document], str]] = {
    "latency": latency_tables.usual,
    "end_to_end": end_to_end.table_of,
    "startup": startup.table_of,
    "soak": soak.table_of,
    "crawl": crawl.table_of,
    "photoreal": photoreal.table_of,
    "stereo": stereo.table_of,
    "frame_costs": frame_costs.table_of,
    "quality": quality.usual,
    "temporal": temporal.usual,
    "folding": folding.usual,
    "targets": targets.usual,
    "students": students.usual,
    "pruning": pruning.table_of,
    "scoreboard": scoreboard.usual,
    "live_features": live_features.table_of,
    "live_session": live_session.table_of,
    "page": page.table_of,
    "encoders": encoders.table_of,
    "filters": filters.table_of,
    "keyframes": keyframes.table_of,
    "batch": batch.table_of,
    "serving": serving.usual,
    "generative": generative.table_of,
}

# Blocks a page may have: name to (result files, table); the first file must be there.
BLOCKS: dict[str, tuple[tuple[str, ...], Callable[..., str]]] = {
    "machine": (("latency",), machine),
    "latency": (("latency",), latency_tables.ours),
    "peers": (("latency", "quality"), latency_tables.peers),
    "busy": (("latency_busy", "latency"), latency_tables.busy),
    "engines": (("engines",), latency_tables.engines),
    "scaling": (("scaling",), latency_tables.scaling),
    "laws": (("scaling",), latency_tables.laws),
    "end_to_end": (("end_to_end",), end_to_end.costs_of),
    "against": (("end_to_end_against",), end_to_end.compared_of),
    "startup": (("startup",), startup.table_of),
    "startup_against": (("startup_against",), startup.table_of),
    "startup_targets": (("startup",), startup.targets_of),
    "soak": (("soak",), soak.table_of),
    "frame_costs": (("frame_costs",), frame_costs.table_of),
    "quality": (("quality",), quality.usual),
    "adapt": (("quality_adapt",), quality.adapt),
    "sizes": (("quality_sizes",), quality.usual),
    "pareto": (("quality_pareto",), quality.pareto),
    "temporal": (("temporal_starry",), temporal.usual),
    "crawl": (("crawl",), crawl.table_of),
    "crawl_ccpl": (("crawl_ccpl",), crawl.table_of),
    "photoreal": (("photoreal",), photoreal.table_of),
    "stereo": (("stereo",), stereo.table_of),
    "folding": (("folding_starry",), folding.usual),
    "targets": (("targets_starry",), targets.usual),
    "students": (("students",), students.usual),
    "student_targets": (("students",), students.targets),
    "pruning": (("pruning_starry",), pruning.table_of),
    "scoreboard": (("scoreboard",), scoreboard.usual),
    "live_features": (("live_features",), live_features.table_of),
    "live_session": (
        ("live_session", "live_session_carphone", "live_session_face_makeup"),
        live_session.table_of,
    ),
    "page": (("page",), page.table_of),
    "encoders": (("encoders",), encoders.table_of),
    "filters": (("filters",), filters.table_of),
    "filters_color": (("filters_color",), filters.table_of),
    "filters_network": (("filters_network",), filters.table_of),
    "keyframes": (("keyframes",), keyframes.table_of),
    "batch": (("batch",), batch.table_of),
    "batch_runs": (("batch_runs",), batch.runs_of),
    "serving": (("serving",), serving.usual),
    "steadied": (("sanity_steadied",), sanity.steadied),
    "translation": (("translation",), sanity.translation),
    "words": (("sanity_words",), sanity.words),
    "generative": (
        ("generative", "generative_dcgan", "generative_stylegan2"),
        generative.table_of,
    ),
}


def usual_table(data: Document) -> str:
    """The usual table of a result file."""
    return TABLES.get(data["kind"], anything)(data)
