"""python tests/check_hostile.py [--write] [KIND ...]

Runs every hostile case (tests/hostile/cases.py), or those of some kinds, and prints what is not as
it should be; with --write, tests/hostile/counts.json gets the counts.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.hostile import cases, network, runner  # noqa: E402

COUNTS = ROOT / "tests" / "hostile" / "counts.json"


def main(words: list[str]) -> int:
    write = "--write" in words
    kinds = [word for word in words if word != "--write"] or list(cases.KINDS)
    jobs = [(kind, number) for kind in kinds for number in range(cases.KINDS[kind][0])]
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    reason = network.refusal()
    if reason:
        print(f"connections are not counted: {reason}", flush=True)
    started, bad = time.monotonic(), 0
    for (kind, number), outcome, text in runner.run(jobs):
        counts[kind][outcome] += 1
        if outcome not in runner.GOOD:
            bad += 1
            print(f"-- {kind} {number}: {outcome}\n{text}", flush=True)
    seconds = time.monotonic() - started
    for kind in kinds:
        print(f"{kind}: {dict(counts[kind])}")
    print(f"{len(jobs)} cases in {seconds:.0f} s, {bad} not as they should be")
    if write:
        data = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
        data["connections"] = None if reason else 0
        data["cases"] = sum(count for count, _ in cases.KINDS.values())
        data.setdefault("kinds", {}).update(
            {kind: {"line": 0, "done": 0, **counts[kind]} for kind in kinds}
        )
        COUNTS.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
