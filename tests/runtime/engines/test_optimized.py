"""Graphs kept for the next start: only for the same bytes, library and processor, only if whole."""

from pathlib import Path

import numpy as np
import pytest

from runtime.engines import _cache, _optimized
from runtime.model.session import open_session

STARRY = Path(__file__).resolve().parents[3] / "models" / "starry-fast.onnx"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache folder; and a processor that is told even where the system tells none."""
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor : 0\nmodel name : A\ncpu MHz : 1\nflags : avx2\n\nprocessor : 1\n"
    )
    monkeypatch.setattr(_optimized, "PROCESSOR", cpuinfo)
    return tmp_path / "cache" / "graphs"


def test_what_is_saved_is_loaded(folder):
    path = _optimized.place(b"model", "1.31")
    assert _optimized.load(path) == []
    _optimized.save(path, [b"first", b"", b"third"])
    assert _optimized.load(path) == [b"first", b"", b"third"]


def test_another_model_library_or_processor_has_a_file_of_its_own(folder, tmp_path):
    first = _optimized.place(b"model", "1.31")
    others = [_optimized.place(b"other", "1.31"), _optimized.place(b"model", "1.32")]
    cpuinfo = tmp_path / "cpuinfo"
    told = cpuinfo.read_text()
    cpuinfo.write_text(told.replace("MHz : 1", "MHz : 2"))
    assert _optimized.place(b"model", "1.31") == first
    cpuinfo.write_text(told.replace("avx2", "avx512f"))
    others.append(_optimized.place(b"model", "1.31"))
    assert len({first, *others}) == 4


def test_nothing_is_kept_where_the_processor_is_unknown_or_not_used(folder, monkeypatch, tmp_path):
    assert _optimized.place(b"model", "") is None
    monkeypatch.setattr(_optimized, "PROCESSOR", tmp_path / "absent")
    assert _optimized.place(b"model", "1.31") is None
    _optimized.save(None, [b"graph"])
    assert _optimized.load(None) == []
    assert not folder.exists()


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:2], lambda d: d[:9] + b"x" * 9])
def test_a_damaged_file_is_none(folder, damage):
    path = _optimized.place(b"model", "1.31")
    assert path is not None
    _optimized.save(path, [b"some graph", b"another"])
    path.write_bytes(damage(path.read_bytes()))
    assert _optimized.load(path) == []


def test_a_folder_that_cannot_be_written_harms_nobody(folder):
    folder.parent.mkdir()
    folder.write_text("a file")
    path = _optimized.place(b"model", "1.31")
    _optimized.save(path, [b"graph"])
    assert _optimized.load(path) == []


def test_only_the_newest_are_kept(folder, monkeypatch):
    monkeypatch.setattr(_optimized, "MOST", 2)
    for number in range(4):
        _optimized.save(_optimized.place(bytes([number]), "1.31"), [b"graph"])
    assert len(list(folder.iterdir())) == 2


def test_a_model_paints_the_same_from_its_kept_graphs(folder, photo):
    picture = np.ascontiguousarray(photo[:96, :128])

    def painted() -> np.ndarray:
        with open_session(STARRY, device="cpu", threads=1) as session:
            assert session.card.name
            return session.stylize(picture)

    first = painted()
    (kept,) = folder.iterdir()
    assert np.array_equal(painted(), first)
    # Whole, but no graphs: the model is opened from its own file.
    _optimized.save(kept, [b"nonsense", b"nonsense"])
    assert np.array_equal(painted(), first)
