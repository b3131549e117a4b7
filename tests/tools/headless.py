"""Headless Chromium for tests, skipped where there is none."""

import pytest

from benchmarks.measuring.chromium import Browser, find

__all__ = ["Browser", "chromium"]


def chromium():
    """The browser's program; skips the test if there is none."""
    program = find()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    return program
