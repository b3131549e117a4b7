"""python -m benchmarks.targets._worker MODEL WIDTH HEIGHT: one model in one process, timed on
request; started by `benchmarks.targets`, in whatever environment its engine lives in.

The first line on stdout says {"engine": ...} or {"error": ...}; then each line on stdin is answered
with the milliseconds of one whole picture: {"total": by the clock, "cpu": of all cores}. The latter
hardly depends on who else uses the machine; it is missing where another process does the work.
"""

import json
import os
import sys
import time

from runtime.errors import DONE, StyleError

from ..measuring.opening import open_any

# Of the engine: one, so that the formats are compared and not their pools of threads.
THREADS = 1
# As `export.site.node_engine.NAME`, which is not imported for every format.
WEB = "onnxruntime-web"


def main(model: str, width: str, height: str) -> int:
    """Open, then answer until stdin ends."""
    # Libraries that print go to stderr; the answers have the old stdout for themselves.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from export.verify.photos import cover, load_photos

    try:
        session = open_any(model, threads=THREADS)
    except StyleError as error:
        print(json.dumps({"error": str(error)}), file=answers)
        return error.exit_code
    picture = cover(load_photos(None, 1)[0], int(width), int(height))
    with session:
        print(json.dumps({"engine": session.engine}), file=answers)
        clocks = {"total": time.perf_counter, "cpu": time.process_time}
        if session.engine == WEB:
            del clocks["cpu"]
        for _ in sys.stdin:
            started = {name: clock() for name, clock in clocks.items()}
            session.stylize(picture)
            took = {name: (clock() - started[name]) * 1e3 for name, clock in clocks.items()}
            print(json.dumps(took), file=answers)
    return DONE


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
