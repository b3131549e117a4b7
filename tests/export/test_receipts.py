"""The committed receipts of a bundled style in every format: of its checkpoint, and as demanded."""

import json
from pathlib import Path

import pytest

from export.judge import LARGEST_RATIO
from export.parity import LEAST_PSNR
from runtime import store

ROOT = Path(__file__).resolve().parents[2]
RECEIPTS = sorted((ROOT / "models" / "receipts").glob("*/*.json"))
TABLE = ROOT / "benchmarks" / "results" / "targets_starry.json"


@pytest.mark.skipif(not RECEIPTS, reason="no receipts here (an installed wheel)")
@pytest.mark.parametrize("path", RECEIPTS, ids=lambda path: path.name)
def test_receipts_are_of_the_checkpoint_and_pass(path):
    receipt = json.loads(path.read_text(encoding="utf-8"))
    if "checkpoint" in receipt["source"]:
        checkpoint = ROOT / "models" / f"{path.parent.name}.safetensors"
        assert receipt["source"]["sha256"] == store.sha256(checkpoint)
    if "parity" not in receipt:
        assert receipt["verdict"] == "checked, not run" and receipt["checks"]
        return
    assert receipt["verdict"] == "passed"
    precision = receipt.get("precision", "fp32")
    for size in receipt["parity"]["sizes"]:
        assert size["psnr_db"] >= LEAST_PSNR[precision]
    if "judged" in receipt:
        assert receipt["judged"]["objective_ratio"] <= LARGEST_RATIO[precision]


@pytest.mark.skipif(not TABLE.is_file(), reason="not measured yet")
def test_the_table_is_of_these_receipts():
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["rows"]
    made = {row["labels"]["file"] for row in rows if row["metrics"]}
    receipts = (json.loads(path.read_text(encoding="utf-8")) for path in RECEIPTS)
    assert made == {receipt["file"] for receipt in receipts}
