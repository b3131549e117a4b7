"""Rows of the table of formats, from reports."""

from benchmarks.targets.rows import sources


def test_folders_that_are_made_from_artifacts_name_no_checkpoint():
    graph = {"source": {"checkpoint": "models/starry.safetensors", "sha256": "0a"}}
    folder = {"source": {"models": ["starry.onnx"]}}
    assert sources([graph, folder, {}]) == {"starry": "0a"}
