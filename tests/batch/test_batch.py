"""Archives painted by Ray are the archives painted here, whoever dies on the way.

Needs what `pip install "impasto[ray]"` brings: `make test-batch` makes such an environment.
"""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the ray extra (make test-batch)")

from archives import (
    CLIPS,
    FRAMES,
    MODEL,
    PICTURES,
    painters,
    picture,
    start,
    wait_for,
    words,
)
from certificates import certificates, read
from PIL import Image as Picture

from runtime.batch import __main__ as command
from runtime.batch import work
from runtime.batch.items import Item, find_items
from runtime.batch.manifest import NAME, Entry, Manifest
from runtime.batch.places import Place, Stamp
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import FAILED, INTERRUPTED, USAGE, SourceError, UsageError
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.provenance import SOURCE_TYPE
from runtime.stills.files import FileOptions, paint_file
from runtime.stills.painter import Options, StillPainter


def settings_of(archive, output, *more):
    arguments = command.build_parser().parse_args(words(archive, output, *more))
    return command._settings(arguments)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the actors in /proc")
@pytest.mark.timeout(1200)
def test_a_batch_is_what_one_machine_paints_whoever_dies(archive, tmp_path, capsys):
    pytest.importorskip("ray", reason="needs the ray extra (make test-batch)")
    output = tmp_path / "painted"
    run = start(archive, output)
    tries = lambda: list(output.glob("clip*.pieces/0*.tries"))  # noqa: E731
    wait_for(tries, run)
    os.kill(wait_for(lambda: painters(run), run)[0], signal.SIGKILL)
    # Another clip is whole, by the actor that is left or by the one that came for it.
    wait_for(lambda: list(output.glob("clip*.mp4")), run)
    run.send_signal(signal.SIGINT)
    told = run.communicate(timeout=120)[1]
    assert run.returncode == INTERRUPTED, told
    assert "the same command goes on" in told
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("clip*.mp4")}
    begun_twice = [
        p for p in output.glob("*.pieces/0*.tries") if len(json.loads(p.read_text())) > 1
    ]
    assert len(begun_twice) <= 1  # what the killed actor was at, and nothing else

    again = start(archive, output, "--json")
    told = again.communicate(timeout=400)[1]
    assert again.returncode == FAILED, told
    assert "bad.mp4" in told and "cannot be read as a video" in told
    assert told.count("error:") == 1, told
    # What was finished was not painted again; nothing but outputs is left.
    for name, moment in before.items():
        assert (output / name).stat().st_mtime_ns == moment
    left = {path.name for path in output.iterdir()}
    assert left == {path.name for path in archive.iterdir()} - {"bad.mp4"} | {NAME}

    style = StylizeOptions([(str(MODEL), 1.0)], device="cpu")
    options = ClipOptions(sink={"preset": "ultrafast"}, stabilizer="best")
    with open_stylizer(style) as stylizer:
        for number in range(CLIPS):
            name, whole = f"clip{number}.mp4", tmp_path / f"whole{number}.mp4"
            paint_clip(Job(str(archive / name), str(whole)), stylizer, options, Meter())
            assert whole.read_bytes() == (output / name).read_bytes(), name
        painter = StillPainter(stylizer, Options(quiet=True), lambda _: None)
        for number in range(PICTURES):
            name, whole = f"photo{number}.png", tmp_path / f"whole{number}.png"
            paint_file(archive / name, whole, painter, FileOptions(), Meter())
            assert whole.read_bytes() == (output / name).read_bytes(), name

    # The third time there is nothing to do but the item that fails; without it, Ray rests.
    (archive / "bad.mp4").unlink()
    assert command.main([*words(archive, output), "--json", "--ray-address", "nowhere:1"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["painted"], facts["skipped"]) == (0, CLIPS + PICTURES)


@pytest.mark.skipif(find_spec("c2pa") is None, reason="needs c2pa-python")
@pytest.mark.parametrize("name", ["clip0.mp4", "photo0.png"])
def test_what_workers_make_is_signed_where_they_are(archive, tmp_path, name):
    chain, key = certificates(tmp_path)
    flags = ["--sign", str(chain), "--sign-key", str(key)]
    settings = settings_of(archive, tmp_path / "painted", *flags)
    assert key.read_text() not in repr(settings), "the key itself stays where it is"
    (item,) = find_items([str(archive / name)], str(tmp_path / "painted"))
    painter = work.Painter(settings)
    for number in work.plan(item, settings):
        painter.paint(item, number)
    if item.clip:
        work.join(item, settings)
    assert read(Path(item.output))[0] == "Valid"
    # Another certificate makes other files: they are not taken for these.
    other = tmp_path / "other"
    other.mkdir()
    chain, key = certificates(other)
    again = settings_of(archive, tmp_path / "painted", "--sign", str(chain), "--sign-key", str(key))
    assert again.checksum != settings.checksum


@pytest.mark.skipif(find_spec("c2pa") is None, reason="needs c2pa-python")
def test_outputs_that_hold_no_signature_are_refused_before_the_work(tmp_path, capsys):
    chain, key = certificates(tmp_path)
    (tmp_path / "in").mkdir()
    Picture.fromarray(picture(0)).save(tmp_path / "in" / "photo.bmp")
    flags = ["--sign", str(chain), "--sign-key", str(key)]
    assert command.main(words(tmp_path / "in", tmp_path / "out", *flags)) == USAGE
    assert "cannot hold a signature" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_batch_may_say_nothing_of_itself(archive, tmp_path):
    settings = settings_of(archive, tmp_path / "painted", "--no-provenance")
    (item,) = find_items([str(archive / "photo0.png")], str(tmp_path / "painted"))
    work.Painter(settings).paint(item, 0)
    assert SOURCE_TYPE.encode() not in Path(item.output).read_bytes()
    loud = settings_of(archive, tmp_path / "loud")
    (item,) = find_items([str(archive / "photo0.png")], str(tmp_path / "loud"))
    work.Painter(loud).paint(item, 0)
    assert SOURCE_TYPE.encode() in Path(item.output).read_bytes()


def test_inputs_become_items_with_outputs_in_a_folder(archive, tmp_path):
    (tmp_path / "in" / "a" / "b").mkdir(parents=True)
    for name in ("x.avi", "y.heic", "note.txt", "a/z.mp4", "a/b/z.png"):
        (tmp_path / "in" / name).write_bytes(b"1")
    output = str(tmp_path / "out")
    made = lambda *inputs: {  # noqa: E731
        Path(item.input).name: (
            Path(item.output).relative_to(tmp_path / "out").as_posix(),
            item.clip,
        )
        for item in find_items([str(tmp_path / "in" / name) for name in inputs], output)
    }
    assert made("") == {"x.avi": ("x.mp4", True), "y.heic": ("y.png", False)}
    assert made("x.avi", "x.avi") == {"x.avi": ("x.mp4", True)}
    assert made("**/*.mp4", "**/*.png") == {
        "z.mp4": ("a/z.mp4", True),
        "z.png": ("a/b/z.png", False),
    }
    with pytest.raises(SourceError, match="matches"):
        made("*.mov")
    with pytest.raises(SourceError, match="no input"):
        made("absent.mp4")
    (tmp_path / "in" / "x.mkv").write_bytes(b"1")
    (tmp_path / "in" / "x.mpg").write_bytes(b"1")
    with pytest.raises(UsageError, match="would both be written to"):
        made("x.avi", "x.mpg")
    with pytest.raises(UsageError, match="is input and output"):
        find_items([str(tmp_path / "in" / "x.mkv")], str(tmp_path / "in"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket/a/b.mp4", Place("s3://", "bucket/a/b.mp4")),
        (
            "s3://bucket/a/?region=x&scheme=http",
            Place("s3://", "bucket/a", "?region=x&scheme=http"),
        ),
        ("s3://bucket/clip?.mp4", Place("s3://", "bucket/clip?.mp4")),
        ("gs://anonymous@bucket/a", Place("gs://anonymous@", "bucket/a")),
        ("file:///a/b", Place("", "/a/b")),
        ("/a/../b", Place("", "/b")),
    ],
)
def test_addresses_are_read(text, place):
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place


def test_files_appear_when_they_are_whole(tmp_path, monkeypatch):
    place = Place.parse(str(tmp_path / "new" / "a.bin"))
    assert place.stamp() is None and place.read() is None
    place.write(b"123")
    assert place.read() == b"123"
    stamp = place.stamp()
    assert stamp is not None and stamp.size == 3
    place.fetch(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"123"

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", broken)
    with pytest.raises(work.StyleError, match="No space left"):
        place.put(tmp_path / "copy")
    monkeypatch.undo()
    assert place.read() == b"123"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]


def test_a_manifest_knows_what_is_done_with_what(tmp_path):
    folder = Place.parse(str(tmp_path))
    item = Item("in.mp4", str(tmp_path / "out.mp4"), True, Stamp(3, "7"))
    entry = Entry(item.input, item.output, 10, 1.5, "ab", "settings", item.stamp)
    manifest = Manifest(folder)
    manifest.add(entry)
    manifest.save()
    with (tmp_path / NAME).open("a") as file:
        file.write('{"torn": ')
    read = Manifest(folder)
    assert not read.is_done(item, "settings")  # the output is not there
    (tmp_path / "out.mp4").write_bytes(b"1")
    assert read.is_done(item, "settings")
    assert not read.is_done(item, "others")
    assert not read.is_done(Item(item.input, item.output, True, Stamp(4, "8")), "settings")
    read.add(Entry(item.input, item.output, 0, 0.1, "ab", "settings", item.stamp, "broken"))
    assert not read.is_done(item, "settings")


def test_work_is_given_up_after_three_attempts_in_any_process(tmp_path):
    item = Item("in.mp4", str(tmp_path / "out.mp4"), True, Stamp(3, "7"))
    calls = []

    def fail():
        calls.append(1)
        raise SourceError(f"broken {len(calls)}")

    assert work.attempt(item, "00001", fail) == (None, "broken 3")
    assert work.attempt(item, "00001", fail) == (None, "broken 3")
    assert len(calls) == 3
    work.forget_attempts(item)
    assert work.attempt(item, "00001", lambda: 5) == (5, "")

    # A process that dies writes nothing: what it wrote before stands there.
    def die():
        raise KeyboardInterrupt

    for _ in range(work.ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            work.attempt(item, "00002", die)
    assert work.attempt(item, "00002", lambda: 5) == (None, work.DIED)


def test_only_what_is_not_painted_is_planned_again(archive, tmp_path):
    settings = settings_of(archive, tmp_path / "out")
    (item,) = find_items([str(archive / "clip0.mp4")], str(tmp_path / "out"))
    assert work.plan(item, settings) == [0, 1, 2]
    painter = work.Painter(settings)
    painter.paint(item, 1)
    assert work.plan(item, settings) == [0, 2]
    # Pieces of other lengths are no other result: what is painted counts.
    assert work.plan(item, settings_of(archive, tmp_path / "out", "--piece", "80")) == [0, 2]
    assert work.is_result(item, settings) is None
    painter.paint(item, 2)
    painter.paint(item, 0)
    work.join(item, settings)
    done = work.is_result(item, settings)
    assert done is not None and (done.frames, done.notes) == (FRAMES, [])
    # With other settings nothing of it is of use.
    other = settings_of(archive, tmp_path / "out", "--strength", "0.5")
    assert work.is_result(item, other) is None
    assert work.plan(item, other) == [0, 1, 2]


def test_what_a_killed_run_did_not_note_is_noted(archive, tmp_path, capsys):
    output = tmp_path / "out"
    settings = settings_of(archive, output)
    (item,) = find_items([str(archive / "photo0.png")], str(output))
    work.Painter(settings).paint(item, 0)
    photo = [str(archive / "photo0.png"), "--ray-address", "nowhere:1", "--json"]
    assert command.main(words(photo[0], output, *photo[1:])) == 0
    assert json.loads(capsys.readouterr().out)["painted"] == 1
    assert not item.parts.is_folder()


def test_nothing_is_overwritten_unasked(archive, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / "photo0.png").write_bytes(b"mine")
    photo = str(archive / "photo0.png")
    assert command.main(words(photo, output)) == 2
    assert "1 outputs exist" in capsys.readouterr().err
    assert command.main(words(photo, output, "--skip-existing")) == 0
    assert (output / "photo0.png").read_bytes() == b"mine"


def test_painters_refuse_another_model_of_the_same_name(archive, tmp_path):
    from dataclasses import replace

    settings = replace(settings_of(archive, tmp_path), model_sha256="00")
    with pytest.raises(work.StyleError, match="copy the same models to all machines"):
        work.Painter(settings)


def test_a_store_is_a_disk(archive, tmp_path, monkeypatch):
    """S3 as pyarrow speaks it, on loopback: found, painted in pieces, joined, noted."""
    import s3_store

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with s3_store.running() as (query, objects):
        for name in ("clip0.mp4", "photo0.png"):
            objects[f"archive/in/deep/{name}"] = (archive / name).read_bytes()
        inputs, output = f"s3://archive/in/**/*{query}", f"s3://archive/out{query}"
        items = find_items([inputs], output)
        assert [Place.parse(item.output).path for item in items] == [
            "archive/out/deep/clip0.mp4",
            "archive/out/deep/photo0.png",
        ]
        settings = settings_of(archive, output, "--scratch", str(tmp_path / "scratch"))
        painter, manifest = work.Painter(settings), Manifest(Place.parse(output))
        for item in items:
            for number in work.plan(item, settings):
                assert work.attempt(
                    item, f"{number:05}", lambda i=item, n=number: painter.paint(i, n)
                )
            if item.clip:
                work.join(item, settings)
            done = work.is_result(item, settings)
            assert done is not None
            manifest.add(
                Entry(item.input, item.output, done.frames, 1, "", settings.checksum, item.stamp)
            )
            item.parts.remove_folder()
        manifest.save()
        assert all(Manifest(Place.parse(output)).is_done(i, settings.checksum) for i in items)
        kept = {name for name in objects if name.startswith("archive/out") and name[-1] != "/"}
        assert kept == {
            *(f"archive/out/deep/{name}" for name in ("clip0.mp4", "photo0.png")),
            f"archive/out/{NAME}",
        }
        whole = tmp_path / "whole.mp4"
        options = ClipOptions(sink={"preset": "ultrafast"}, stabilizer="best")
        with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as stylizer:
            paint_clip(Job(str(archive / "clip0.mp4"), str(whole)), stylizer, options, Meter())
        assert objects["archive/out/deep/clip0.mp4"] == whole.read_bytes()
        with pytest.raises(SourceError, match="no input"):
            find_items([f"s3://archive/in/absent.mp4{query}"], output)


def test_a_store_of_fsspec_is_a_disk(archive, tmp_path):
    pytest.importorskip("fsspec")
    place = Place.parse("memory://archive/in/photo0.png")
    place.put(archive / "photo0.png")
    (item,) = find_items(["memory://archive/in/*.png"], "memory://archive/out")
    settings = settings_of(archive, "memory://archive/out", "--scratch", str(tmp_path / "scratch"))
    work.Painter(settings).paint(item, 0)
    whole = tmp_path / "whole.png"
    with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as stylizer:
        painter = StillPainter(stylizer, Options(quiet=True), lambda _: None)
        paint_file(archive / "photo0.png", whole, painter, FileOptions(), Meter())
    assert Place.parse(item.output).read() == whole.read_bytes()
