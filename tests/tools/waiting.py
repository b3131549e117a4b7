"""Waiting for what must happen, in tests: the benchmarks' own, which raises where it does not."""

from benchmarks.measuring.chromium import PATIENCE_S, wait_for

__all__ = ["PATIENCE_S", "wait_for"]
