"""Google Cloud Storage as pyarrow speaks it, to an emulator on loopback."""

import logging
import socket

import pytest

pytest.importorskip("pyarrow", reason="needs the ray extra (make test-batch)")
pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator (make test-batch)")

from archives import MODEL, picture, words, write_clip
from gcp_storage_emulator import server as emulator
from PIL import Image

from runtime.batch import __main__ as command
from runtime.batch import work
from runtime.batch.items import find_items
from runtime.batch.manifest import Entry, Manifest
from runtime.batch.places import Place
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer

FRAMES = 60


@pytest.fixture
def query():
    """What addresses say of the emulator, whose bucket is called archive."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="archive")
    server.start()
    try:
        yield f"?scheme=http&endpoint_override=127.0.0.1:{port}&retry_limit_seconds=10"
    finally:
        server.stop()


def test_google_cloud_storage_is_a_disk(query, tmp_path):
    clip, photo = tmp_path / "clip.mp4", tmp_path / "photo.png"
    write_clip(clip, 0, FRAMES)
    Image.fromarray(picture(7)).save(photo)
    bucket = "gs://anonymous@archive"
    for path in (clip, photo):
        Place.parse(f"{bucket}/in/deep/{path.name}{query}").put(path)
    output = f"{bucket}/out{query}"
    items = find_items([f"{bucket}/in/**/*{query}"], output)
    assert [Place.parse(item.output).path for item in items] == [
        "archive/out/deep/clip.mp4",
        "archive/out/deep/photo.png",
    ]
    scratch = ("--scratch", str(tmp_path / "scratch"))
    settings = command._settings(command.build_parser().parse_args(words(clip, output, *scratch)))
    painter, manifest = work.Painter(settings), Manifest(Place.parse(output))
    for item in items:
        for number in work.plan(item, settings):
            _, error = work.attempt(
                item, f"{number:05}", lambda i=item, n=number: painter.paint(i, n)
            )
            assert not error
        if item.clip:
            assert item.parts.child("00001-00000.seg").stamp() is not None
            work.join(item, settings)
        done = work.is_result(item, settings)
        assert done is not None
        manifest.add(
            Entry(item.input, item.output, done.frames, 1, "", settings.checksum, item.stamp)
        )
        item.parts.remove_folder()
        assert not item.parts.is_folder()
    manifest.save()
    assert all(Manifest(Place.parse(output)).is_done(item, settings.checksum) for item in items)
    whole, made = tmp_path / "whole.mp4", tmp_path / "made.mp4"
    Place.parse(items[0].output).fetch(made)
    options = ClipOptions(sink={"preset": "ultrafast"}, stabilizer="best")
    with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as stylizer:
        paint_clip(Job(str(clip), str(whole)), stylizer, options, Meter())
    assert made.read_bytes() == whole.read_bytes()
