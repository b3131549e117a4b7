"""Artefacts of many formats timed in processes of their own, and the table of them."""

import json

import pytest

from benchmarks.measuring import results
from benchmarks.report.registry import usual_table
from benchmarks.targets import __main__ as targets
from benchmarks.targets.process import TargetProcess
from runtime.errors import StyleError


def report(path, target, **facts):
    sizes = [{"psnr_db": 131.5}, {"psnr_db": 120.25}]
    return {
        "file": path.name, "bytes": path.stat().st_size, "target": target, "precision": "fp32",
        "parity": {"sizes": sizes}, "judged": {"objective_ratio": 1.0005}, "verdict": "passed",
        **facts,
    }  # fmt: skip


def test_all_of_a_folder(tiny_model, tmp_path):
    lost = tmp_path / "tiny.mlpackage"
    lost.mkdir()
    (lost / "Manifest.json").write_text("{}")
    summary = {
        "made": [
            report(tiny_model, "onnx", source={"checkpoint": "tiny.safetensors", "sha256": "ab"}),
            report(lost, "coreml", judged={"skipped": "no painting"}),
        ],
        "skipped": [{"target": "litert", "precision": "fp32", "reason": "needs litert_torch"}],
        "failed": [{"target": "ncnn", "precision": "fp16", "reason": "12.5 dB", "code": "4"}],
    }
    (tmp_path / "made.json").write_text(json.dumps(summary))
    output = tmp_path / "targets.json"
    words = ["--models", tmp_path, "--summary", tmp_path / "made.json", "--json", output]
    words += ["--size", "32x24", "--duration", "5", "--iterations", "2", "--quiet"]
    assert targets.main([str(word) for word in words]) == 0
    data = results.read(output)
    made, not_run, refused, skipped = data["rows"]
    assert data["settings"]["sha256"] == {"tiny": "ab"}
    assert made["labels"]["engine"] == made["labels"]["compared_by"] == "onnxruntime"
    assert made["metrics"]["psnr_db"] == 120.25 and made["metrics"]["cpu_p50_ms"] > 0
    assert "cpu_p50_ms" not in not_run["metrics"] and not_run["labels"]["note"]
    assert not_run["labels"]["compared_by"] == "its program, computed by PyTorch"
    assert (refused["labels"]["verdict"], skipped["labels"]["verdict"]) == ("refused", "skipped")
    text = usual_table(data)
    assert "| onnx | fp32 | onnxruntime | " in text and "| 120 | 1.00 | " in text
    assert "- ncnn fp16, refused: 12.5 dB." in text and "litert fp32, skipped" in text


def test_a_process_answers_and_ends(tiny_model):
    process = TargetProcess(tiny_model, "onnx", (32, 24))
    assert process.error == "" and process.call()["total"] > 0
    process.close()
    process.close()


def test_a_process_that_dies_is_said(tiny_model):
    process = TargetProcess(tiny_model, "onnx", (32, 24))
    process._process.kill()
    with pytest.raises(StyleError, match="ended with code -9"):
        process.call()
    process.close()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"made": []}'])
def test_summaries_that_are_none(tmp_path, capsys, text):
    path = tmp_path / "made.json"
    if text is not None:
        path.write_text(text)
    assert targets.main(["--models", str(tmp_path), "--summary", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
