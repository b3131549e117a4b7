"""Stores that others can write to: what lies beside an output is damage, or is painted again."""

import json

import pytest

pytest.importorskip("pyarrow", reason="needs the ray extra (make test-batch)")

from archives import FRAMES, words

from runtime.batch import __main__ as command
from runtime.batch import work
from runtime.batch.items import find_items
from runtime.batch.manifest import NAME, Manifest
from runtime.batch.places import Place
from runtime.errors import StyleError, UsageError

PIECE = "00001.json"


@pytest.fixture
def painted(archive, tmp_path):
    """A clip whose pieces are painted and not joined."""
    output = tmp_path / "out"
    arguments = command.build_parser().parse_args(words(archive, output))
    settings = command._settings(arguments)
    (item,) = find_items([str(archive / "clip0.mp4")], str(output))
    painter = work.Painter(settings)
    for number in work.plan(item, settings):
        painter.paint(item, number)
    return item, settings, item.parts.local


def changed(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize("file", ["{folder}/victim.seg", "../../victim.seg", "a/../../victim.seg"])
def test_segments_of_other_folders_are_none(painted, tmp_path, file):
    """It was fetched to whatever path the store named, over what was there."""
    item, settings, parts = painted
    victim = tmp_path / "victim.seg"
    victim.write_bytes(b"mine")
    (parts / "victim.seg").write_bytes(b"theirs")
    name = file.format(folder=tmp_path)
    changed(parts / PIECE, lambda lines: [{**lines[0], "file": name}, *lines[1:]])
    assert work.plan(item, settings) == [1]
    with pytest.raises(StyleError):
        work.join(item, settings)
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "text", ["", "null", "3", "[3]", '[{"file": 3}]', "[" * 50_000, '{"x": 1}']
)
def test_what_is_no_piece_is_painted_again(painted, text):
    item, settings, parts = painted
    (parts / PIECE).write_text(text)
    assert work.plan(item, settings) == [1]


def test_a_changed_segment_is_painted_again(painted):
    item, settings, parts = painted
    segment = next(parts.glob("00001-*.seg"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StyleError, match="the next run paints that piece again"):
        work.join(item, settings)
    assert work.plan(item, settings) == [1]
    work.Painter(settings).paint(item, 1)
    work.join(item, settings)
    assert work.is_result(item, settings).frames == FRAMES


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": None},
        {"pieces": []},
        {"pieces": [{"first": 5}]},
        {"pieces": [{"first": 0, "until": 9}, {"first": 60}]},
        {"pieces": [{"first": "0"}]},
        {"frames": -1},
        {"frames": "many"},
        {"threads": 10**9},
        {"remarks": [3]},
    ],
)
def test_a_plan_that_makes_no_sense_is_made_again(painted, change):
    item, settings, parts = painted
    changed(parts / work.PLAN, lambda plan: {**plan, **change})
    assert work.plan(item, settings) == [0, 1, 2]
    assert json.loads((parts / work.PLAN).read_text())["frames"] == FRAMES


@pytest.mark.parametrize("change", [{"frames": "x"}, {"notes": 3}, {"notes": [None]}])
def test_a_result_that_makes_no_sense_is_none(painted, change):
    item, settings, parts = painted
    work.join(item, settings)
    changed(parts / work.RESULT, lambda result: {**result, **change})
    assert work.is_result(item, settings) is None


@pytest.mark.parametrize("text", ["3", "{}", "[3]", '"abc"', "[[]]", "\0"])
def test_nonsense_among_the_tries_is_none(painted, text):
    item, _, parts = painted
    (parts / "00001.tries").write_text(text)
    assert work.attempt(item, "00001", lambda: 5) == (5, "")


@pytest.mark.parametrize(
    "line",
    [
        '{"output": []}',
        "[]",
        "3",
        "[" * 50_000,
        '{"input": "a", "output": ["x"], "frames": 1, "seconds": 1, "model_sha256": "", '
        '"settings": "", "stamp": {"size": 1, "changed": ""}}',
        '{"input": "a", "output": "x", "frames": NaN, "seconds": 1, "model_sha256": "", '
        '"settings": "", "stamp": {"size": 1, "changed": ""}}',
        '{"input": "a", "output": "x", "frames": 1, "seconds": 1, "model_sha256": "", '
        '"settings": "", "stamp": 3}',
        "\x1b[2J",
    ],
)
def test_lines_of_a_manifest_that_make_no_sense_are_none(tmp_path, line):
    (tmp_path / NAME).write_text(line + "\n")
    assert Manifest(Place.parse(str(tmp_path)))._entries == {}


def test_keys_that_lead_out_of_the_output_are_refused(tmp_path, monkeypatch):
    """A store's keys are any text; written to a disk "in/../../x.mp4" would be elsewhere."""
    import s3_store

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with s3_store.running() as (query, objects):
        objects["archive/in/a/../../../../x.mp4"] = b"clip"
        with pytest.raises(UsageError, match="it would be written elsewhere"):
            find_items([f"s3://archive/in/**/*{query}"], str(tmp_path / "out"))
