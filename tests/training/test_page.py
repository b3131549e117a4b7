"""The page of a run: self-contained, live, whole at any moment; TensorBoard where there is one."""

import json
import sys
import types

import pytest
from PIL import Image

from runtime.errors import EngineUnavailable
from training.page import Page, curve, read_log, render
from training.tensorboard import TensorBoard


def write_run(folder, steps=(50, 100)):
    lines = [{"step": s, "total": 10 / s, "style": 1 / s, "steps_per_s": 2.0} for s in steps]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Image.new("RGB", (3000, 60), "red").save(folder / "sheet_000100.png")
    return folder


def test_the_page_shows_curves_and_sheets_and_needs_nothing_else(tmp_path):
    page = render(write_run(tmp_path), "starry <one>", 100, 400)
    assert "starry &lt;one&gt;" in page and "Step 100 of 400" in page
    assert page.count("<svg") == 3 and page.index("total") < page.index("style:")
    assert "data:image/jpeg;base64," in page
    assert "http://" not in page and "https://" not in page and 'src="sheet' not in page
    assert 'http-equiv="refresh"' in page


def test_a_hostile_title_and_figure_are_text(tmp_path):
    line = {"step": 1, "'><script>x</script>": 2.0, "total": 1.0}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    page = render(tmp_path, "</title><script>\x1b]0;x\x07", 1, 2)
    assert "<script" not in page and "</title><" not in page.replace("</title><style>", "")


def test_a_finished_run_does_not_reload(tmp_path):
    assert "refresh" not in render(write_run(tmp_path), "starry", 400, 400)


def test_sheets_of_an_earlier_longer_run_are_not_shown(tmp_path):
    assert "<img" not in render(write_run(tmp_path), "starry", 50, 400)


def test_a_page_before_the_first_figure(tmp_path):
    assert "Step 0 of 5" in render(tmp_path, "starry", 0, 5)


def test_a_resumed_run_replaces_what_it_does_again(tmp_path):
    write_run(tmp_path, (50, 100, 150, 100, 150))
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [50, 100, 150]


def test_a_curve_by_hand():
    drawn = curve("total", [(0, 1.0), (10, 3.0)])
    assert "points='64.0,126.0 412.0,26.0'" in drawn
    assert "total: 3" in drawn
    assert "points='64.0,126.0'" in curve("flat", [(5, 2.0)])


def test_a_reader_never_sees_half_a_page(tmp_path, monkeypatch):
    """A write that dies leaves the last page whole."""
    page = Page(write_run(tmp_path), "starry", 400)
    page.log(100, {})
    before = (tmp_path / "index.html").read_text()

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", die)
    with pytest.raises(KeyboardInterrupt):
        page.sheet(150, tmp_path / "sheet_000100.png")
    assert (tmp_path / "index.html").read_text() == before


def test_tensorboard_that_is_not_there_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(EngineUnavailable, match=r'pip install -e "\.\[tensorboard\]"'):
        TensorBoard(tmp_path)


def test_tensorboard_gets_figures_and_sheets(monkeypatch, tmp_path):
    calls = []

    class Writer:
        def __init__(self, folder):
            calls.append(folder)

        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def add_image(self, name, image, step, dataformats):
            calls.append((name, image.shape, step, dataformats))

        def flush(self):
            pass

    module = types.SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    board = TensorBoard(write_run(tmp_path))
    board.log(50, {"total": 0.5})
    board.sheet(100, tmp_path / "sheet_000100.png")
    assert calls[1:] == [("total", 0.5, 50), ("sheet", (60, 3000, 3), 100, "HWC")]
