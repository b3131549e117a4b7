"""Eighty clips come back with the pictures that ffmpeg sees in them, each at its time; the page
says so, line by line."""

from pathlib import Path

import pytest
from sixty_clips import RECIPES, Recipe, frame_times, has_ffmpeg, make

from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "what-is-kept.md"
HEAD = "| clip | file | pictures: ffmpeg, painted | sound | said |"
# Half a millisecond: some containers count in whole ones.
SLACK = 0.0006


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory):
    import onnx
    from onnx import TensorProto, helper

    shape = ["N", 3, "H", "W"]
    given, painted = (helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in "xy")
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "same", [given], [painted])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("model") / "same.onnx"
    onnx.save(model, path)
    with open_stylizer(StylizeOptions([(str(path), 1.0)], device="cpu")) as opened:
        yield opened


def row_of(recipe: Recipe, stylizer, folder: Path) -> str | None:
    """The line of the page about one clip; None if it cannot be made here."""
    path = make(recipe, folder)
    if path is None:
        return None
    output = folder / "out.mp4"
    options = ClipOptions(sink={"preset": "ultrafast", "verify": True})
    outcome = paint_clip(Job(str(path), str(output)), stylizer, options, Meter())
    wanted, found = frame_times(path), frame_times(output)
    assert outcome.facts["frames_out"] == len(found)
    assert not outcome.facts["damage"]
    assert not outcome.failed
    assert len(wanted) == len(found)
    off = max(abs((a - wanted[0]) - (b - found[0])) for a, b in zip(wanted, found, strict=True))
    assert off < SLACK
    said = "; ".join(n for n in outcome.notes if not n.startswith(("verified", "sound stream")))
    sound = ", ".join(outcome.facts["audio"]) or "none"
    return (
        f"| {recipe.name} | `.{recipe.ending}` | {len(wanted)}, {len(found)} | {sound} | {said} |"
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=[f"{r.ending}: {r.name}" for r in RECIPES])
def test_a_clip_comes_back_as_the_page_says(recipe, stylizer, tmp_path):
    if not has_ffmpeg():
        pytest.skip("needs the ffmpeg command (apt-get install ffmpeg)")
    row = row_of(recipe, stylizer, tmp_path)
    if row is None:
        pytest.skip(f"this ffmpeg cannot make {recipe.name} in .{recipe.ending}")
    assert row in PAGE.read_text("utf-8"), f"write this line into {PAGE.name}:\n{row}"


def test_there_are_eighty():
    assert len(RECIPES) >= 80
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.count("|") == 6]
    assert len(rows) >= 80
    assert HEAD in rows
