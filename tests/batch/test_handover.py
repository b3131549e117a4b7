"""A worker that is killed costs a segment at most, wherever its output lies."""

import contextlib
import json
import pickle
import signal
import subprocess
import sys

import pytest

pytest.importorskip("pyarrow", reason="needs the ray extra (make test-batch)")

from archives import MODEL, ROOT, take, words, write_clip

from runtime.batch import __main__ as command
from runtime.batch import work
from runtime.batch.items import find_items
from runtime.clips import checkpoints
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.sinks.file import SEGMENT_FRAMES

FRAMES = 300  # one take: its segments end behind 120 and 240 frames, parts of it behind 96
# Dies with the second segment; what is kept does not depend on how fast this machine is.
DIES = """
import os, pickle, signal, sys
from runtime.batch import handover, work
from runtime.clips import checkpoints
checkpoints.EVERY_S = checkpoints.WORTH_S = 0.0
closed = handover.Handover._closed
def die(self, *segment):
    closed(self, *segment)
    if len(self._lines) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
handover.Handover._closed = die
settings, item = pickle.load(sys.stdin.buffer)
work.attempt(item, "00000", lambda: work.Painter(settings).paint(item, 0))
"""


@contextlib.contextmanager
def store(kind, tmp_path, monkeypatch):
    """The address of a folder for outputs."""
    if kind == "disk":
        yield str(tmp_path / "out")
        return
    import s3_store

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with s3_store.running() as (query, objects):
        objects["archive/in/nothing"] = b""  # makes the bucket
        yield f"s3://archive/out{query}"


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_killed_worker_costs_a_segment_at_most(tmp_path, monkeypatch, kind):
    for name in ("EVERY_S", "WORTH_S"):
        monkeypatch.setattr(checkpoints, name, 0.0)
    clip = tmp_path / "take.mp4"
    write_clip(clip, 0, FRAMES, take)
    with store(kind, tmp_path, monkeypatch) as output:
        scratch = ("--scratch", str(tmp_path / "scratch"))
        arguments = command.build_parser().parse_args(words(clip, output, *scratch))
        settings = command._settings(arguments)
        (item,) = find_items([str(clip)], output)
        assert work.plan(item, settings) == [0]
        died = subprocess.run(
            [sys.executable, "-c", DIES],
            cwd=ROOT,
            input=pickle.dumps((settings, item)),
            check=False,
        )
        assert died.returncode == -signal.SIGKILL
        assert item.parts.child("00000.tries").read_json() == [work.DIED]
        assert len(item.parts.child("00000.begun").read_json()["segments"]) == 2

        painter = work.Painter(settings)
        painted = []
        paint = painter._stylizer.stylize
        monkeypatch.setattr(
            painter._stylizer, "stylize", lambda image: painted.append(1) or paint(image)
        )
        notes, error = work.attempt(item, "00000", lambda: painter.paint(item, 0))
        assert not error
        taken = int(notes[0].partition(" ")[0])
        assert taken >= 2 * SEGMENT_FRAMES
        assert len(painted) - (FRAMES - taken) <= SEGMENT_FRAMES
        kept = [name for name in names(item.parts) if name.endswith((".painted", ".state"))]
        assert len(kept) == (kind == "s3")
        assert work.plan(item, settings) == []
        work.join(item, settings)
        made = tmp_path / "made.mp4"
        from runtime.batch.places import Place

        Place.parse(item.output).fetch(made)
    whole = tmp_path / "whole.mp4"
    options = ClipOptions(sink={"preset": "ultrafast"}, stabilizer="best")
    with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as stylizer:
        paint_clip(Job(str(clip), str(whole)), stylizer, options, Meter())
    assert made.read_bytes() == whole.read_bytes()


def names(place):
    return [found.name for found in place.matches("*", deep=True)]


def test_what_was_painted_otherwise_or_is_damaged_is_not_taken_over(tmp_path):
    from runtime.batch.handover import Handover

    clip, parts = tmp_path / "in.mp4", tmp_path / "out" / "in.mp4.pieces"
    write_clip(clip, 0, 90)
    arguments = command.build_parser().parse_args(words(clip, tmp_path / "out", "--piece", "900"))
    settings = command._settings(arguments)
    (item,) = find_items([str(clip)], str(tmp_path / "out"))
    assert work.plan(item, settings) == [0]
    work.Painter(settings).paint(item, 0)
    told = json.loads((parts / "00000.begun").read_text())
    assert len(told["segments"]) == 3

    def there(number, header):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        return len(Handover(item, 0, header, scratch, pictures=True).begun().segments)

    assert there(0, told["header"]) == 3
    second = parts / told["segments"][1]["file"]
    second.write_bytes(second.read_bytes()[:-1] + b"?")
    assert there(1, told["header"]) == 1
    assert there(2, {**told["header"], "settings": "others"}) == 0
    assert there(3, told["header"]) == 0  # what is there now is for the others
    for text in ("torn", "[]", '{"header": 1}', '{"segments": 3, "state": "../x"}'):
        (parts / "00000.begun").write_text(text)
        scratch = text.encode().hex()
        assert there(scratch, told["header"]) == 0


def test_what_is_kept_belongs_to_one_worker(tmp_path):
    """Of two that are at one piece, because one was given up that is alive."""
    from runtime.batch.handover import Handover
    from runtime.batch.items import Item
    from runtime.batch.places import Stamp

    item = Item("in.mp4", str(tmp_path / "out.mp4"), True, Stamp(3, "7"))
    made = []
    for number in range(3):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        made.append(Handover(item, 0, {}, scratch, pictures=True))
    first, second = made[0].begun(), made[1].begun()
    assert first.pictures and not second.pictures
    assert second.folder.parent == tmp_path / "1"
    (first.folder / "000000001.0.painted").write_bytes(b"1")
    made[1].finish()
    assert (first.folder / "000000001.0.painted").is_file()
    made[0].forget()
    assert not first.folder.exists()
    assert made[2].begun().pictures
