"""Tables say which files they are about, and whether those are the bundled ones."""

import json

import pytest

from benchmarks.measuring import opening
from benchmarks.report import bundled, provenance
from runtime.checksum import sha256
from tests.benchmarks.conftest import tiny_onnx


@pytest.fixture
def models(tmp_path):
    """A style with its float counterpart and a report, and a file of another kind."""
    style = {"title": "Stripes (1900)", "artist": "A. Painter (1850-1910)"}
    file = tiny_onnx(tmp_path / "toy.onnx", style=style)
    tiny_onnx(tmp_path / "toy-fp32.onnx")
    tiny_onnx(tmp_path / "many.onnx")
    parity = {"sizes": [{"psnr_db": 41.25}, {"psnr_db": 39.5}]}
    facts = {"sha256": sha256(file), "parity": parity, "judged": {"objective_ratio": 1.0125}}
    (tmp_path / "toy.json").write_text(json.dumps(facts))
    return tmp_path


def students(make_document, digest):
    labels = {"model": "toy", "sha256": digest}
    metrics = {"cpu_p50_ms": 53.75, "faster": 65.7, "iterations": 15.25}
    return make_document([{"id": "toy", "labels": labels, "metrics": metrics}], "students")


def test_the_bundled_file_is_named_and_a_former_one_is_called_so(models, make_document):
    known = provenance.bundled(models)
    assert set(known.values()) == {"toy.onnx", "toy-fp32.onnx", "many.onnx"}
    digest = sha256(models / "toy.onnx")
    now = students(make_document, digest)
    assert f"with the bundled `toy.onnx` {digest[:8]}." in provenance.sentence(now, known, {})
    former = students(make_document, "ab" * 32)
    assert "To be measured again" in provenance.sentence(former, known, {})
    assert "`toy` abababab" in provenance.sentence(former, known, {})


def test_times_belong_to_a_graph_whatever_its_weights(models, make_document):
    known, graphs = provenance.bundled(models), provenance.structures(models)
    labels = {"model": "toy", "sha256": "ab" * 32, "structure": graphs["toy"]}
    rows = [{"id": "toy", "labels": labels, "metrics": {}}]
    said = provenance.sentence(make_document(rows, "latency"), known, graphs)
    assert said.endswith(
        "former weights in the bundled graphs, whose times are the same: `toy` abababab.*"
    )
    said = provenance.sentence(make_document(rows, "students"), known, graphs)
    assert "To be measured again" in said, "what is seen of its pictures is the weights'"
    labels["structure"] = "another"
    said = provenance.sentence(make_document(rows, "latency"), known, graphs)
    assert "To be measured again" in said


def test_a_checkpoint_is_shipped_as_well(models, make_document):
    """The table of all formats is about the checkpoint that they were made from."""
    checkpoint = models / "toy.safetensors"
    checkpoint.write_bytes(b"weights")
    data = make_document([], "targets", sha256={"toy": sha256(checkpoint)})
    said = provenance.sentence(data, provenance.bundled(models), {})
    assert f"with the bundled `toy.safetensors` {sha256(checkpoint)[:8]}." in said


def test_names_and_files_have_checksums(models, monkeypatch):
    monkeypatch.setenv("IMPASTO_MODELS", str(models))
    file = models / "toy.onnx"
    assert opening.checksums(["toy.onnx", str(models / "many.onnx")]) == {
        "toy": sha256(file),
        "many": sha256(models / "many.onnx"),
    }


def test_a_mixed_table_says_which_is_which(models, make_document):
    known = provenance.bundled(models)
    digest = sha256(models / "toy.onnx")
    data = make_document([], "temporal", sha256={"toy": digest, "old": "ab" * 32})
    said = provenance.sentence(data, known, {})
    assert f"with the bundled `toy.onnx` {digest[:8]}.*" in said
    assert said.endswith("**To be measured again:** *what former files gave: `old` abababab.*")


def test_checksums_in_the_settings_count_as_well(models, make_document):
    known = provenance.bundled(models)
    data = make_document([], "temporal", sha256={"toy": sha256(models / "toy.onnx")})
    assert "with the bundled `toy.onnx`" in provenance.sentence(data, known, {})


def test_a_result_without_checksums_is_not_trusted(models, make_document):
    known = provenance.bundled(models)
    assert "does not record" in provenance.sentence(make_document([], "startup"), known, {})
    assert "no bundled model" in provenance.sentence(make_document([], "frame_costs"), known, {})


def test_peers_with_random_weights_need_no_checksum(make_document):
    labels = {"model": "johnson", "sha256": "cd" * 32, "weights": "random", "role": "peer"}
    data = make_document([{"id": "j", "labels": labels, "metrics": {}}])
    assert provenance.measured(data) == {}


def test_bundled_models_show_figures_of_their_own_files_only(models, make_document):
    digest = sha256(models / "toy.onnx")
    judged = make_document(
        [
            {
                "id": "toy",
                "labels": {"what": "equivalents", "model": "toy", "init": "content", "photo": None},
                "metrics": {"iterations_mean": 15.2},
            }
        ],
        "quality",
        sha256={"toy": digest},
    )
    lines = bundled.table(models, students(make_document, digest), judged)
    row = "| `toy` | Stripes (1900), A. Painter | 0.00 | 39.5 | 1.01 | 15.2 | 53.8 | 65.7 |"
    assert lines.splitlines()[2:] == [row]
    judged["settings"]["sha256"]["toy"] = "ab" * 32
    other = bundled.table(models, students(make_document, "ab" * 32), judged).splitlines()[2]
    assert other.endswith("| 39.5 | 1.01 | – | – | – |")
    tiny_onnx(
        models / "toy.onnx", style={"title": "Stripes (1900)"}, license="MIT"
    )  # not its report
    assert bundled.table(models, None).splitlines()[2].endswith("| – | – | – | – | – |")


def test_filters_that_never_were_bundled_are_no_former_files():
    data = {"created": "2026-11-30T00:00:00Z", "kind": "filters"}
    rows = [{"labels": {"model": "grade", "sha256": "b" * 64}}]
    shipped = {"a" * 64: "pencil.onnx"}
    words = "files that are not bundled: `grade` bbbbbbbb"
    assert (
        provenance.sentence({**data, "rows": rows}, shipped, {})
        == f"*Measured 2026-11-30 with {words}.*"
    )
    rows.append({"labels": {"model": "pencil", "sha256": "a" * 64}})
    assert provenance.sentence({**data, "rows": rows}, shipped, {}).endswith(
        f"the bundled `pencil.onnx` aaaaaaaa and {words}.*"
    )
    rows[1] = {"labels": {"model": "pencil", "sha256": "c" * 64}}
    made = provenance.sentence({**data, "rows": rows}, shipped, {})
    assert "former files gave: `pencil` cccccccc" in made and "`grade`" in made
