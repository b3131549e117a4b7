"""Measure what the rest claims: latency, quality, stability, formats, start-up, memory.

Every command writes one JSON file (`measuring/results`) that names the machine and the models it
measured; `report/` renders tables and plots from those files and measures nothing. `measuring/`
holds interleaved rounds, statistics and the calibration of the machine, `metrics/` one measure of
pictures per file, and each family of benchmarks (`temporal/`, `quality/`, `targets/`, `students/`,
`folding/`, `sanity/`) is a folder whose `__main__` is the command and whose `rows` its columns.
"""

from runtime.missing import explain_at_start

explain_at_start()
