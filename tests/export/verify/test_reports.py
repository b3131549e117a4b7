"""The committed reports of a bundled style in every format: of its checkpoint, and as demanded."""

import json
from pathlib import Path

import pytest

from export.verify.evaluator import LARGEST_RATIO
from export.verify.parity import LEAST_PSNR
from runtime.checksum import sha256

ROOT = Path(__file__).resolve().parents[3]
REPORTS = sorted((ROOT / "models" / "receipts").glob("*/*.json"))
TABLE = ROOT / "benchmarks" / "results" / "targets_starry.json"


@pytest.mark.skipif(not REPORTS, reason="no reports here (an installed wheel)")
@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.name)
def test_reports_are_of_the_checkpoint_and_pass(path):
    report = json.loads(path.read_text(encoding="utf-8"))
    if "checkpoint" in report["source"]:
        checkpoint = ROOT / "models" / f"{path.parent.name}.safetensors"
        assert report["source"]["sha256"] == sha256(checkpoint)
    if "parity" not in report:
        assert report["verdict"] == "checked, not run" and report["checks"]
        return
    assert report["verdict"] == "passed"
    precision = report.get("precision", "fp32")
    for size in report["parity"]["sizes"]:
        assert size["psnr_db"] >= LEAST_PSNR[precision]
    if "judged" in report:
        assert report["judged"]["objective_ratio"] <= LARGEST_RATIO[precision]


@pytest.mark.skipif(not TABLE.is_file(), reason="not measured yet")
def test_the_table_is_of_these_receipts():
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["rows"]
    made = {row["labels"]["file"] for row in rows if row["metrics"]}
    reports = (json.loads(path.read_text(encoding="utf-8")) for path in REPORTS)
    assert made == {report["file"] for report in reports}
