"""Students beside their teachers and targets: by hand, and the command on tiny models."""

import numpy as np
import pytest
import torch

from benchmarks.measuring import results
from benchmarks.measuring.structure import structure
from benchmarks.metrics.border_artifact import MARGIN, border_artifact
from benchmarks.students import __main__ as students
from benchmarks.students import rows as student_rows
from benchmarks.students import table
from benchmarks.students.held_normalization import HeldNormalization
from benchmarks.students.rows import Student
from export.verify import evaluator
from runtime.checksum import sha256
from tests.benchmarks.conftest import tiny_onnx
from training import networks

RECIPE = {"name": "toy", "style": {"image": "toy.jpg"}}


class File:
    """As much of a session as rows ask for."""

    def __init__(self, sha256):
        self.sha256 = sha256
        self.card = type("Card", (), {"precision": "int8"})


def student(name, style="toy", grade="default"):
    return Student(name, style, grade, File(name))


def test_the_best_grade_teaches():
    every = [student("a"), student("a-fast", grade="fast"), student("a-quality", grade="quality")]
    every = [Student(s.name, "a", s.grade, s.session) for s in every] + [student("b", "b")]
    assert student_rows.teachers(every) == {"a": "a-quality", "b": "b"}


def test_rows_by_hand():
    every = [student("toy"), student("toy-fast", grade="fast")]
    figures = {
        "toy": {"objective": 2.0, "objective_float": 2.0, "eq": 0.2, "int8_psnr_db": 41.0},
        "toy-fast": {"objective": 2.3, "objective_float": 2.5, "eq": 0.01},
    }
    times = {"toy": {"cpu_p50_ms": 50.0, "faster": 60.0}}
    teacher, fast = student_rows.rows(every, figures, times, {"toy-fast": 120.0})
    found = teacher["metrics"]
    assert found["objective_ratio"] == 1.0 and "objective_ratio_met" not in found
    assert (found["eq_met"], found["int8_psnr_db_met"], found["faster_met"]) == (0, 1, 0)
    found = fast["metrics"]
    assert found["objective_ratio"] == pytest.approx(1.15) and found["objective_ratio_met"] == 1
    assert found["float_ratio"] == pytest.approx(1.25) and found["float_ratio_met"] == 0
    assert found["int8_objective"] == pytest.approx(0.92) and found["int8_objective_met"] == 1
    assert found["iterations_met"] == 1 and teacher["metrics"]["iterations_met"] is None
    assert student_rows.missed([teacher, fast]) == [
        "toy: eq 0.2, target 0.024",
        "toy: faster 60, target 75",
        "toy-fast: float ratio 1.25, target 1.2",
    ]


def test_a_frame_is_seen_and_a_gray_world_has_none():
    photo = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)

    def framed(picture):
        painted = picture.copy()
        painted[:4] = painted[-4:] = 0
        return painted

    assert border_artifact(lambda picture: picture, photo) == 0.0
    ring = 1 - (64 - 32) * (80 - 32) / (64 * 80)
    rows = np.concatenate([photo[:4], photo[-4:]])
    expected = rows.mean() / 255 * len(rows) / 64 / ring
    assert border_artifact(framed, photo) == pytest.approx(expected, rel=1e-4)
    assert MARGIN % 4 == 0, "the network's grid stays where it was"


def test_statistics_are_held():
    torch.manual_seed(0)
    network = HeldNormalization(networks.build("lean", width=8, blocks=1, margin=8).eval())
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    dark = photo // 4
    own = network.paint(photo)
    assert np.abs(network.paint_held(photo) - own).max() < 1e-5
    held = network.paint_held(dark)
    assert np.abs(network.paint(dark) - held).max() > 1e-3


class Brightness:
    """An objective that likes dark pictures."""

    def content_features(self, photos):
        return {}

    def __call__(self, output, content):
        return {"style": output.mean(), "total": output.mean()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A default and a fast model with a recipe, and the twin of one."""
    monkeypatch.setattr(evaluator, "SIZE", (96, 80))
    monkeypatch.setattr(evaluator, "build_objective", lambda recipe: Brightness())
    for name in ("toy", "toy-fast", "toy-fp32"):
        tiny_onnx(tmp_path / f"{name}.onnx", recipe=RECIPE)
    return tmp_path


def test_the_command(folder, make_document, capsys):
    labels = {"what": "equivalents", "model": "toy", "init": "content"}
    known = results.row(labels, {"iterations_mean": 15.7})
    other = results.row({**labels, "model": "toy-fast"}, {"iterations_mean": 9.0})
    files = {"toy": sha256(folder / "toy.onnx"), "toy-fast": "of a former file"}
    judged = make_document([known, other], "quality", sha256=files)
    results.write(folder / "quality.json", judged)
    models = ",".join(str(folder / f"{name}.onnx") for name in ("toy", "toy-fast"))
    output = folder / "students.json"
    words = ["--models", models, "--count", "1", "--quality", str(folder / "quality.json")]
    words += ["--size", "64x48", "--duration", "3", "--iterations", "2"]
    words += ["--peers", str(folder / "toy-fp32.onnx"), "--json", str(output), "--check"]
    assert students.main(words) == 4
    data = results.read(output)
    toy, fast = data["rows"]
    assert (toy["labels"]["teacher"], fast["labels"]["teacher"]) == ("toy", "toy")
    found = toy["metrics"]
    assert found["iterations"] == 15.7 and found["iterations_met"] == 0
    assert found["float_ratio"] == 1.0 and found["cpu_p50_ms"] > 0 and found["faster"] > 0
    assert fast["metrics"]["objective_ratio"] == pytest.approx(1.0)
    assert fast["metrics"]["iterations"] is None  # what another file of this name gave
    assert fast["metrics"]["float_ratio"] is None and "frame" not in fast["metrics"]
    text = table.targets(data)
    assert "| toy-fast | toy | 1.00 (met, target 1.20) |" in text and "(missed, target 100)" in text
    assert "missed: toy: iterations 15.7, target 100" in capsys.readouterr().err


def test_times_of_the_same_graph_are_taken(folder, make_document, capsys):
    """Further training changes weights, not times."""
    graph = structure(folder / "toy.onnx")
    labels = {"model": "toy", "size": "64x48", "threads": 1, "sha256": "former"}
    other = {**labels, "model": "b", "structure": graph}
    rows = [
        results.row({**labels, "structure": "another"}, {"cpu_p50_ms": 9.0, "speedup_cpu": 1.0}),
        results.row(other, {"cpu_p50_ms": 6.0, "speedup_cpu": 60.0}),
        results.row({**labels, "structure": graph}, {"cpu_p50_ms": 5.0, "speedup_cpu": 70.0}),
    ]
    latency = make_document(rows, "latency", baseline="johnson")
    results.write(folder / "latency.json", latency)
    output, words = folder / "students.json", ["--models", str(folder / "toy.onnx")]
    words += ["--count", "1", "--size", "64x48", "--latency", str(folder / "latency.json")]
    assert students.main([*words, "--json", str(output)]) == 0
    data = results.read(output)
    assert data["rows"][0]["metrics"]["cpu_p50_ms"] == 5.0
    assert data["rows"][0]["metrics"]["faster"] == 70.0
    assert "times are those of the same graph in latency.json" in table.usual(data)
    file, size = folder / "toy-fast.onnx", (64, 48)
    (by_graph,) = student_rows.times_from(latency, [file], size).values()
    assert by_graph["cpu_p50_ms"] == 6.0, "of the first with its graph"
    latency["rows"][0]["labels"]["sha256"] = sha256(file)
    (its_own,) = student_rows.times_from(latency, [file], size).values()
    assert its_own["cpu_p50_ms"] == 9.0
    assert students.main([*words, "--peers", "johnson.onnx"]) == 2
    assert "give either it or --peers" in capsys.readouterr().err


def test_a_quality_file_that_is_not_there(capsys):
    assert students.main(["--quality", "no.json"]) == 2
    error = capsys.readouterr().err
    assert "no result file" in error and error.count("\n") == 1


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5"])
def test_no_photos_are_refused(count, capsys):
    with pytest.raises(SystemExit) as end:
        students.main(["--count", count])
    assert end.value.code == 2
    assert f'--count: "{count}" is not a whole number of at least 1' in capsys.readouterr().err


def test_a_model_without_a_recipe(tiny_model, capsys):
    assert students.main(["--models", str(tiny_model), "--count", "1", "--quiet"]) == 2
    assert "carries no recipe" in capsys.readouterr().err
