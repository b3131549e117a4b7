"""A toy network, exported twice, and what folding makes of it."""

import json

import numpy as np
import pytest

from benchmarks.folding import rows as folding_rows
from benchmarks.folding.__main__ import main
from benchmarks.measuring import results, rounds
from benchmarks.report.registry import usual_table
from benchmarks.temporal import synthetic_clips

SIZE = (96, 128)


def toy(path):
    """A checkpoint whose pictures have structure: the small start of its head is undone."""
    import torch

    from training import networks
    from training.checkpoint import Checkpoint, save_checkpoint

    torch.manual_seed(3)
    network = networks.build("lean", width=8, blocks=1)
    with torch.no_grad():
        network.head.weight.mul_(6)
    tensors = {f"generator.{key}": value for key, value in network.state_dict().items()}
    settings = {"name": "lean", **network.config}
    save_checkpoint(Checkpoint(settings, {"name": "toy"}, 7, tensors), path)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    from export.source import load_source

    return load_source(toy(tmp_path_factory.mktemp("folding") / "toy.safetensors"), "toy")


@pytest.fixture(scope="module")
def file(source):
    """The int8 file of the toy."""
    from export.int8 import whole_frame
    from export.targets import Options
    from export.verify.photos import load_photos

    photos = [photo[:96, :128] for photo in load_photos(None, 3)]
    path = source.path.with_name("toy-int8.onnx")
    whole_frame.write(source, path, Options("int8", photos=photos))
    return path


@pytest.fixture
def subject(file, source):
    """The file beside the network itself."""
    from export.verify.torch_session import torch_session

    made = folding_rows.Subject.open(str(file), str(file), None, None, 1)
    made.exact.close()
    made.exact = torch_session(source)
    yield made
    made.close()


def test_psnr_by_hand():
    a = np.zeros((4, 4, 3), np.uint8)
    assert folding_rows.psnr(a, a) == folding_rows.MOST_PSNR
    assert folding_rows.psnr(a, a + 255) == pytest.approx(0)
    assert folding_rows.psnr(a, a + 1) == pytest.approx(48.13, abs=0.01)


def test_frozen_is_what_the_runtime_folds_for_a_still(subject):
    photo = np.ascontiguousarray(synthetic_clips.load_photo("chelsea", SIZE)[:96, :128])
    subject.live.reset()
    with subject.frozen(photo) as frozen:
        assert np.array_equal(frozen.stylize(photo), subject.live.stylize(photo))


def test_a_photo_gives_every_row(subject):
    rows = folding_rows.measure_photo(subject, "chelsea", "rocket", SIZE)
    found = {row["labels"]["what"]: row["metrics"] for row in rows}
    assert list(found) == [
        "still", "pan, not followed", "pan, on the way", "pan, then rest", "cut, first frame",
        "cut, a second later",
    ]  # fmt: skip
    assert found["still"]["psnr_db"] > 25
    # A cut is measured before its first frame is painted, and nothing changes afterwards.
    assert found["cut, first frame"] == found["cut, a second later"]
    assert found["pan, on the way"]["worst_psnr_db"] <= found["pan, on the way"]["psnr_db"]
    assert all(metrics["style_ratio"] is None for metrics in found.values())
    (mean,) = (row for row in folding_rows.mean_rows(rows) if row["labels"]["what"] == "still")
    assert mean["labels"]["photo"] == "mean"
    assert mean["metrics"]["worst_psnr_db"] == found["still"]["psnr_db"]


def test_folding_adds_no_flicker(subject):
    metrics = folding_rows.measure_flicker(subject, "chelsea", SIZE)["metrics"]
    # At this size noise alone may look like a scene that drifts, but hardly moves the fold.
    assert abs(metrics["flicker_added"]) < 0.02
    assert metrics["flicker"] > 0 and metrics["flicker_float"] > 0


def test_costs_are_measured(subject):
    row = folding_rows.measure_costs(subject, "chelsea", SIZE, rounds.Plan(1, 2, 1.0))
    for part in ("fold", "measure", "measure_small", "frame"):
        assert 0 < row["metrics"][f"{part}_p50_ms"] <= row["metrics"][f"{part}_p95_ms"]


def test_the_command_writes_a_result_file(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folding_rows, "PAN_FRAMES", 10)
    monkeypatch.setattr(folding_rows, "REST", 2)
    monkeypatch.setattr(folding_rows, "STILL_FRAMES", 3)
    target = tmp_path / "folding.json"
    given = ["--model", str(file), "--float", str(file), "--size", "128x96", "--quiet"]
    given += ["--photos", "chelsea,rocket", "--cost-sizes", "128x96", "--duration", "0.2"]
    assert main([*given, "--json", str(target)]) == 0
    data = results.read(target)
    assert data["kind"] == "folding" and set(data["settings"]["sha256"]) == {"model", "float"}
    text = capsys.readouterr().out
    assert "| cut, first frame |" in text and usual_table(data) in text
    assert main([*given, "--json", str(target)]) == 2
    assert "exists" in capsys.readouterr().err
    first = json.loads(target.read_text())["rows"][0]
    # Compared with itself: a still is the same picture.
    assert first["labels"]["what"] == "still" and first["metrics"]["psnr_db"] == 99
    assert first["labels"]["photo"] == "mean"


def test_files_that_are_not_folded_are_refused(tiny_model, capsys):
    assert main(["--model", str(tiny_model), "--float", str(tiny_model), "--quiet"]) == 2
    message = capsys.readouterr().err
    assert "not folded" in message and message.count("\n") == 1
