"""Hostile inputs end in one line and an exit code, or are painted; nothing else is ever the case.

A fixed selection runs here, `make test-hostile` runs all.
"""

import pytest

from tests.hostile import cases, runner

# About every fourteenth case of each kind.
STEP = 14


def selection(step: int = STEP) -> list[runner.Job]:
    return [
        (kind, number)
        for kind, (count, _) in cases.KINDS.items()
        for number in range(0, count, step)
    ]


def test_there_are_enough_cases():
    assert sum(count for count, _ in cases.KINDS.values()) >= 1500
    assert len(selection()) >= 150


def test_a_selection_of_hostile_inputs():
    pytest.importorskip("torch")
    bad = [
        f"{job}: {outcome}\n{text}"
        for job, outcome, text in runner.run(selection())
        if outcome not in runner.GOOD
    ]
    assert not bad, "\n\n".join(bad)
