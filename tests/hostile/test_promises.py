"""The page on reliability names tests that exist and figures that were counted."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
COUNTS = json.loads((ROOT / "tests" / "hostile" / "counts.json").read_text(encoding="utf-8"))


def test_every_promise_names_a_test():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_figures_are_those_that_were_counted():
    for kind, found in COUNTS["kinds"].items():
        row = f"| {kind} | {sum(found.values())} | {found['line']} | {found['done']} | 0 |"
        assert set(found) == {"line", "done"} and row in PAGE
    assert f"| all | {COUNTS['cases']} |" in PAGE
    for name, run in COUNTS["fuzzing"].items():
        assert f"| {name} | {run['seconds']} | {run['runs']} |" in PAGE
