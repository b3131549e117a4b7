"""Rows of `benchmarks.targets`: reports and times as one result file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from export.listing import load_all

from ..measuring import results, statistics
from ..measuring.results import Facts, Metrics, Row
from ..measuring.rounds import Rounds

ROW_ID = ("target", "precision")
# What a report's "verdict" is for artifacts that are not there.
REFUSED, SKIPPED = "refused", "skipped"


def made(
    reports: Sequence[Facts],
    size: str,
    rounds: Rounds,
    engines: Mapping[str, str],
    stopped: Mapping[str, str],
) -> list[Row]:
    """One row per artifact.

    Args:
        reports: of `--target all`.
        size: "640x480", of the pictures timed.
        rounds: times, by the artifact's file name.
        engines: file name -> what ran it.
        stopped: file name -> why nothing did.
    """
    rows, known = [], load_all()
    for report in reports:
        name, target = report["file"], known[report["target"]]
        labels = {
            "target": report["target"],
            "precision": report.get("precision", "–"),
            "file": name,
            "size": size,
            "engine": engines.get(name),
            "compared_by": target.engine or target.examined_by,
            "runs_on": target.runs_on,
            "verdict": report["verdict"],
            "note": stopped.get(name, ""),
        }
        rows.append(results.row(labels, _metrics(report, name, rounds), ROW_ID))
    return rows


def sources(reports: Sequence[Facts]) -> dict[str, str]:
    """Name -> sha256 of the checkpoints that the artifacts were made from; folders are made from
    artifacts and name none."""
    found = [report["source"] for report in reports if "checkpoint" in report.get("source", {})]
    return {Path(source["checkpoint"]).stem: source["sha256"] for source in found}


def refused(summary: Mapping[str, Sequence[dict[str, str]]]) -> list[Row]:
    """One row per artifact that a gate refused, or that this machine cannot make."""
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


def _metrics(report: Facts, name: str, rounds: Rounds) -> Metrics:
    sizes = report.get("parity", {}).get("sizes", ())
    found = {
        "size_mb": round(report["bytes"] / 1e6, 3),
        "psnr_db": min((entry["psnr_db"] for entry in sizes), default=None),
        "objective_ratio": report.get("judged", {}).get("objective_ratio"),
    }
    if name in rounds.samples:
        for part in rounds.parts(name):
            found |= statistics.summary(rounds.times(name, part), part)
        found["samples"] = len(rounds.times(name))
    return found
