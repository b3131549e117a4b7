"""ExecuTorch programs: written, run by ExecuTorch, compared. In .venv-executorch only."""

import pytest

pytest.importorskip("executorch", reason="make test-edge")

import numpy as np

from runtime.engines import executorch
from runtime.errors import StyleError
from runtime.model.session import open_session
from tests.edge import engine_contract
from tests.edge.openings import exported

PLUGIN = executorch.PLUGIN


program = exported("executorch", "toy.pte", "--option", "max=160x128")  # free sizes


def test_one_size_is_one_piece(checkpoint, export, tmp_path):
    path = tmp_path / "toy.pte"
    code, report = export(checkpoint("instance"), "executorch", path, "--size", "96x64")
    assert code == 0
    assert (report["delegated_pieces"], report["operations_outside"]) == (1, 0)


def test_free_sizes_are_as_exact_as_floats_are(program):
    _, report = program
    # The first and last row and column are cut out, and the margin off: copies of 6 slices.
    assert (report["delegated_pieces"], report["operations_outside"]) == (3, 6)
    assert report["verdict"] == "passed" and report["largest"] == "160x128"
    assert all(entry["psnr_db"] >= 90 for entry in report["parity"]["sizes"])
    assert "executorch" in report["tools"]


def test_it_runs_at_any_size_up_to_the_largest(program):
    path, _ = program
    with open_session(path) as session:
        assert session.engine == "executorch" and session.card.target == "executorch"
        for height, width in ((128, 160), (17, 33), (4, 8)):
            picture = np.full((height, width, 3), 90, np.uint8)
            assert session.stylize(picture).shape == picture.shape
        with pytest.raises(StyleError, match=r"planned for input0 \[1, 3, 128, 160\]"):
            session.stylize(np.zeros((200, 200, 3), np.uint8))


def test_engine(program, tmp_path):
    path, _ = program
    engine_contract.keeps_answers(PLUGIN, path)
    engine_contract.reads_bytes(PLUGIN, path)
    engine_contract.fails_in_words(PLUGIN, path, tmp_path)


def test_threads_are_settled_once(program):
    """Changing them under a loaded program would crash the process: it is said instead. Which
    number they have settled on depends on what this process opened first."""
    first = PLUGIN.open(program[0], "cpu")
    (settled,) = executorch._SETTLED
    same, more = (PLUGIN.open(program[0], "cpu", settled + extra) for extra in (0, 1))
    assert first.note == same.note == ""
    assert more.note == f"ExecuTorch goes on with the {settled} threads it has begun with"
    (picture,) = engine_contract.pictures(first, 1)
    for engine in (first, same, more):
        engine.run({"input0": picture})
        engine.close()


@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_int8_measured_on_every_frame(checkpoint, export, tmp_path, normalization):
    path = tmp_path / "toy.pte"
    words = ("--precision", "int8", "--size", "96x64")
    code, report = export(checkpoint(normalization), "executorch", path, *words)
    assert code == 0
    assert all(entry["psnr_db"] >= 30 for entry in report["parity"]["sizes"])
    assert report["judged"] == {
        "skipped": "the painting, its objective or the loss network is not here"
    }


def test_int8_by_photos(checkpoint, export, tmp_path):
    words = ("--precision", "int8", "--size", "96x64", "--option", "activations=static")
    code, report = export(checkpoint("none"), "executorch", tmp_path / "toy.pte", *words)
    assert code == 0 and "photos" in " ".join(report["steps"])


def test_other_networks(checkpoint, export, tmp_path):
    """Reflected borders stay outside of the delegate, and right."""
    source = checkpoint("instance", "johnson", width=4, blocks=1)
    code, report = export(source, "executorch", tmp_path / "toy.pte", "--size", "96x64")
    assert code == 0 and report["operations_outside"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--option", "max=4x4"), "at least 8 px"),
        (("--option", "max=wide"), "max=wide"),
        (("--precision", "int8", "--option", "activations=some"), "allowed are dynamic, static"),
        (("--size", "63x64"), "multiples of 4"),
        (("--precision", "fp16"), "writes fp32, int8"),
    ],
)
def test_wrong_requests(checkpoint, export, tmp_path, capsys, words, says):
    code, report = export(checkpoint("instance"), "executorch", tmp_path / "toy.pte", *words)
    error = capsys.readouterr().err
    assert code == 2 and report is None and says in error and error.count("\n") == 1
