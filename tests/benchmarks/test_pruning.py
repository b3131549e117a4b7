"""A sweep's report as a result file, its table and its plot."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import pruning
from benchmarks.measuring import results
from benchmarks.report import plots
from benchmarks.report.registry import usual_table


def point(label, ms, ratio, faster):
    width, blocks = (int(part) for part in label[1:].split("n"))
    return {
        "label": label, "width": width, "blocks": blocks, "ms": ms, "faster": faster,
        "faster_low": faster - 0.01, "faster_high": faster + 0.01, "objective": 2 * ratio,
        "ratio": ratio, "bytes": 400_000,
    }  # fmt: skip


REPORT = {
    "checkpoint": "starry.safetensors", "target": "onnx", "precision": "int8", "device": "cpu",
    "size": "640x480", "rounds": 15, "threads": 1, "clock": "processor", "steps": 300,
    "most_ratio": 1.1, "least_gain": 1.05, "pareto": ["c48n3", "c32n3"], "worth": ["c32n3"],
    "points": [point("c48n3", 21.5, 1.0, 1.0), point("c32n3", 13.25, 1.06, 1.62),
               point("c40n3", 22.0, 1.02, 0.98)],
    "verdict": "pruning pays down to c32n3 after 300 steps of distillation",
}  # fmt: skip


def test_a_report_becomes_a_result(tmp_path):
    source, output = tmp_path / "sweep.json", tmp_path / "pruning.json"
    source.write_text(json.dumps(REPORT))
    assert pruning.main([str(source), "--json", str(output), "--quiet"]) == 0
    data = results.read(output)
    assert [row["id"] for row in data["rows"]] == ["c48n3", "c32n3", "c40n3"]
    assert [row["metrics"]["worth"] for row in data["rows"]] == [0, 1, 0]
    text = usual_table(data)
    assert "| c32n3 | 13.2 | 1.62 | 1.61..1.63 | 1.06 | 0.40 | yes | yes |" in text
    assert text.endswith("\n\nPruning pays down to c32n3 after 300 steps of distillation.")
    (name, drawn), *others = plots.draw(data).items()
    assert name == "front" and not others
    texts = [e.text for e in ElementTree.fromstring(drawn).iter() if e.tag.endswith("text")]
    assert {"c48n3", "c32n3", "c40n3", "1.10 times: allowed"} <= set(texts)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"points": []}'])
def test_reports_that_are_none(tmp_path, capsys, text):
    path = tmp_path / "sweep.json"
    if text is not None:
        path.write_text(text)
    assert pruning.main([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
