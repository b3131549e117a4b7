"""Rows of `benchmarks.targets`: receipts and times as one result file."""

from collections.abc import Mapping, Sequence
from typing import Any

from export.listing import load_all

from . import results, statistics
from .measure import Rounds

ROW_ID = ("target", "precision")
# What a receipt's "verdict" is for artefacts that are not there.
REFUSED, SKIPPED = "refused", "skipped"


def made(
    receipts: Sequence[dict[str, Any]],
    size: str,
    rounds: Rounds,
    engines: Mapping[str, str],
    stopped: Mapping[str, str],
) -> list[dict[str, Any]]:
    """One row per artefact.

    Args:
        receipts: of `--target all`.
        size: "640x480", of the pictures timed.
        rounds: times, by the artefact's file name.
        engines: file name -> what ran it.
        stopped: file name -> why nothing did.
    """
    rows, known = [], load_all()
    for receipt in receipts:
        name, target = receipt["file"], known[receipt["target"]]
        labels = {
            "target": receipt["target"],
            "precision": receipt.get("precision", "–"),
            "file": name,
            "size": size,
            "engine": engines.get(name),
            "compared_by": target.engine or target.examined_by,
            "runs_on": target.runs_on,
            "verdict": receipt["verdict"],
            "note": stopped.get(name, ""),
        }
        rows.append(results.row(labels, _metrics(receipt, name, rounds), ROW_ID))
    return rows


def refused(summary: Mapping[str, Sequence[dict[str, str]]]) -> list[dict[str, Any]]:
    """One row per artefact that a gate refused, or that this machine cannot make."""
    return [
        results.row(
            {
                "target": entry["target"],
                "precision": entry["precision"],
                "verdict": verdict,
                "note": entry["reason"],
            },
            {},
            ROW_ID,
        )
        for key, verdict in (("failed", REFUSED), ("skipped", SKIPPED))
        for entry in summary[key]
    ]


def _metrics(receipt: dict[str, Any], name: str, rounds: Rounds) -> dict[str, Any]:
    sizes = receipt.get("parity", {}).get("sizes", ())
    found = {
        "size_mb": round(receipt["bytes"] / 1e6, 3),
        "psnr_db": min((entry["psnr_db"] for entry in sizes), default=None),
        "objective_ratio": receipt.get("judged", {}).get("objective_ratio"),
    }
    if name in rounds.samples:
        for part in rounds.parts(name):
            found |= statistics.summary(rounds.times(name, part), part)
        found["samples"] = len(rounds.times(name))
    return found
