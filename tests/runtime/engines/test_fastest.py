"""The fastest engine: measured once for a model and a machine, with the real engines where they
are."""

import time
from pathlib import Path

import numpy as np
import pytest

from runtime.engines import _cache, _fastest
from runtime.errors import CardMismatch
from runtime.model.session import open_session

FLOATS = Path(__file__).resolve().parents[3] / "models" / "starry-fast-fp32.onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache folder; and measurements that are short."""
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(_fastest, "BUDGET_S", 0.02)
    return tmp_path / "cache"


class Opener:
    """Runs that take a given time, or do not run; counts what was opened and closed."""

    def __init__(self, seconds):
        self.seconds, self.opened, self.closed = seconds, [], 0

    def __call__(self, name):
        self.opened.append(name)
        if self.seconds[name] is None:
            raise CardMismatch("no")
        return lambda: time.sleep(self.seconds[name]), self.close

    def close(self):
        self.closed += 1


def test_the_fastest_is_measured_once():
    opener = Opener({"usual": 0.01, "other": 0.001, "broken": None})
    for _ in range(2):
        name, times = _fastest.fastest(("usual", "other", "broken"), b"model", [1], opener)
        assert name == "other" and times["broken"] == 0 and times["usual"] > times["other"] > 0
    assert opener.opened == ["usual", "other", "broken"] and opener.closed == 2
    # Another model, or other threads, are another question.
    _fastest.fastest(("usual", "other", "broken"), b"other model", [1], opener)
    _fastest.fastest(("usual", "other", "broken"), b"model", [2], opener)
    assert len(opener.opened) == 9


def test_the_usual_one_stays_where_little_or_nothing_is_gained():
    times = {"usual": 0.0100, "other": 0.0097}
    assert _fastest.fastest(tuple(times), b"a", [], Opener(times))[0] == "usual"
    nothing = {"usual": None, "other": None}
    assert _fastest.fastest(tuple(nothing), b"b", [], Opener(nothing))[0] == "usual"


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"usual": "fast"}}', "[" * 9999])
def test_a_damaged_file_is_measured_again(folder, text):
    folder.mkdir()
    (folder / _fastest.FILE).write_text(text)
    opener = Opener({"usual": 0.001, "other": None})
    assert _fastest.fastest(("usual", "other"), b"model", [], opener)[0] == "usual"
    assert len(opener.opened) == 2


def test_two_real_engines_are_compared(folder, photo):
    pytest.importorskip("openvino", reason="pip install 'impasto[openvino]'")
    picture = np.ascontiguousarray(photo[:64, :96])
    with open_session(FLOATS, device="cpu") as session:
        painted, usual = session.stylize(picture), session.engine
        assert not session.notes
    for _ in range(2):
        with open_session(FLOATS, engine="fastest", threads=1) as session:
            assert session.engine in ("onnxruntime", "openvino")
            assert "fastest engine here (640x480: onnxruntime" in session.notes[0]
            difference = np.abs(session.stylize(picture).astype(int) - painted)
            assert difference.max() <= 1
    assert usual == "onnxruntime"
    assert (folder / _fastest.FILE).is_file()
