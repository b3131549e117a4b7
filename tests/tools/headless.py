"""Headless Chromium for tests, skipped where there is none."""

import pytest

from benchmarks.measuring.chromium import PATIENCE_S, Browser, find, wait_for

__all__ = ["PATIENCE_S", "Browser", "chromium", "wait_for"]


def chromium():
    """The browser's program; skips the test if there is none."""
    program = find()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    return program
